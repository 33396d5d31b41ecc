--[[ wb1_write: add one group of amounts to the open batch of a partition of a counter. See group.lua for what all
writing functions share: the first keys and arguments, and the replies.

KEYS  5... the cached value's key of each entry, in the order of the entries
ARGV  7 '1': answer the total of each entry; '0': answer nothing
      8... field, amount of each entry; amounts are signed 64-bit decimal integers

Reply: after OK and ALREADY, the total of each entry, where they were asked for.
       Codes of REFUSED: RANGE (a sum would leave 64 bits), MISSING (no cached value to answer a total from), NUMBER
       (the amount is not an integer)
--]]
local function write(keys, args)
  local group, early = begin_group(keys, args)
  if early then
    return early
  end
  local open = keys[2]
  local entries, fields = #keys - 4, {}
  for i = 1, entries do
    fields[i] = args[6 + 2 * i]
  end
  local amounts, added = open_values(open, fields)
  if exceeds_bound(group, args, redis.call('HLEN', open), added) then
    return {'FULL', group.confirmed}
  end

  local values = collect_in_chunks('MGET', nil, keys, 5, #keys)
  local trusted = trust(group.horizon)
  local want_totals = args[7] == '1'
  local pending, running, refused, totals = {}, {}, {}, {}
  for i = 1, entries do
    local field, amount = fields[i], args[7 + 2 * i]
    local usable = values[i] and is_integer(values[i]) and trusted(keys[4 + i])
    if values[i] and not usable then
      values[i] = 'stale'
    end
    local code
    if not is_integer(amount) then
      code = 'NUMBER'
    else
      -- A field may stand in a group several times: later entries continue where earlier ones ended.
      local sum = add(pending[field] or amounts[i] or '0', amount)
      local value = running[field] or usable and values[i]
      local total = value and add(value, amount)
      if not sum or (value and not total) then
        code = 'RANGE'
      elseif want_totals and not value then
        code = 'MISSING'
      else
        pending[field], running[field], totals[i] = sum, total, total
      end
    end
    if code then
      refused[#refused + 1] = decimal(i - 1)
      refused[#refused + 1] = code
    end
  end
  if #refused > 0 then
    return refuse_group(keys, args, group, refused)
  end

  local sums = {}
  for i = 1, entries do
    local field = fields[i]
    if pending[field] then
      sums[#sums + 1] = field
      sums[#sums + 1] = pending[field]
      pending[field] = nil
    end
    if values[i] == 'stale' then
      redis.call('UNLINK', keys[4 + i])
    elseif values[i] then
      redis.call('INCRBY', keys[4 + i], args[7 + 2 * i])
    end
  end
  call_in_chunks('HSET', open, sums, 2)
  return finish_group(keys, args, group, redis.call('HLEN', open), want_totals and totals)
end

redis.register_function('wb1_write', write)
