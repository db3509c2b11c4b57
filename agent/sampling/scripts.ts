/**
 * What Redis runs, each script atomically; `account.ts` does the same in memory, and a test runs both on the same events.
 *
 * A script is given one key, the calls of the day of the draw (hash: call, state), `tacet:{campaign}:2026-11-23`. From its name
 * follow the month's account, `tacet:{campaign}:2026-11` (one value, packed: read and written whole it costs a third of what a
 * hash does), and its open selections, `tacet:{campaign}:2026-11:open` (sorted set: call, opened at). All are in one hash slot. A
 * key or an argument more costs more than what a script does with it.
 *
 * In the account, eight bytes each: `n` draws, `e` eligible, `r` recorded, `o` open, `x` credit, `y` announcement credit, `p` rate
 * in force, `c` its cap, `g` the daily guard (-1: none), `s` selected on the day `d`; `shut`: until when this server must not grant; `b`: the draw up to which a restored
 * account contains everything; then `d`, `run`: the server that grants; `terms`: the last ones that were looked at. States of a
 * call: `o` open, `p` passed, `l` lapsed, `s` settled.
 *
 * Credit only ever falls by a selection. So nothing but a selection must outlive a failover; any other write that a new
 * primary lacks leaves the account on the safe side.
 */
import type { Account } from './account.ts';
import { announceReserve, partsPerMillion, uniformRange, type Terms } from './gate.ts';

/** How long a call is remembered, so that a doubled or late message changes nothing. */
const callSeconds = 3 * 86_400;
/** A month, and time for its last calls to settle and for an auditor to look. */
const epochSeconds = 70 * 86_400;

const layout = "'<ddddddddddddsss'";
const fields = 'n, e, r, o, x, y, p, c, g, s, shut, b, d, run, terms';

const load = `
local calls = KEYS[1]
local account = string.sub(calls, 1, -4)
local ${fields} = 0, 0, 0, 0, 0, 0, 0, 0, -1, 0, 0, 0, '', '', ''
local kept = redis.call('GET', account)
if kept then
  ${fields} = struct.unpack(${layout}, kept)
end
local function keep()
  kept = struct.pack(${layout}, ${fields})
  redis.call('SET', account, kept, 'EX', ${epochSeconds})
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

/**
 * A selection that is no longer open. Keys of a slot that is moved arrive one after the other, so a call may be known as open to
 * an account that has not counted it.
 */
const close = `
local function close(call)
  o = math.max(0, o - 1)
  redis.call('ZREM', account .. ':open', call)
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

/** Terms in one word, and in it nothing that changes from call to call: the script takes it apart only when it is another. */
export function termsWord(
  { ppm, capPpm, dailyGuard }: Terms,
  { day, server }: { day: string; server: string },
): string {
  return `${ppm} ${capPpm} ${dailyGuard ?? -1} ${day} ${server}`;
}

/**
 * ARGV: call, uniform, terms, `last draw this agent knows of` and `now` (ms) in one word. Answers one byte and the account as
 * the decision found it: `1` selected, `0` not; or one byte alone: `l`, this server has lost draws; `f`, it must not grant yet.
 *
 * Which server this is stands in the terms as the agent heard it when it connected (empty where it does not know, in a cluster):
 * another than before is looked into. A selection asks the server itself in any case.
 *
 * Not selected under the terms of the draw before, it changes the number of the draw alone, the account's first eight bytes:
 * SETRANGE writes no more to the append-only file, and leaves the expiry that the day's first draw has set.
 */
export const reserveScript = (fenceMs: number): string => `${load}${fence(fenceMs)}
local call = ARGV[1]
if redis.call('HSETNX', calls, call, 'p') == 0 then
  if not kept then keep() end
  return (redis.call('HGET', calls, call) == 'o' and '1' or '0') .. kept
end
local anew = ARGV[3] ~= terms or string.sub(terms, -1) == ' '
if anew then
  local rate, cap, guard, day, server = string.match(ARGV[3], '^(%d+) (%d+) (%S+) (%S+) (%x*)$')
  if n < tonumber(string.match(ARGV[4], '^%d+')) then
    return 'l'
  end
  if server == '' or server ~= run then
    fenced(false)
  end
  if day > d then
    d, s = day, 0
    redis.call('EXPIRE', calls, ${callSeconds})
  end
  rate = tonumber(rate)
  if p ~= rate then
    p, x, y = rate, math.min(x, 0), math.min(y, 0)
  end
  c, g, terms = tonumber(cap), tonumber(guard), ARGV[3]
end
n = n + 1

local chance = 0
if p > 0 and x + p >= 0 and y + c >= 0 and (g < 0 or s < g) then
  local room = (p > 300000 and p < 700000) and 2000000 or 1000000
  local middle = (room - 1000000) / 2
  if x > room then
    chance = math.max(500000, c)
  elseif x + p > room then
    chance = 1000000
  elseif (p < 500000 and x > middle) or (p >= 500000 and x < middle) then
    chance = 500000
  else
    chance = p
  end
end
if ARGV[2] * ${partsPerMillion} >= chance * ${uniformRange} then
  if anew then
    keep()
    return '0' .. kept
  end
  local number = struct.pack('<d', n)
  redis.call('SETRANGE', account, 0, number)
  return '0' .. number .. string.sub(kept, 9)
end
local last, now = string.match(ARGV[4], '^(%d+) (%d+)$')
if n <= tonumber(last) then
  return 'l'
end
if fenced(false) then
  return 'f'
end
redis.call('HSET', calls, call, 'o')
redis.call('ZADD', account .. ':open', now, call)
local before = struct.pack(${layout}, ${fields})
o, x, y = o + 1, x + p - 1000000, y + c - 1000000
if d == string.sub(calls, -10) then s = s + 1 end
keep()
return '1' .. before
`;

