--[[ What every function that writes a group shares: who may write, and what is noted of it. Each checks everything
before it writes anything, since the server does not roll back: a group is written whole or not at all.

KEYS  1 header, 2 open batch, 3 lanes of the open batch, 4 lanes, then what the function says
ARGV  1 layout
      2 incarnation in which the writer believes to be ('' where it does not know)
      3 producer, '' for a writer without sequence numbers
      4 sequence number of this group in its lane (producer, incarnation): 1, 2, 3, ... ('' without producer)
      5 how many single writes the group stands for
      6 the most fields (or events) that may be pending in this partition (0: no bound)
      then what the function says

Reply, an array whose first element says what happened:
  OK       confirmed, birth, fields, ...        written. `confirmed`: the last sequence number of this lane
           that the database has; `birth`: the open batch's birth identity; `fields`: how many it has now
  ALREADY  confirmed, birth, fields, ...        this sequence number was written before; nothing was
           written now. Of the lane's last group, if it asked for totals, the answer that was given then; else
           `birth` is that of the lane's last group, and `fields` is 0
  REFUSED  confirmed, index, code, ...          nothing was written, but the sequence number is used, and asked
           again the answer is the same; index counts entries from 0; the function says the codes
  FULL     confirmed                            the bound is reached; nothing was written, the number not used
  NEW      incarnation                          the writer's incarnation is not this partition's; nothing was
           written. '' where nobody has entered the server's present incarnation yet: call wb1_enter
  LAYOUT   layout                               the partitions are laid out differently; nothing was written
  GAP      last                                 the number does not follow the lane's last one: the lane was
           forgotten, begin a new one; nothing was written
--]]

--[[ The group that may be written now, or nil and the answer to give. The group's fields: producer, incarnation,
birth (nil where nothing is open), horizon, confirmed, had_answer. --]]
local function begin_group(keys, args)
  local header, lanes = keys[1], keys[4]
  local replid, incarnation, layout, birth, horizon, sealed_fields = unpack(redis.call('HMGET', header,
    'replid', 'incarnation', 'layout', 'birth', 'horizon_ms', 'sealed_fields'))
  if replid ~= current_replid() then
    return nil, {'NEW', ''}
  end
  if layout ~= args[1] then
    return nil, {'LAYOUT', layout}
  end
  local producer, sequence = args[3], tonumber(args[4])
  if args[2] ~= incarnation and (producer ~= '' or args[2] ~= '') then
    return nil, {'NEW', incarnation}
  end
  local confirmed, had_answer = '0', false
  if producer ~= '' then
    local lane = redis.call('HMGET', lanes, producer, producer .. ':answer', producer .. ':confirmed')
    local last, birth_then = string.match(lane[1] or '0 ', '^(%d+) (.*)$')
    last, had_answer, confirmed = tonumber(last), lane[2], string.match(lane[3] or '0', '^%d+')
    if sequence == last and had_answer then
      return nil, cjson.decode(had_answer)
    elseif sequence <= last then
      return nil, {'ALREADY', confirmed, birth_then, 0}
    elseif sequence ~= last + 1 then
      return nil, {'GAP', decimal(last)}
    end
  end
  return {
    producer = producer,
    incarnation = incarnation,
    birth = birth,
    horizon = horizon,
    sealed_fields = tonumber(sealed_fields or 0),
    confirmed = confirmed,
    had_answer = had_answer,
  }
end

-- Whether `added` more than the `open_size` that are open would be more than the writer allows to be pending.
local function exceeds_bound(group, args, open_size, added)
  local bound = tonumber(args[6])
  return bound > 0 and added > 0 and open_size + group.sealed_fields + added > bound
end

-- What is pending for the fields of the entries, in their order; and how many of the fields would be new.
local function open_values(open, fields)
  local values, added = collect_in_chunks('HMGET', open, fields, 1, #fields), 0
  for i = 1, #fields do
    if not values[i] then
      added = added + 1
    end
  end
  return values, added
end

-- `refused` is flat: index, code, ... The sequence number is used, and asked again the answer is the same.
local function refuse_group(keys, args, group, refused)
  local answer = {'REFUSED', group.confirmed, unpack(refused, 1, math.min(#refused, 2 * CHUNK))}
  if group.producer ~= '' then
    redis.call('HSET', keys[4], group.producer, args[4] .. ' ', group.producer .. ':answer', cjson.encode(answer))
  end
  return answer
end

-- Note in the header that `writes` more are in the open batch, and give it a birth if it has none.
local function count_writes(header, group, birth, writes)
  if group.birth then
    redis.call('HINCRBY', header, 'writes', writes)
    return group.birth
  end
  redis.call('HSET', header, 'birth', birth, 'first_write_ms', decimal(now_ms()), 'writes', writes)
  return birth
end

-- Where no producer names a birth, time and place do.
local function anonymous_birth(header, incarnation)
  return incarnation .. '.' .. decimal(now_ms()) .. '.' .. redis.call('HGET', header, 'last')
end

-- The entries are in the open batch, which has `size` fields now: note who wrote them; the answer.
local function finish_group(keys, args, group, size, totals)
  local header, open_lanes, lanes, producer = keys[1], keys[3], keys[4], group.producer
  -- Within one incarnation a batch is born once.
  local birth = group.birth or producer ~= '' and (producer .. '.' .. group.incarnation .. '.' .. args[4])
    or anonymous_birth(header, group.incarnation)
  count_writes(header, group, birth, args[5])
  local answer = {'OK', group.confirmed, birth, size}
  for i = 1, totals and #totals or 0 do
    answer[4 + i] = totals[i]
  end
  if producer ~= '' then
    redis.call('HSET', open_lanes, producer, args[4])
    redis.call('HSET', lanes, producer, args[4] .. ' ' .. birth)
    if totals then
      -- Asked again because the answer was lost, the same totals are answered, though others wrote since.
      redis.call('HSET', lanes, producer .. ':answer', cjson.encode({'ALREADY', unpack(answer, 2)}))
    elseif group.had_answer then
      redis.call('HDEL', lanes, producer .. ':answer')
    end
  end
  return answer
end
