--[[ wb1_write: add one group of amounts to the open batch of a partition. Everything is checked before
anything is written: a group is written whole or not at all.

KEYS  1 header, 2 open batch, 3 lanes of the open batch, 4 lanes,
      5... the cached value's key of each entry, in the order of the entries
ARGV  1 layout
      2 incarnation in which the writer believes to be ('' where it does not know)
      3 producer, '' for a writer without sequence numbers
      4 sequence number of this group in its lane (producer, incarnation): 1, 2, 3, ... ('' without producer)
      5 how many single writes the group stands for
      6 the most fields that may be pending in this partition (0: no bound)
      7 '1': answer the total of each entry; '0': answer nothing
      8... field, amount of each entry; amounts are signed 64-bit decimal integers

Reply, an array whose first element says what happened:
  OK       confirmed, birth, fields, total...   written. `confirmed`: the last sequence number of this lane
           that the database has; `birth`: the open batch's birth identity; `fields`: how many it has now
  ALREADY  confirmed, birth, fields, total...   this sequence number was written before; nothing was
           written now, and the answer is the one that was given then
  REFUSED  confirmed, index, code, ...          nothing was written, but the sequence number is used;
           index counts entries from 0; code: RANGE (a sum would leave 64 bits), MISSING (no cached value
           to answer a total from), NUMBER (the amount is not an integer)
  FULL     confirmed                            the bound is reached; nothing was written, the number not used
  NEW      incarnation                          the writer's incarnation is not this partition's; nothing was
           written. '' where nobody has entered the server's present incarnation yet: call wb1_enter
  LAYOUT   layout                               the partitions are laid out differently; nothing was written
  GAP      last                                 the number does not follow the lane's last one: the lane was
           forgotten, begin a new one; nothing was written
--]]
local function write(keys, args)
  local header, open, open_lanes, lanes = keys[1], keys[2], keys[3], keys[4]
  local replid, incarnation, layout, birth, horizon, sealed_fields, first_write = unpack(redis.call('HMGET',
    header, 'replid', 'incarnation', 'layout', 'birth', 'horizon_ms', 'sealed_fields', 'first_write_ms'))
  if replid ~= current_replid() then
    return {'NEW', ''}
  end
  if layout ~= args[1] then
    return {'LAYOUT', layout}
  end
  local producer, sequence = args[3], tonumber(args[4])
  if args[2] ~= incarnation and (producer ~= '' or args[2] ~= '') then
    return {'NEW', incarnation}
  end

  local confirmed, had_answer = '0', false
  if producer ~= '' then
    local lane = redis.call('HMGET', lanes, producer, producer .. ':answer', producer .. ':confirmed')
    local last, birth_then = string.match(lane[1] or '0 ', '^(%d+) (.*)$')
    last, had_answer, confirmed = tonumber(last), lane[2], string.match(lane[3] or '0', '^%d+')
    if sequence == last and had_answer then
      return cjson.decode(had_answer)
    elseif sequence <= last then
      return {'ALREADY', confirmed, birth_then, 0}
    elseif sequence ~= last + 1 then
      return {'GAP', decimal(last)}
    end
  end

  local entries = #keys - 4
  local fields = {}
  for i = 1, entries do
    fields[i] = args[6 + 2 * i]
  end
  local amounts = collect_in_chunks('HMGET', open, fields, 1, entries)
  local bound, new_fields = tonumber(args[6]), 0
  for i = 1, entries do
    if not amounts[i] then
      new_fields = new_fields + 1
    end
  end
  if bound > 0 and new_fields > 0 and redis.call('HLEN', open) + tonumber(sealed_fields or 0) + new_fields > bound then
    return {'FULL', confirmed}
  end

  local values = collect_in_chunks('MGET', nil, keys, 5, #keys)
  local trusted = trust(horizon)
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
    local answer = {'REFUSED', confirmed, unpack(refused, 1, math.min(#refused, 2 * CHUNK))}
    if producer ~= '' then
      redis.call('HSET', lanes, producer, args[4] .. ' ', producer .. ':answer', cjson.encode(answer))
    end
    return answer
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
  if birth then
    redis.call('HINCRBY', header, 'writes', args[5])
  else
    -- Within one incarnation a batch is born once; with writers that have no producer, time and place name it.
    birth = producer ~= '' and (producer .. '.' .. incarnation .. '.' .. args[4])
      or (incarnation .. '.' .. decimal(now_ms()) .. '.' .. redis.call('HGET', header, 'last'))
    redis.call('HSET', header, 'birth', birth, 'first_write_ms', decimal(now_ms()), 'writes', args[5])
  end
  local answer = {'OK', confirmed, birth, redis.call('HLEN', open)}
  if want_totals then
    for i = 1, entries do
      answer[4 + i] = totals[i]
    end
  end
  if producer ~= '' then
    redis.call('HSET', open_lanes, producer, args[4])
    redis.call('HSET', lanes, producer, args[4] .. ' ' .. birth)
    if want_totals then
      -- Asked again because the answer was lost, the same totals are answered, though others wrote since.
      redis.call('HSET', lanes, producer .. ':answer', cjson.encode({'ALREADY', unpack(answer, 2)}))
    elseif had_answer then
      redis.call('HDEL', lanes, producer .. ':answer')
    end
  end
  return answer
end

redis.register_function('wb1_write', write)
