import { FORGET_AFTER_MS, HEARD_MS, OPEN_LEASE_MS, UNHEARD_RETRY_MS } from '../activity.ts'

/**
 * The port's steps as Lua, each atomic. All keys are in one slot (`{installation}`), none has an expiry: that would run on a
 * clock that may jump.
 *
 *     …:clock      hash     `raw` Redis' clock at the last call; `now` the store's time then
 *     …:heard      sorted   holder → store time of its last heartbeat
 *     …:deadlines  sorted   pod key → its idle deadline (of a closed one: when it was closed)
 *     …:pod:<uid>  hash     `idle`, `active` (ms), `closed`, and `lease:<holder>` until when that holder's open stamp holds it
 *
 * **Store time** is Redis' clock with its jumps taken out: from one call to the next it goes on by what the clock did, and
 * when that was backward, or more than LONGEST_STEP_MS, not at all. So no setting of the clock closes anything early, and a
 * time in which nobody called (Redis was away) only lengthens windows by itself. Gateways and the leading operator call each
 * second, so that time goes on with any of them alive. A step that was not believed also forgets all heartbeats.
 *
 * **A late command does nothing**: each carries the store time until which its caller waits for it. One that sat in a cut
 * connection and arrives afterwards answers LATE, and a heartbeat is therefore never of old news.
 *
 * Every script answers `[store time, 'DONE' | 'LATE', …]`; numbers that matter to the fraction travel as text.
 */
export const LONGEST_STEP_MS = HEARD_MS

/** How many left-over pods one heartbeat removes at most. */
const SWEEP = 100

const PRELUDE = `
local CLOCK, HEARD, DEADLINES = KEYS[1], KEYS[2], KEYS[3]

local function advance()
  local time = redis.call('TIME')
  local raw = time[1] * 1000 + time[2] / 1000
  local last = redis.call('HMGET', CLOCK, 'raw', 'now')
  local step = raw - (tonumber(last[1] or '') or raw)
  local now = tonumber(last[2] or '') or raw
  if step < 0 or step >= ${LONGEST_STEP_MS} then redis.call('DEL', HEARD) else now = now + step end
  redis.call('HSET', CLOCK, 'raw', string.format('%.3f', raw), 'now', string.format('%.3f', now))
  return now
end

local now = advance()
local function answer(outcome) return { string.format('%.3f', now), outcome } end
if now > tonumber(ARGV[1]) then return answer('LATE') end

local function load(key)
  local flat = redis.call('HGETALL', key)
  local pod = { leases = {} }
  for i = 1, #flat, 2 do
    local holder = string.match(flat[i], '^lease:(.*)$')
    if holder then pod.leases[holder] = tonumber(flat[i + 1]) else pod[flat[i]] = tonumber(flat[i + 1]) end
  end
  return pod.active and pod
end

local function deadlineOf(pod)
  local deadline = pod.active + pod.idle
  for _, until_ms in pairs(pod.leases) do deadline = math.max(deadline, until_ms) end
  return deadline
end

local function known(key, idle)
  local pod = load(key)
  if pod then return pod end
  redis.call('HSET', key, 'idle', idle, 'active', string.format('%.3f', now))
  redis.call('ZADD', DEADLINES, now + idle, key)
  return { leases = {}, idle = idle, active = now }
end

-- What the holder may rely on, as text; '' for a closed pod.
local function record(key, holder, idle, open, ago)
  local pod = known(key, idle)
  if pod.closed then return '' end
  pod.idle, pod.active = idle, math.max(pod.active, now - ago)
  local field = 'lease:' .. holder
  redis.call('HSET', key, 'idle', idle, 'active', string.format('%.3f', pod.active))
  if open then redis.call('HSET', key, field, string.format('%.3f', now + ${OPEN_LEASE_MS})) else redis.call('HDEL', key, field) end
  for other, until_ms in pairs(pod.leases) do
    if until_ms <= now and other ~= holder then redis.call('HDEL', key, 'lease:' .. other) end
  end
  pod.leases[holder] = open and now + ${OPEN_LEASE_MS} or nil
  redis.call('ZADD', DEADLINES, deadlineOf(pod), key)
  local own = pod.active + idle
  if open then own = math.max(own, now + ${OPEN_LEASE_MS}) end
  return string.format('%.3f', own - now)
end

local function sweep()
  local before = '(' .. string.format('%.3f', now - ${FORGET_AFTER_MS})
  for _, key in ipairs(redis.call('ZRANGE', DEADLINES, '-inf', before, 'BYSCORE', 'LIMIT', 0, ${SWEEP})) do
    redis.call('DEL', key)
    redis.call('ZREM', DEADLINES, key)
  end
  redis.call('ZREMRANGEBYSCORE', HEARD, '-inf', before)
end
`

