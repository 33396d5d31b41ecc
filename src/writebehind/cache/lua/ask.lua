--[[ wb1_ask_for_flush: tell whoever flushes this partition that someone waits. Allowed when memory is
full, since that is when a flush is needed most. The next sealing clears the wish.

KEYS  1 header    Reply: 1, or 0 where the partition has no header and so nothing to flush
--]]
local function ask_for_flush(keys)
  if redis.call('EXISTS', keys[1]) == 0 then
    return 0
  end
  redis.call('HSET', keys[1], 'flush_asked', '1')
  return 1
end

redis.register_function{function_name = 'wb1_ask_for_flush', callback = ask_for_flush, flags = {'allow-oom'}}
