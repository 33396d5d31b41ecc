--[[ wb1_read: the cached values of some keys, where they can be trusted.

KEYS  1 header, 2... cached values' keys
ARGV  1 layout
      2 incarnation in which the reader believes to be: of another one, it may lack what the reader wrote itself
        ('' for a reader that writes nothing)

Reply: OK, value or nil ...    in the order of the keys
       NEW, incarnation        the incarnation is another one; '' where nobody has entered it: call wb1_enter
       LAYOUT, layout
--]]
local function read(keys, args)
  local replid, layout, horizon, incarnation = unpack(redis.call('HMGET', keys[1], 'replid', 'layout', 'horizon_ms',
    'incarnation'))
  if replid ~= current_replid() then
    return {'NEW', ''}
  end
  if args[2] ~= '' and args[2] ~= incarnation then
    return {'NEW', incarnation}
  end
  if layout ~= args[1] then
    return {'LAYOUT', layout}
  end
  local values = collect_in_chunks('MGET', nil, keys, 2, #keys)
  local trusted = trust(horizon)
  local reply = {'OK'}
  for i = 1, #keys - 1 do
    reply[1 + i] = values[i] and is_integer(values[i]) and trusted(keys[1 + i]) and values[i] or false
  end
  return reply
end

--[[ wb1_pending: what is pending for some fields, at one instant: in each sealed batch and in the open one.

KEYS  1 header, 2 queue, 3 open batch, 4... the keys of the sealed batches that the caller knows of
ARGV  1 layout, 2 incarnation, as above, 3 how many sealed batches the caller names, then their identities in order,
      then the fields

Reply: OK, last, generation, entry..., amount or nil ...
           the queue's entries (as many as the caller named), then the fields' amounts in the first batch,
           in the second, ..., in the open one
       CHAIN, entry...         the queue is another one: call again with these batches
       NEW, incarnation; LAYOUT, layout    as above
--]]
local function pending(keys, args)
  local replid, layout, last, generation, incarnation = unpack(redis.call('HMGET', keys[1], 'replid', 'layout', 'last',
    'generation', 'incarnation'))
  if replid ~= current_replid() then
    return {'NEW', ''}
  end
  if args[2] ~= '' and args[2] ~= incarnation then
    return {'NEW', incarnation}
  end
  if layout ~= args[1] then
    return {'LAYOUT', layout}
  end
  local known = tonumber(args[3])
  local queue = redis.call('LRANGE', keys[2], 0, -1)
  local same = #queue == known
  for i = 1, same and known or 0 do
    same = same and string.sub(queue[i], 1, #args[3 + i] + 1) == args[3 + i] .. ' '
  end
  if not same then
    return {'CHAIN', unpack(queue)}
  end
  local reply = {'OK', last, generation, unpack(queue)}
  for i = 1, known + 1 do
    local batch = i <= known and keys[3 + i] or keys[3]
    local amounts = collect_in_chunks('HMGET', batch, args, 4 + known, #args)
    for j = 1, #args - 3 - known do
      reply[#reply + 1] = amounts[j] or false
    end
  end
  return reply
end

--[[ wb1_confirmed: how far the database has a producer, and in which incarnation the cache is: a producer that
writes nothing learns so that its acknowledged writes may have been rolled back.

KEYS  1 header, 2 lanes
ARGV  1 producer

Reply: OK, incarnation, sequence number    the last one of the producer's lane that the database has, 0 for none
       NEW                                 as above
--]]
local function confirmed(keys, args)
  local replid, incarnation = unpack(redis.call('HMGET', keys[1], 'replid', 'incarnation'))
  if replid ~= current_replid() then
    return {'NEW'}
  end
  return {'OK', incarnation, string.match(redis.call('HGET', keys[2], args[1] .. ':confirmed') or '0', '^%d+')}
end

redis.register_function{function_name = 'wb1_confirmed', callback = confirmed, flags = {'no-writes'}}
redis.register_function{function_name = 'wb1_read', callback = read, flags = {'no-writes'}}
redis.register_function{function_name = 'wb1_pending', callback = pending, flags = {'no-writes'}}