/** ARGV: call, outcome, rate and cap in parts per million. */
export const settleScript = `${load}${raise}${close}
local call, outcome, ppm, cap = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local day = string.sub(calls, -10)
local before = redis.call('HGET', calls, call)
if before == 's' then
  return 0
end
local eligible, recorded = outcome == 'no-conversation' and 0 or 1, outcome == 'recorded' and 1 or 0
e, r = e + eligible, r + recorded
if before == 'o' or before == 'l' then
  if before == 'o' then
    close(call)
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
 * million.
 */
export const releaseScript = `${load}${raise}${close}
local call, ppm, cap = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local day = string.sub(calls, -10)
local before = redis.call('HGET', calls, call)
if before and before ~= 'o' then
  return 0
end
if before == 'o' then
  close(call)
  if d == day then s = math.max(0, s - 1) end
  raise(1000000 - ppm, 1000000 - cap, ppm)
end
redis.call('HSET', calls, call, 'p')
${settleDown}
return 1
`;

/** Selections beyond their lease become recorded conversations. ARGV: those opened before this (ms). Answers the counts. */
export const lapseScript = `${load}
local late = redis.call('ZRANGEBYSCORE', account .. ':open', '-inf', ARGV[1], 'LIMIT', 0, 100)
for _, call in ipairs(late) do
  redis.call('ZREM', account .. ':open', call)
  -- Drawn today or yesterday: the lease is shorter than a day.
  for _, day in ipairs({ calls, KEYS[2] }) do
    if redis.call('HGET', day, call) == 'o' then
      redis.call('HSET', day, call, 'l')
      o, e, r = math.max(0, o - 1), e + 1, r + 1
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
 * Open is what this server was told of: an account may have been seen with selections whose answers nobody received, and nobody
 * will settle those. Their charge stays.
 *
 * ARGV: n, e, r, x, y, p, d, s of the account, then for each selection: call, draw, rate, cap, opened at, state.
 */
export const recoverScript = (fenceMs: number): string => `${load}${fence(fenceMs)}
local lost = n < tonumber(ARGV[1])
local before = run
local closed = fenced(lost)
if lost and (closed or before ~= run) then
  b = tonumber(ARGV[1])
  n, e, r = b, tonumber(ARGV[2]), tonumber(ARGV[3])
  x, y, p, d, s = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6]), ARGV[7], tonumber(ARGV[8])
  terms = ''
end
local day = string.sub(calls, -10)
for i = 9, #ARGV, 6 do
  local call, draw, ppm, cap = ARGV[i], tonumber(ARGV[i + 1]), tonumber(ARGV[i + 2]), tonumber(ARGV[i + 3])
  local contained = draw <= b
  -- What a settlement gave may be in the account that was taken over: it must not be given twice.
  local state = contained and ARGV[i + 5] or 'o'
  if redis.call('HSETNX', calls, call, state) == 1 then
    if state == 'o' then
      redis.call('ZADD', account .. ':open', ARGV[i + 4], call)
      o = o + 1
    end
    if not contained then
      x, y = x + ppm - 1000000, y + cap - 1000000
      if d == day then s = s + 1 end
    end
  end
end
${settleDown}
return { n, closed and 1 or 0 }
`;

/** An account as a reservation is answered with it, after its first byte. */
export function readAccount(answer: Buffer): Account & { run: string } {
  const number = (index: number): number => answer.readDoubleLE(1 + index * 8);
  const [day = '', run = ''] = answer.toString('latin1', 1 + 12 * 8).split('\0', 2);
  return {
    draws: number(0),
    eligible: number(1),
    recorded: number(2),
    open: number(3),
    credit: number(4),
    announceCredit: number(5),
    ppm: number(6),
    today: number(9),
    day,
    run,
  };
}
