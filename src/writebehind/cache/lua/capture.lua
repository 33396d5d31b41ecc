--[[ Capturing: what plain commands of any program did to its own keys is brought into the open batch.

The worker learns of dirty keys from keyspace notifications. It reads them, asks its subscription for a sign of life,
and so knows every event before the reading: between the last capture of a key and the value that it brings here, the
key lived on, or it knows how its life ended. The functions compare what it brings with what was captured last, and put
the difference into the open batch. They do not look at the application's keys themselves: a value that has changed
since comes with an event of its own.

`captured` of a partition (hash):
  ''                  'TOKEN NUMBER INCARNATION': the worker that captures, and its last call; others change nothing
  ' '                 the same of the worker before
  wb:{first scan}...  present when the keys that were there at first have been captured; the pattern is in the name
  an application's key    what was captured of it last: a number, a record as JSON, '1' for a board, whose copy is a
                          sorted set of its own

`open:captured`, sealed along with the batch (hash): field -> 'FROM VALUE DELTA KEY'
  FROM   what had been captured of the key before this batch, in the batch's unit; '=' where it does not matter
  VALUE  what has been captured of it with this batch, 0 where its life ended
  DELTA  how much of the field's amount was captured
  KEY    the application's key
The database keeps VALUE for each key. Where it does not have FROM, the cache was rolled back: see docs/protocol.md.

KEYS  1 header, 2 open batch, 3 captured of the open batch, 4 captured, then what the function says
ARGV  1 layout, 2 incarnation, 3 4 5 empty, 6 the most fields that may be pending in this partition (0: no bound),
      7 'TOKEN NUMBER INCARNATION': the call's own name, then what the function says

Reply: OK, ...                 as the function says
       FULL, confirmed; NEW, incarnation; LAYOUT, layout    as of every writing function; nothing was changed
       TAKEN                   another worker captures this mapping now; nothing was changed

How a key comes: '' it lives, 'd' it was deleted (and may live again), 'v' it vanished (expired, evicted, or was found
missing) and may live again, '?' it was found by a scan: where it fell back, it vanished in between; '!' the
same, and the database has to be told what it is worth; '=' it was found by the first scan.
--]]
local MARK_FIELD = '\0' -- no key of a row can be it

local function token_of(call)
  return string.match(call or '', '^%S*')
end

local function begin_capture(keys, args)
  local group, early = begin_group(keys, args)
  if not early and token_of(redis.call('HGET', keys[4], '')) ~= token_of(args[7]) then
    early = {'TAKEN'}
  end
  return group, early
end

local function finish_capture(keys, args, group, writes)
  redis.call('HSET', keys[4], '', args[7])
  if writes > 0 then
    count_writes(keys[1], group, group.birth or anonymous_birth(keys[1], group.incarnation), writes)
  end
end

--[[ wb1_capture_begin: become the one worker that captures these keys, or note that the first scan is done.

ARGV  8 the name of the mark that the first scan is done, 9 '1': note it; '0': take the keys over

Reply: OK, '1' where the first scan is done, else '0', the last call of the worker before
--]]
local function capture_begin(keys, args)
  local open, open_captured, captured, mark = keys[2], keys[3], keys[4], args[8]
  local group, early
  if args[9] == '0' then
    group, early = begin_group(keys, args)
    local before = not early and redis.call('HGET', captured, '') or ''
    if not early and token_of(before) ~= token_of(args[7]) then
      redis.call('HSET', captured, '', args[7], ' ', before)
    end
  else
    group, early = begin_capture(keys, args)
  end
  if early then
    return early
  end
  if args[9] == '1' then
    -- The mark goes through the chain to the database, after all that the scan captured.
    redis.call('HSET', captured, mark, '1')
    redis.call('HSETNX', open, MARK_FIELD, '0')
    redis.call('HSET', open_captured, MARK_FIELD, '= 1 0 ' .. mark)
    finish_capture(keys, args, group, 1)
  end
  return {'OK', decimal(redis.call('HEXISTS', captured, mark)), redis.call('HGET', captured, ' ') or ''}
end

local function negated(number)
  if number == '0' then
    return number
  end
  return string.sub(number, 1, 1) == '-' and string.sub(number, 2) or '-' .. number
end

--[[ How the captured part of one counter moves: from `last` (nil where nothing was captured) to `value` (nil where the
key does not live). Returns what is captured now, the amount (nil beyond 64 bits), and whether the key vanished. --]]
local function captured_amount(last, how, value)
  local at, amount, has_vanished = last or '0', '0', false
  if how == 'd' then
    at, amount = '0', add('0', negated(at))
  elseif how == 'v' or not value or ((how == '?' or how == '!') and is_older(value, at, 'integer')) then
    at, has_vanished = '0', last ~= nil
  end
  if value and amount then
    local step = add(value, negated(at))
    amount = step and add(amount, step)
    at = value
  end
  return at, amount, has_vanished
