--[[ wb1_touch: write something of no meaning, so that the connection has a write to WAIT or WAITAOF for. What this
incarnation accepted before is replicated, and synced, before it.

KEYS  1 header
ARGV  1 the incarnation in which the caller's write was accepted

Reply: OK
       NEW, incarnation    the cache is in another one: what was accepted in that one may be lost; '' as in wb1_write
--]]
local function touch(keys, args)
  local replid, incarnation = unpack(redis.call('HMGET', keys[1], 'replid', 'incarnation'))
  if replid ~= current_replid() then
    return {'NEW', ''}
  end
  if incarnation ~= args[1] then
    return {'NEW', incarnation}
  end
  redis.call('HINCRBY', keys[1], 'touched', 1)
  return {'OK'}
end

redis.register_function{function_name = 'wb1_touch', callback = touch, flags = {'allow-oom'}}
