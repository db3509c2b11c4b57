/**
 * What Redis runs, each script atomically; `account.ts` does the same in memory, and a test runs both on the same events.
 *
 * KEYS of every script, all in one hash slot: the month's account (one value in MessagePack: read and written whole it costs
 * half of what a hash does), its open selections (sorted set: call, opened at), the calls of the day of the draw (hash: call,
 * state). In the account: `n` draws, `e` eligible, `r` recorded,
 * `o` open, `x` credit, `y` announcement credit, `p` rate in force, `d` day, `s` selected on that day; `run`: the server
 * that grants; `shut`: until when it must not; `b`: the draw up to which a restored account contains everything. States of
 * a call: `o` open, `p` passed, `l` lapsed, `s` settled.
 *
 * Credit only ever falls by a selection. So nothing but a selection must outlive a failover; any other write that a new
 * primary lacks leaves the account on the safe side.
 */
import { announceReserve, partsPerMillion, uniformRange } from './gate.ts';

/** How long a call is remembered, so that a doubled or late message changes nothing. */
const callSeconds = 3 * 86_400;
/** A month, and time for its last calls to settle and for an auditor to look. */
const epochSeconds = 70 * 86_400;

const load = `
local account, open, calls = KEYS[1], KEYS[2], KEYS[3]
local n, e, r, o, x, y, p, s, shut, b, d, run = 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, '', ''
local kept = redis.call('GET', account)
if kept then
  n, e, r, o, x, y, p, s, shut, b, d, run = unpack(cmsgpack.unpack(kept))
end
local function keep()
  redis.call('SET', account, cmsgpack.pack({ n, e, r, o, x, y, p, s, shut, b, d, run }), 'EX', ${epochSeconds})
end
`;

const raise = `
local function raise(dx, dy, ppm)
  local nx, ny = x + dx, y + dy
  if p ~= ppm then
    nx, ny = math.min(nx, math.max(x, 0)), math.min(ny, math.max(y, 0))
  end
  x, y = nx, math.min(ny, ${announceReserve})
end
`;

/** A day's calls are forgotten some days after the last of them. */
const settleDown = `
keep()
redis.call('EXPIRE', calls, ${callSeconds})
`;

/**
 * Notes which server runs this. One that is not the server that granted before may lack its last writes: it grants nothing
 * until the agents had time to tell theirs.
 */
const fence = (fenceMs: number): string => `
local function fenced(lost)
  local time = redis.call('TIME')
  local now = time[1] * 1000 + math.floor(time[2] / 1000)
  local here = string.match(redis.call('INFO', 'replication'), 'master_replid:(%x+)')
  if run ~= here then
    if run ~= '' or lost then
      shut = now + ${fenceMs}
    end
    run = here
    keep()
  end
  return shut > now
end
`;

/**
 * ARGV: call, uniform, rate and cap in parts per million, daily guard (-1: none), day, now (ms), last draw this agent knows
 * of. Answers selected (1, 0), or -1: this server has lost draws, -2: it must not grant yet; then the account.
 */
export const reserveScript = (fenceMs: number): string => `${load}${fence(fenceMs)}
local call, ppm, cap, day = ARGV[1], tonumber(ARGV[3]), tonumber(ARGV[4]), ARGV[6]
if n < tonumber(ARGV[8]) then
  return { -1 }
end
if redis.call('HSETNX', calls, call, 'p') == 0 then
  return { redis.call('HGET', calls, call) == 'o' and 1 or 0, n, e, r, o, x, y, s, run }
end
if day > d then
  d, s = day, 0
  redis.call('EXPIRE', calls, ${callSeconds})
end
if p ~= ppm then
  p, x, y = ppm, math.min(x, 0), math.min(y, 0)
end
n = n + 1

local chance = 0
if ppm > 0 and x + ppm >= 0 and y + cap >= 0 and (ARGV[5] == '-1' or s < tonumber(ARGV[5])) then
  local room = (ppm > 300000 and ppm < 700000) and 2000000 or 1000000
  local middle = (room - 1000000) / 2
  if x > room then
    chance = math.max(500000, cap)
  elseif x + ppm > room then
    chance = 1000000
  elseif (ppm < 500000 and x > middle) or (ppm >= 500000 and x < middle) then
    chance = 500000
  else
    chance = ppm
  end
end
if ARGV[2] * ${partsPerMillion} < chance * ${uniformRange} then
  if fenced(false) then
    return { -2 }
  end
  redis.call('HSET', calls, call, 'o')
  redis.call('ZADD', open, ARGV[7], call)
  local before = { 1, n, e, r, o, x, y, s, run }
  o, x, y = o + 1, x + ppm - 1000000, y + cap - 1000000
  if d == day then s = s + 1 end
  keep()
  return before
end
keep()
return { 0, n, e, r, o, x, y, s, run }
`;

