--[[ wb1_acknowledge: remove a batch from the front of the queue after its commit, and tell the lanes how
far the database has them. Acknowledging what is not at the front changes nothing.

KEYS  1 header, 2 queue, 3 the batch's key, 4 its lanes' key, 5 lanes, 6 what was captured for it,
      7... cached values to forget: keys whose writes did not reach their rows
ARGV  1 the batch's identity, 2 the ledger's identity, 3 the partition's commit number,
      4 '1': the database has the batch; '0': it was put aside, so that its producers must not forget it

Reply: 1 where the batch was removed, 0 where it was not at the front
--]]
local LANE_RETENTION_MS = 7 * 24 * 3600 * 1000

--[[ Forget lanes that the database has whole and that were silent since, a few a call: every process that
ever wrote has one. A producer that comes back later is answered GAP, and begins a new lane. --]]
local function forget_silent_lanes(header, lanes, now)
  local cursor = redis.call('HGET', header, 'lanes_cursor') or '0'
  local slice = redis.call('HSCAN', lanes, cursor, 'COUNT', 20)
  redis.call('HSET', header, 'lanes_cursor', slice[1])
  for i = 1, #slice[2], 2 do
    local producer = string.match(slice[2][i], '^(.*):confirmed$')
    local confirmed, moment = string.match(slice[2][i + 1], '^(%d+) (%d+)$')
    if producer and confirmed and tonumber(moment) < now - LANE_RETENTION_MS then
      local last = redis.call('HGET', lanes, producer)
      if last and string.match(last, '^(%d+) ') == confirmed then
        redis.call('HDEL', lanes, producer, producer .. ':answer', producer .. ':confirmed')
      end
    end
  end
end

local function acknowledge(keys, args)
  local header, queue, batch, batch_lanes, lanes, batch_captured = unpack(keys, 1, 6)
  if #keys > 6 then
    for i = 7, #keys do
      redis.call('UNLINK', keys[i])
    end
    -- A reader that summed before the commit must not fill the old total in again.
    redis.call('HINCRBY', header, 'generation', 1)
  end
  local front = redis.call('LINDEX', queue, 0)
  if not front or string.sub(front, 1, #args[1] + 1) ~= args[1] .. ' ' then
    return 0
  end
  redis.call('LPOP', queue)
  local incarnation = string.match(front, '^%S+ %S+ (%S+) ')
  local size = string.match(front, ' (%d+) %d+$')
  if args[4] == '1' and incarnation == redis.call('HGET', header, 'incarnation') then
    local marks, now = redis.call('HGETALL', batch_lanes), now_ms()
    for i = 1, #marks, 2 do
      redis.call('HSET', lanes, marks[i] .. ':confirmed', marks[i + 1] .. ' ' .. decimal(now))
    end
    forget_silent_lanes(header, lanes, now)
  end
  redis.call('UNLINK', batch, batch_lanes, batch_captured)
  if size ~= '0' then -- a fence; and -0 is no integer to Redis 7.0
    redis.call('HINCRBY', header, 'sealed_fields', '-' .. size)
  end
  if args[2] ~= '' then
    local ledger, commit = unpack(redis.call('HMGET', header, 'ledger', 'commit'))
    if ledger ~= args[2] or tonumber(commit) < tonumber(args[3]) then
      redis.call('HSET', header, 'ledger', args[2], 'commit', args[3])
    end
  end
  return 1
end

redis.register_function{function_name = 'wb1_acknowledge', callback = acknowledge, flags = {'allow-oom'}}