end

--[[ wb1_capture_counters: capture numbers.

KEYS  5... the cached value's key of each entry
ARGV  8... of each entry: the application's key, field, how it comes, its number in units of the column ('' where it does
      not live); with '=' how is '=' and the amount to add. No key comes twice.

Reply: OK, how many entries changed anything, how many vanished, their indices from 0, then those of the entries whose
       amount, sum or total would leave 64 bits: they are left as they are
--]]
local function capture_counters(keys, args)
  local group, early = begin_capture(keys, args)
  if early then
    return early
  end
  local open, open_captured, captured = keys[2], keys[3], keys[4]
  local entries, names, fields = #keys - 4, {}, {}
  for i = 1, entries do
    names[i], fields[i] = args[4 + 4 * i], args[5 + 4 * i]
  end
  local amounts, added = open_values(open, fields)
  if exceeds_bound(group, args, redis.call('HLEN', open), added) then
    return {'FULL', group.confirmed}
  end
  local lasts = collect_in_chunks('HMGET', captured, names, 1, entries)
  local befores = collect_in_chunks('HMGET', open_captured, fields, 1, entries)
  local totals = collect_in_chunks('MGET', nil, keys, 5, #keys)
  local trusted = trust(group.horizon)
  local vanished, unfit, writes = {}, {}, 0
  for i = 1, entries do
    local how, value = args[6 + 4 * i], args[7 + 4 * i]
    value = value ~= '' and value or nil
    local last = lasts[i] or nil
    local from, at, amount, has_vanished = last or '0', nil, nil, false
    if string.sub(how, 1, 1) == '=' and not last then
      from, at, amount = '=', value, string.sub(how, 2)
    else
      at, amount, has_vanished = captured_amount(last, how, value)
    end
    local from_before, delta_before = string.match(befores[i] or '', '^(%S+) %S+ (%S+) ')
    local sum, delta = amount and add(amounts[i] or '0', amount), amount and add(delta_before or '0', amount)
    local usable = totals[i] and is_integer(totals[i]) and trusted(keys[4 + i])
    if not (sum and delta) or (usable and not add(totals[i], amount)) then
      unfit[#unfit + 1] = i - 1
    else
      if value then
        redis.call('HSET', captured, names[i], at)
      else
        redis.call('HDEL', captured, names[i])
      end
      if at ~= (last or '0') or amount ~= '0' or from == '=' or how == '!' then
        writes = writes + 1
        redis.call('HSET', open, fields[i], sum)
        redis.call('HSET', open_captured, fields[i], table.concat({from_before or from, at, delta, names[i]}, ' '))
        if usable then
          redis.call('INCRBY', keys[4 + i], amount)
        elseif totals[i] then
          redis.call('UNLINK', keys[4 + i])
        end
      end
      if has_vanished then
        vanished[#vanished + 1] = i - 1
      end
    end
  end
  finish_capture(keys, args, group, writes)
  local reply = {'OK', writes, #vanished}
  for i = 1, #vanished do
    reply[3 + i] = vanished[i]
  end
  for i = 1, #unfit do
    reply[3 + #vanished + i] = unfit[i]
  end
  return reply
end

-- The change from the captured copy of a record (nil without one) to its columns now, nil where there is none.
local function captured_change(copy, columns, version)
  local changed, versions, is_changed = {}, {}, copy == nil
  for name, text in pairs(columns) do
    if not copy or copy[name] ~= text then
      changed[name], versions[name], is_changed = text, version, true
    end
  end
  for name in pairs(copy or {}) do
    if columns[name] == nil then
      changed[name], versions[name], is_changed = cjson.null, version, true
    end
  end
  if not is_changed then
    return nil
  end
  return 'u' .. cjson.encode(version ~= '' and {changed, versions} or changed)
end

--[[ wb1_capture_records: capture hashes.

KEYS  5... the cached record's key of each entry
ARGV  8 the version column, '' where the order of acceptance decides; 9 its kind: integer or text ('' without one)
      10... of each entry: the application's key, field, how it comes, its columns as JSON ('' where it does not live),
      its version ('' without one). No key comes twice. Texts are canonical; what is no column is left out.

Reply: as that of wb1_capture_counters; no entry is left as it is
--]]
local function capture_records(keys, args)
  local group, early = begin_capture(keys, args)
  if early then
    return early
  end
  local open, captured, version_column, kind = keys[2], keys[4], args[8], args[9]
  local entries, names, fields = #keys - 4, {}, {}
  for i = 1, entries do
    names[i], fields[i] = args[5 + 5 * i], args[6 + 5 * i]
  end
  local pending, added = open_values(open, fields)
  if exceeds_bound(group, args, redis.call('HLEN', open), added) then
    return {'FULL', group.confirmed}
  end
  local copies = collect_in_chunks('HMGET', captured, names, 1, entries)
  local trusted = trust(group.horizon)
  local vanished, writes = {}, 0
  for i = 1, entries do
    local how, text, version = args[7 + 5 * i], args[8 + 5 * i], args[9 + 5 * i]
    local copy = copies[i] and cjson.decode(copies[i]) or nil
    local changes = {}
    if how == 'd' then
      local deleted_at = copy and version_column ~= '' and copy[version_column] or ''
      if kind == '' or deleted_at ~= '' then
        changes[1] = 'd' .. deleted_at
      end
      copy = nil
    elseif how == 'v' or text == '' then
      if copy then
        vanished[#vanished + 1] = i - 1
      end
      copy = nil
    end
    if text == '' then
      redis.call('HDEL', captured, names[i])
    else
      if how ~= '=' or copy then
        changes[#changes + 1] = captured_change(copy, cjson.decode(text), version)
      end
      redis.call('HSET', captured, names[i], text)
    end
    if #changes > 0 then
      writes = writes + 1
      local merged = pending[i] or nil
      local cached = redis.call('TYPE', keys[4 + i])['ok']
      local usable = cached == 'hash' and trusted(keys[4 + i])
      for j = 1, #changes do
        merged = merge_record(merged, changes[j], kind)
        if usable then
          change_cached(keys[4 + i], changes[j], version_column, kind)
        end
      end
      if cached ~= 'none' and not usable then
        redis.call('UNLINK', keys[4 + i])
      end
      redis.call('HSET', open, fields[i], merged)
    end
  end
  finish_capture(keys, args, group, writes)
  local reply = {'OK', writes, #vanished}
  for i = 1, #vanished do
    reply[3 + i] = vanished[i]
  end
  return reply
end

--[[ wb1_capture_board: capture some members of one sorted set.

KEYS  5 the copy of the sorted set, 6 the board's cached set, 7 the one in which it is being built
ARGV  8 the board's rule, 9 the application's key, 10 how it comes; with 'v' the copy is forgotten, and no members come;
      with '=' the copy is taken, and nothing is written
      11... of each member: field, member, score in units of the column ('' where the set does not have it)

Reply: OK, how many members changed, '1' where the board vanished, else '0'
--]]
local function capture_board(keys, args)
  local group, early = begin_capture(keys, args)
  if early then
    return early
  end
  local open, captured, copy, board, building = keys[2], keys[4], keys[5], keys[6], keys[7]
  local keep, name, how = args[8], args[9], args[10]
  if how == 'v' then
    redis.call('UNLINK', copy)
    finish_capture(keys, args, group, 0)
    return {'OK', 0, decimal(redis.call('HDEL', captured, name))}
  end
  local fields, members, scores = {}, {}, {}
  for i = 11, #args, 3 do
    local number = #fields + 1
    fields[number], members[number], scores[number] = args[i], args[i + 1], args[i + 2]
  end
  local changes, added = open_values(open, fields)
  if exceeds_bound(group, args, redis.call('HLEN', open), added) then
    return {'FULL', group.confirmed}
  end
  local copied = collect_in_chunks('ZMSCORE', copy, members, 1, #members)
  local kind = redis.call('TYPE', board)['ok']
  local built = kind == 'zset' and trust(group.horizon)(board)
  if kind ~= 'none' and not built then
    redis.call('UNLINK', board)
  end
  local is_building = redis.call('EXISTS', building) == 1
  local writes = 0
  local expires = built and redis.call('PEXPIRETIME', board) or 0
  for i = 1, #members do
    local change
    if scores[i] == '' then
      change = copied[i] and 'x'
      redis.call('ZREM', copy, members[i])
    elseif not copied[i] or tonumber(copied[i]) ~= tonumber(scores[i]) then
      change = scores[i]
      redis.call('ZADD', copy, scores[i], members[i])
    end
    if change and how ~= '=' then
      writes = writes + 1
      redis.call('HSET', open, fields[i], merge_score(changes[i] or nil, change, keep))
      if built then
        change_board(board, change, members[i], keep)
      end
      if is_building and change == 'x' then
        redis.call('UNLINK', building) -- as in wb1_write_scores
        is_building = false
      elseif is_building then
        change_board(building, change, members[i], keep)
      end
    end
  end
  keep_expiry(board, expires)
  if redis.call('EXISTS', copy) == 1 then
    redis.call('HSET', captured, name, '1')
  else
    redis.call('HDEL', captured, name)
  end
  finish_capture(keys, args, group, writes)
  return {'OK', writes, '0'}
end

redis.register_function('wb1_capture_begin', capture_begin)
redis.register_function('wb1_capture_counters', capture_counters)
redis.register_function('wb1_capture_records', capture_records)
redis.register_function('wb1_capture_board', capture_board)
