--[[ wb1_acknowledge: remove a batch from the front of the queue after its commit, and tell the lanes how
far the database has them. Acknowledging what is not at the front changes nothing.

KEYS  1 header, 2 queue, 3 the batch's key, 4 its lanes' key, 5 lanes,
      6... cached values to forget: keys whose writes did not reach their rows
ARGV  1 the batch's identity, 2 the ledger's identity, 3 the partition's commit number

Reply: 1 where the batch was removed, 0 where it was not at the front
--]]
local function acknowledge(keys, args)
  local header, queue, batch, batch_lanes, lanes = unpack(keys, 1, 5)
  if #keys > 5 then
    for i = 6, #keys do
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
  if incarnation == redis.call('HGET', header, 'incarnation') then
    local marks = redis.call('HGETALL', batch_lanes)
    for i = 1, #marks, 2 do
      redis.call('HSET', lanes, marks[i] .. ':confirmed', marks[i + 1])
    end
  end
  redis.call('UNLINK', batch, batch_lanes)
  redis.call('HINCRBY', header, 'sealed_fields', -tonumber(size))
  if args[2] ~= '' then
    local ledger, commit = unpack(redis.call('HMGET', header, 'ledger', 'commit'))
    if ledger ~= args[2] or tonumber(commit) < tonumber(args[3]) then
      redis.call('HSET', header, 'ledger', args[2], 'commit', args[3])
    end
  end
  return 1
end

redis.register_function{function_name = 'wb1_acknowledge', callback = acknowledge, flags = {'allow-oom'}}