/** By name; `KEYS[4…]` are the pods', `ARGV[2…]` as each says. */
export const SCRIPTS = {
  /** holder, heartbeat 1|0, then idle, open 1|0, ago for each pod. Answers what the holder may rely on, for each. */
  carrelStamp: `${PRELUDE}
local holder, result = ARGV[2], answer('DONE')
for i = 4, #KEYS do
  local at = 4 + (i - 4) * 3
  result[#result + 1] = record(KEYS[i], holder, tonumber(ARGV[at]), ARGV[at + 1] == '1', tonumber(ARGV[at + 2]))
end
if ARGV[3] == '1' then
  sweep()
  redis.call('ZADD', HEARD, string.format('%.3f', now), holder)
end
return result`,

  /** idle, then who must have been heard. Answers 'closed', or what remains and for whom it waits. */
  carrelClose: `${PRELUDE}
local pod, result = known(KEYS[4], tonumber(ARGV[2])), answer('DONE')
if pod.closed then
  result[3] = 'closed'
  return result
end
local remaining = deadlineOf(pod) - now
if remaining > 0 then
  result[3] = string.format('%.3f', remaining)
  return result
end
result[3] = '${UNHEARD_RETRY_MS}'
for i = 3, #ARGV do
  local heard = tonumber(redis.call('ZSCORE', HEARD, ARGV[i]) or '')
  if not heard or now - heard >= ${HEARD_MS} then result[#result + 1] = ARGV[i] end
end
if #result > 3 then return result end
redis.call('HSET', KEYS[4], 'closed', 1)
redis.call('ZADD', DEADLINES, string.format('%.3f', now), KEYS[4])
result[3] = 'closed'
return result`,

  /** otherThan. Answers 'held' or 'free'. */
  carrelIsHeld: `${PRELUDE}
local pod, result = load(KEYS[4]), answer('DONE')
result[3] = 'free'
for holder, until_ms in pairs(pod and pod.leases or {}) do
  if holder ~= ARGV[2] and until_ms > now then result[3] = 'held' end
end
return result`,

  /** idle. */
  carrelRegister: `${PRELUDE}
known(KEYS[4], tonumber(ARGV[2]))
return answer('DONE')`,

  /** Answers 'active', 'unknown', or 'idle for, remaining' for each. */
  carrelLook: `${PRELUDE}
local result = answer('DONE')
for i = 4, #KEYS do
  local pod = load(KEYS[i])
  local said = 'unknown'
  if pod then
    local remaining = pod.closed and 0 or math.max(0, pod.active + pod.idle - now)
    said = string.format('%.3f %.3f', now - pod.active, remaining)
    for _, until_ms in pairs(pod.leases) do
      if not pod.closed and until_ms > now then said = 'active' end
    end
  end
  result[#result + 1] = said
end
return result`,

  carrelForget: `${PRELUDE}
for i = 4, #KEYS do
  redis.call('DEL', KEYS[i])
  redis.call('ZREM', DEADLINES, KEYS[i])
end
return answer('DONE')`,
} as const

export type Script = keyof typeof SCRIPTS

/** What an ACL user of Carrel needs, with its installation's keys (`~carrel:{<name>}:*`), and `+select` for another database than 0. */
export const ACL_COMMANDS = '+info +evalsha +eval +time +hgetall +hmget +hset +hdel +del +zadd +zrem +zscore +zrange +zremrangebyscore'
