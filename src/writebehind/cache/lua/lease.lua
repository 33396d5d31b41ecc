--[[ wb1_claim: take or renew the lease of a partition. It saves work; nothing depends on it.
KEYS  1 lease    ARGV  1 owner, 2 time to live in milliseconds
Reply: 1 where the caller has the lease now, 0 where another has it
--]]
local function claim(keys, args)
  local owner = redis.call('GET', keys[1])
  if owner and owner ~= args[1] then
    return 0
  end
  redis.call('SET', keys[1], args[1], 'PX', args[2])
  return 1
end

--[[ wb1_release: give the lease back, if it is still the caller's.
KEYS  1 lease    ARGV  1 owner    Reply: 1 where it was, else 0
--]]
local function release(keys, args)
  if redis.call('GET', keys[1]) ~= args[1] then
    return 0
  end
  return redis.call('DEL', keys[1])
end

redis.register_function{function_name = 'wb1_claim', callback = claim, flags = {'allow-oom'}}
redis.register_function{function_name = 'wb1_release', callback = release, flags = {'allow-oom'}}
