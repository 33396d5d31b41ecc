--[[ wb1_fill: put totals that were read from the database into the cache, if they are still right: no
batch was sealed and nothing was diverted since the reading; what was written since is added.

KEYS  1 header, 2 open batch, 3... cached values' keys
ARGV  1 layout, 2 last, 3 generation (both as wb1_pending answered them), 4 time to live in milliseconds,
      5... field, total, the open batch's amount when the total was summed ('0' where it had none)

Reply: how many values the cache has now of those asked; 0 where the totals are not right any more
--]]
local function fill(keys, args)
  local replid, layout, last, generation, horizon = unpack(redis.call('HMGET', keys[1], 'replid', 'layout', 'last',
    'generation', 'horizon_ms'))
  if replid ~= current_replid() or layout ~= args[1] or last ~= args[2] or generation ~= args[3] then
    return 0
  end
  local trusted = trust(horizon)
  local expires = decimal(math.max(now_ms(), tonumber(horizon or 0)) + tonumber(args[4]))
  local filled = 0
  for i = 3, #keys do
    local base = 5 + 3 * (i - 3)
    local field, total, amount_then = args[base], args[base + 1], args[base + 2]
    local amount_now = redis.call('HGET', keys[2], field) or '0'
    local negated = string.sub(amount_then, 1, 1) == '-' and string.sub(amount_then, 2) or ('-' .. amount_then)
    local since = add(amount_now, negated)
    local total_now = since and add(total, since)
    if total_now then
      local value = redis.call('MGET', keys[i])[1] -- nil for a foreign value of another type, which stays
      if value and not (is_integer(value) and trusted(keys[i])) then
        redis.call('UNLINK', keys[i])
      end
      redis.call('SET', keys[i], total_now, 'PXAT', expires, 'NX')
      filled = filled + 1
    end
  end
  return filled
end

redis.register_function('wb1_fill', fill)
