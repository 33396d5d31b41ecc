--[[ wb1_enter: begin a new incarnation of a partition: seal what survived of the old one as its last
batch, then append a fence. Calling it again in the same incarnation changes nothing.

KEYS  1 header, 2 open batch, 3 lanes of the open batch, 4 lanes, 5 queue,
      6 the sealed batch's key, 7 its lanes' key, 8 what was captured for it (new, named after ARGV 2),
      9 what was captured for the open batch
ARGV  1 layout, 2 the new batch's identity, 3 the new fence's identity,
      4 the incarnation that the caller wants to leave although the server has not changed ('' normally)
      5 how long a cached value lives, in milliseconds

Reply: OK, incarnation, '1' where this call began it, '0' where it was there already
       LAYOUT, layout                  the partitions are laid out differently; nothing was changed
--]]
local CLOCK_SKEW_MS = 5000 -- between the clocks of a failed primary and the one that took over

local function enter(keys, args)
  local header, open, open_lanes, lanes, queue, batch, batch_lanes, batch_captured, open_captured = unpack(keys)
  local replid, incarnation, layout, last, birth, first_write, writes, horizon = unpack(redis.call('HMGET', header,
    'replid', 'incarnation', 'layout', 'last', 'birth', 'first_write_ms', 'writes', 'horizon_ms'))
  if layout and layout ~= args[1] then
    return {'LAYOUT', layout}
  end
  local server = current_replid()
  if replid == server and args[4] ~= incarnation then
    return {'OK', incarnation, '0'}
  end
  local now_number = now_ms()
  local now = decimal(now_number)
  if redis.call('EXISTS', open) == 1 and redis.call('RENAMENX', open, batch) == 1 then
    seal_along(open_lanes, batch_lanes)
    seal_along(open_captured, batch_captured)
    local size = batch_size(batch)
    -- A header that was lost leaves its batch without a parent; such a batch is quarantined, never guessed.
    redis.call('RPUSH', queue, table.concat({args[2], last or '?', incarnation or '?', birth or '?', writes or '0',
      decimal(size), first_write or now}, ' '))
    redis.call('HINCRBY', header, 'sealed_fields', size)
  end
  redis.call('UNLINK', lanes)
  redis.call('RPUSH', queue, table.concat({args[3], '*', args[3], args[3], '0', '0', now}, ' '))
  redis.call('HDEL', header, 'birth', 'first_write_ms', 'writes')
  redis.call('HSET', header, 'replid', server, 'incarnation', args[3], 'layout', args[1], 'last', args[3],
    'horizon_ms', decimal(math.max(now_number + CLOCK_SKEW_MS, tonumber(horizon or 0)) + tonumber(args[5])))
  redis.call('HINCRBY', header, 'generation', 1)
  return {'OK', args[3], '1'}
end

redis.register_function{function_name = 'wb1_enter', callback = enter, flags = {'allow-oom'}}
