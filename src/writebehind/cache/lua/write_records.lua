--[[ wb1_write_records: bring one group of records' changes into the open batch of a partition. See group.lua for what
all writing functions share; merge_records.lua for the changes.

KEYS  5... the cached record's key of each entry, in the order of the entries
ARGV  7 the version column, '' where the order of acceptance decides; 8 how versions compare: integer or text, ''
        without one
      9... field, change of each entry

A cached record, a hash of column to text without its NULLs, gets the same change; a deletion removes it.

Reply: code of REFUSED: CHANGE (the change is none)
--]]
local function change_cached(key, change, version_column, kind)
  if string.sub(change, 1, 1) ~= 'u' then
    redis.call('UNLINK', key)
    return
  end
  if kind ~= '' then
    local present = redis.call('HGET', key, version_column)
    if present and is_older(record_version(change, kind), present, kind) then
      return
    end
  end
  local set, unset = {}, {}
  for name, text in pairs((record_parts(change, kind ~= ''))) do
    if text == cjson.null then
      unset[#unset + 1] = name
    else
      set[#set + 1] = name
      set[#set + 1] = text
    end
  end
  call_in_chunks('HSET', key, set, 2)
  call_in_chunks('HDEL', key, unset, 1)
end

local function is_version(text, kind)
  return type(text) == 'string' and text ~= '' and (kind ~= 'integer' or is_integer(text))
end

-- Whether all columns have texts or NULL; and where versions decide, whether each has one.
local function are_columns(columns, versions, kind)
  if type(columns) ~= 'table' or (kind ~= '' and (type(versions) ~= 'table' or next(columns) == nil)) then
    return false
  end
  for name, text in pairs(columns) do
    if type(name) ~= 'string' or (type(text) ~= 'string' and text ~= cjson.null)
      or (kind ~= '' and not is_version(versions[name], kind)) then
      return false
    end
  end
  return true
end

local function is_record_change(change, kind)
  local letter, rest = string.sub(change, 1, 1), string.sub(change, 2)
  if letter == 'd' then
    return kind == '' and rest == '' or kind ~= '' and is_version(rest, kind)
  end
  if not string.find(change, kind == '' and '^[un]{' or '^[un]%[') then
    return false
  end
  local is_json, content = pcall(cjson.decode, rest)
  if not is_json then
    return false
  elseif kind == '' then
    return are_columns(content, nil, kind)
  end
  return are_columns(content[1], content[2], kind) and (letter == 'u' or is_version(content[3], kind))
end

local function write_records(keys, args)
  local group, early = begin_group(keys, args)
  if early then
    return early
  end
  local open, version_column, kind = keys[2], args[7], args[8]
  local entries, fields, refused = #keys - 4, {}, {}
  for i = 1, entries do
    fields[i] = args[7 + 2 * i]
    if not is_record_change(args[8 + 2 * i], kind) then
      refused[#refused + 1] = decimal(i - 1)
      refused[#refused + 1] = 'CHANGE'
    end
  end
  local changes, added = open_values(open, fields)
  if exceeds_bound(group, args, redis.call('HLEN', open), added) then
    return {'FULL', group.confirmed}
  end
  if #refused > 0 then
    return refuse_group(keys, args, group, refused)
  end

  local trusted = trust(group.horizon)
  local pending, order = {}, {}
  for i = 1, entries do
    local field, change = fields[i], args[8 + 2 * i]
    if not pending[field] then
      order[#order + 1] = field
    end
    pending[field] = merge_record(pending[field] or changes[i], change, kind)
    local cached = redis.call('TYPE', keys[4 + i])['ok']
    if cached == 'hash' and trusted(keys[4 + i]) then
      change_cached(keys[4 + i], change, version_column, kind)
    elseif cached ~= 'none' then
      redis.call('UNLINK', keys[4 + i])
    end
  end
  local merged = {}
  for i = 1, #order do
    merged[2 * i - 1], merged[2 * i] = order[i], pending[order[i]]
  end
  call_in_chunks('HSET', open, merged, 2)
  return finish_group(keys, args, group, redis.call('HLEN', open))
end

redis.register_function('wb1_write_records', write_records)