/** ARGV: call, outcome, rate and cap in parts per million and day of its draw. */
export const settleScript = `${load}${raise}
local call, outcome, ppm, cap, day = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4]), ARGV[5]
local before = redis.call('HGET', calls, call)
if before == 's' then
  return 0
end
local eligible, recorded = outcome == 'no-conversation' and 0 or 1, outcome == 'recorded' and 1 or 0
e, r = e + eligible, r + recorded
if before == 'o' or before == 'l' then
  if before == 'o' then
    o = o - 1
    redis.call('ZREM', open, call)
  else
    e, r = e - 1, r - 1
  end
  if eligible == 0 then
    if d == day then s = math.max(0, s - 1) end
    raise(1000000 - ppm, 1000000 - cap, ppm)
  elseif recorded == 0 then
    raise(1000000, 0, ppm)
  end
else
  x, y = x - recorded * 1000000, y - recorded * 1000000
  if eligible == 1 then
    raise(ppm, cap, ppm)
  end
end
redis.call('HSET', calls, call, 's')
${settleDown}
return 1
`;

/**
 * Gives back a reservation that nobody heard of, and keeps a late one from being made. ARGV: call, rate and cap in parts per
 * million and day of its draw.
 */
export const releaseScript = `${load}${raise}
local call, ppm, cap, day = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), ARGV[4]
local before = redis.call('HGET', calls, call)
if before and before ~= 'o' then
  return 0
end
if before == 'o' then
  redis.call('ZREM', open, call)
  o = o - 1
  if d == day then s = math.max(0, s - 1) end
  raise(1000000 - ppm, 1000000 - cap, ppm)
end
redis.call('HSET', calls, call, 'p')
${settleDown}
return 1
`;

/** Selections beyond their lease become recorded conversations. ARGV: those opened before this (ms). Answers the counts. */
export const lapseScript = `${load}
local late = redis.call('ZRANGEBYSCORE', open, '-inf', ARGV[1], 'LIMIT', 0, 100)
for _, call in ipairs(late) do
  redis.call('ZREM', open, call)
  -- Drawn today or yesterday: the lease is shorter than a day.
  for _, day in ipairs({ calls, KEYS[4] }) do
    if redis.call('HGET', day, call) == 'o' then
      redis.call('HSET', day, call, 'l')
      o, e, r = o - 1, e + 1, r + 1
    end
  end
end
if #late > 0 then keep() end
return { e, r, o }
`;

/**
 * Tells a server what an agent knows: the account as it last saw it, and selections of its own of one day. The account is
 * taken over when the server's is older, while nothing is granted; a selection that is missing is charged, unless the
 * account that was taken over contains it.
 *
 * ARGV: n, e, r, o, x, y, p, d, s of the account, day of the selections, then for each: call, draw, rate, cap, opened at, state.
 */
export const recoverScript = (fenceMs: number): string => `${load}${fence(fenceMs)}
local lost = n < tonumber(ARGV[1])
local before = run
local closed = fenced(lost)
if lost and (closed or before ~= run) then
  b = tonumber(ARGV[1])
  n, e, r, o = b, tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
  x, y, p, d, s = tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7]), ARGV[8], tonumber(ARGV[9])
end
local day = ARGV[10]
for i = 11, #ARGV, 6 do
  local call, draw, ppm, cap = ARGV[i], tonumber(ARGV[i + 1]), tonumber(ARGV[i + 2]), tonumber(ARGV[i + 3])
  local contained = draw <= b
  -- What a settlement gave may be in the account that was taken over: it must not be given twice.
  local state = contained and ARGV[i + 5] or 'o'
  if redis.call('HSETNX', calls, call, state) == 1 then
    if state == 'o' then
      redis.call('ZADD', open, ARGV[i + 4], call)
    end
    if not contained then
      o, x, y = o + 1, x + ppm - 1000000, y + cap - 1000000
      if d == day then s = s + 1 end
    end
  end
end
${settleDown}
return { n, closed and 1 or 0 }
`;
