/**
 * What Redis runs, each script atomically. KEYS: the month's counts (hash: eligible, recorded), its open selections
 * (sorted set: call, opened at), the call's state (`open`, `passed`, `settled`). An `open` call that is no longer among the
 * open selections has lapsed. `agent/sampling/tally.ts` does the same in memory.
 */

/** ARGV: rate in parts per million, call, now (ms), lease (ms), memory of a call (s), memory of a month (s). */
export const reserveScript = `
local counts, open, state = KEYS[1], KEYS[2], KEYS[3]
local ppm, call, now, lease = tonumber(ARGV[1]), ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])

for _, late in ipairs(redis.call('ZRANGEBYSCORE', open, '-inf', now - lease, 'LIMIT', 0, 100)) do
  redis.call('ZREM', open, late)
  redis.call('HINCRBY', counts, 'eligible', 1)
  redis.call('HINCRBY', counts, 'recorded', 1)
  redis.call('EXPIRE', counts, ARGV[6])
end

local eligible = tonumber(redis.call('HGET', counts, 'eligible') or 0)
local recorded = tonumber(redis.call('HGET', counts, 'recorded') or 0)
local waiting = redis.call('ZCARD', open)

if redis.call('EXISTS', state) == 1 then
  return { redis.call('ZSCORE', open, call) and 1 or 0, eligible, recorded, waiting }
end
if ppm > 0 and (recorded + waiting) * 1000000 <= ppm * eligible then
  redis.call('SET', state, 'open', 'EX', ARGV[5])
  redis.call('ZADD', open, now, call)
  redis.call('EXPIRE', open, ARGV[6])
  return { 1, eligible, recorded, waiting }
end
redis.call('SET', state, 'passed', 'EX', ARGV[5])
return { 0, eligible, recorded, waiting }
`;

/** ARGV: call, outcome, memory of a call (s), memory of a month (s). */
export const settleScript = `
local counts, open, state = KEYS[1], KEYS[2], KEYS[3]
local call, outcome = ARGV[1], ARGV[2]

local before = redis.call('GET', state)
if before == 'settled' then
  return 0
end
local eligible, recorded = 0, 0
if redis.call('ZREM', open, call) == 0 and before == 'open' then
  eligible, recorded = -1, -1
end
if outcome ~= 'no-conversation' then
  eligible = eligible + 1
end
if outcome == 'recorded' then
  recorded = recorded + 1
end
redis.call('HINCRBY', counts, 'eligible', eligible)
redis.call('HINCRBY', counts, 'recorded', recorded)
redis.call('EXPIRE', counts, ARGV[4])
redis.call('SET', state, 'settled', 'EX', ARGV[3])
return 1
`;

/** Gives back a reservation that nobody heard of, and keeps a late one from being made. ARGV: call, memory of a call (s). */
export const releaseScript = `
local open, state = KEYS[2], KEYS[3]
local before = redis.call('GET', state)
if before == false or (before == 'open' and redis.call('ZREM', open, ARGV[1]) == 1) then
  redis.call('SET', state, 'passed', 'EX', ARGV[2])
end
return 1
`;
