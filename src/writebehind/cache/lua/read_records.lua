--[[ wb1_read_records: cached records, where they can be trusted.

KEYS  1 header, 2... cached records' keys
ARGV  1 layout, 2 incarnation, as wb1_read takes it

Reply: OK, record...    in the order of the keys: column, text, ..., without NULLs; empty where none is cached
       NEW, incarnation; LAYOUT, layout
--]]
local function read_records(keys, args)
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
  local trusted, reply = trust(horizon), {'OK'}
  for i = 2, #keys do
    local cached = redis.call('TYPE', keys[i])['ok'] == 'hash' and trusted(keys[i])
    reply[i] = cached and redis.call('HGETALL', keys[i]) or {}
  end
  return reply
end

--[[ wb1_fill_records: put records that were read from the database into the cache, if they are still right: no batch
was sealed and nothing was diverted since the reading, and the open batch has the same change of the record as then.

KEYS  1 header, 2 open batch, 3... cached records' keys
ARGV  1 layout, 2 last, 3 generation (both as wb1_pending answered them), 4 time to live in milliseconds,
      5... of each record: field, its change in the open batch when it was read ('' where it had none), how many
      columns follow, then column, text of each that is not NULL

Reply: how many records were filled in
--]]
local function fill_records(keys, args)
  local replid, layout, last, generation, horizon = unpack(redis.call('HMGET', keys[1], 'replid', 'layout', 'last',
    'generation', 'horizon_ms'))
  if replid ~= current_replid() or layout ~= args[1] or last ~= args[2] or generation ~= args[3] then
    return 0
  end
  local expires = decimal(math.max(now_ms(), tonumber(horizon or 0)) + tonumber(args[4]))
  local filled, place = 0, 5
  for i = 3, #keys do
    local field, change_then, columns = args[place], args[place + 1], tonumber(args[place + 2])
    if (redis.call('HGET', keys[2], field) or '') == change_then and columns > 0 then
      redis.call('UNLINK', keys[i])
      call_in_chunks('HSET', keys[i], {unpack(args, place + 3, place + 2 + 2 * columns)}, 2)
      redis.call('PEXPIREAT', keys[i], expires)
      filled = filled + 1
    end
    place = place + 3 + 2 * columns
  end
  return filled
end

redis.register_function{function_name = 'wb1_read_records', callback = read_records, flags = {'no-writes'}}
redis.register_function('wb1_fill_records', fill_records)
