--[[ How two changes of one record become one. A change is a letter and JSON:

  u{"name":"Ada"}     sets columns (texts, null is NULL), and inserts the row if it is missing
  d                   deletes the row
  n{"name":"Ada"}     deletes the row and inserts it anew

Where a version column decides, columns come with the versions under which they were written, deletions with theirs:
  u[{"name":"Ada"},{"name":"17"}]     d17     n[{"name":"Ada"},{"name":"17"},"16"]
--]]

-- Whether a version is smaller than another: integers by their value, moments by their text of a fixed width.
local function is_older(version, other, kind)
  if kind ~= 'integer' then
    return version < other
  end
  local negative, other_negative = string.sub(version, 1, 1) == '-', string.sub(other, 1, 1) == '-'
  if negative ~= other_negative then
    return negative
  end
  local smaller = #version < #other or (#version == #other and version < other)
  return version ~= other and (smaller ~= negative)
end

-- The columns, their versions (or nil) and the version of a deletion (or nil) in a change that is not just a deletion.
local function record_parts(change, versioned)
  local content = cjson.decode(string.sub(change, 2))
  if versioned then
    return content[1], content[2], content[3]
  end
  return content
end

-- The version of a single write, or the largest one of a merged change.
local function record_version(change, kind)
  if string.sub(change, 1, 1) == 'd' then
    return string.sub(change, 2)
  end
  local _, versions, largest = record_parts(change, true)
  for _, version in pairs(versions) do
    if not largest or is_older(largest, version, kind) then
      largest = version
    end
  end
  return largest
end

-- The change `before` (or nil) followed by `now`, as one; `before` where its version is larger than that of `now`.
local function merge_record(before, now, kind)
  if not before then
    return now
  end
  local versioned = kind ~= ''
  if versioned and is_older(record_version(now, kind), record_version(before, kind), kind) then
    return before
  end
  if string.sub(now, 1, 1) ~= 'u' then
    return now
  end
  local letter = string.sub(before, 1, 1)
  if letter == 'd' then
    if not versioned then
      return 'n' .. string.sub(now, 2)
    end
    local columns, versions = record_parts(now, true)
    return 'n' .. cjson.encode({columns, versions, string.sub(before, 2)})
  end
  local columns, versions, deleted_at = record_parts(before, versioned)
  local new_columns, new_versions = record_parts(now, versioned)
  for name, text in pairs(new_columns) do
    columns[name] = text
    if versioned then
      versions[name] = new_versions[name]
    end
  end
  return letter .. cjson.encode(versioned and {columns, versions, deleted_at} or columns)
end
