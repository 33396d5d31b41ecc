--[[ What the functions share. The library's first line, its name and version, is added by the loader.

Header of a partition (hash):
  replid          the server's master_replid when the incarnation began
  incarnation     the identity of the fence that began it; the name of the incarnation
  layout          the partition count that the writers must agree on
  last            the identity of the last batch or fence that was sealed: the parent of the open batch
  birth           the open batch's birth identity; absent while nothing is open
  first_write_ms  when the open batch was born, by this server's clock
  writes          how many writes the open batch holds
  sealed_fields   how many fields the sealed batches hold together
  generation      raised whenever cached values stop being trustworthy
  horizon_ms      cached values that expire at this moment or before are older than the incarnation
  commit, ledger  the highest commit number that a worker brought, and the ledger that it belongs to
  event_id        of an event log: the place of the last event, as a stream's identity 'milliseconds-number'
  lanes_cursor    where the search for silent lanes goes on
  touched         rises where somebody needs a write to wait for; means nothing
  flush_asked     set when someone asked for a flush; the next sealing clears it

Lanes of a partition (hash), for each producer P of the present incarnation:
  P               'sequence birth': its last group's number, and the birth of the batch that it went into
  P:answer        the last answer, as JSON, where it cannot be told again from the above
  P:confirmed     'sequence moment_ms': how far the database has it, and since when
--]]

-- The identity of one continuous life of this server's data. It changes on a restart and a promotion.
local function current_replid()
  return string.match(redis.call('INFO', 'replication'), 'master_replid:(%x+)')
end

local function now_ms()
  local time = redis.call('TIME')
  return tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
end

-- A number as a decimal string without an exponent: Lua's own tostring writes 1e+14.
local function decimal(number)
  return string.format('%.0f', number)
end

local CHUNK = 1000 -- unpack() is limited by the Lua stack, about 8,000 values

-- Calls `command KEY value value ...` in chunks; `values` has `step` entries a row.
local function call_in_chunks(command, key, values, step)
  local size = CHUNK * step
  for first = 1, #values, size do
    redis.call(command, key, unpack(values, first, math.min(first + size - 1, #values)))
  end
end

-- One reply for `command [KEY] argument ...` over any number of arguments.
local function collect_in_chunks(command, key, arguments, first_index, last_index)
  local all = {}
  for first = first_index, last_index, CHUNK do
    local last = math.min(first + CHUNK - 1, last_index)
    local part
    if key then
      part = redis.call(command, key, unpack(arguments, first, last))
    else
      part = redis.call(command, unpack(arguments, first, last))
    end
    for i = 1, last - first + 1 do
      all[first - first_index + i] = part[i]
    end
  end
  return all
end

-- How many fields a batch has: an event log's batch is a stream, the others are hashes.
local function batch_size(batch)
  local kind = redis.call('TYPE', batch)['ok']
  if kind == 'stream' then
    return redis.call('XLEN', batch)
  end
  return kind == 'none' and 0 or redis.call('HLEN', batch)
end

-- What goes along with a batch, its lanes or what was captured for it, becomes the sealed batch's.
local function seal_along(open_part, batch_part)
  if redis.call('EXISTS', open_part) == 1 then
    redis.call('RENAMENX', open_part, batch_part)
  end
end

--[[ Exact signed 64-bit addition on decimal strings. Lua's numbers are doubles and lose digits beyond
2^53, so operands of up to 15 digits are added as numbers and longer ones limb by limb. --]]
local LIMB = 10000000 -- seven digits: three limbs hold 21
local HIGHEST = '9223372036854775807'
local LOWEST_MAGNITUDE = '9223372036854775808'

local function limbs(text)
  local digits = string.gsub(string.gsub(text, '^%-', ''), '^0+', '')
  local padded = string.rep('0', 21 - #digits) .. digits
  return tonumber(string.sub(padded, 15, 21)), tonumber(string.sub(padded, 8, 14)), tonumber(string.sub(padded, 1, 7))
end

local function exceeds(magnitude, limit)
  if #magnitude ~= #limit then
    return #magnitude > #limit
  end
  return magnitude > limit
end

-- Whether this is a signed 64-bit integer as INCRBY takes and writes it: '7', but not '07', '+7' or '-0'.
local function is_integer(text)
  local sign, magnitude = string.match(text, '^(%-?)([1-9]%d*)$')
  if not magnitude then
    return text == '0'
  end
  return not exceeds(magnitude, sign == '-' and LOWEST_MAGNITUDE or HIGHEST)
end

-- The sum as a string, or nil where it leaves the range of a signed 64-bit integer.
local function add(left, right)
  if #left <= 15 and #right <= 15 then
    return string.format('%.0f', tonumber(left) + tonumber(right))
  end
  local left_sign = string.sub(left, 1, 1) == '-' and -1 or 1
  local right_sign = string.sub(right, 1, 1) == '-' and -1 or 1
  local low_left, middle_left, high_left = limbs(left)
  local low_right, middle_right, high_right = limbs(right)
  local low = left_sign * low_left + right_sign * low_right
  local middle = left_sign * middle_left + right_sign * middle_right
  local high = left_sign * high_left + right_sign * high_right
  -- The sign of the sum is that of its most significant limb that is not zero, once carries are settled.
  local carry = math.floor(low / LIMB)
  low, middle = low - carry * LIMB, middle + carry
  carry = math.floor(middle / LIMB)
  middle, high = middle - carry * LIMB, high + carry
  local negative = high < 0
  if negative then
    low, middle, high = -low, -middle, -high
    carry = math.floor(low / LIMB)
    low, middle = low - carry * LIMB, middle + carry
    carry = math.floor(middle / LIMB)
    middle, high = middle - carry * LIMB, high + carry
  end
  local magnitude = string.gsub(string.format('%.0f%07.0f%07.0f', high, middle, low), '^0+', '')
  if magnitude == '' then
    return '0'
  end
  if exceeds(magnitude, negative and LOWEST_MAGNITUDE or HIGHEST) then
    return nil
  end
  return negative and '-' .. magnitude or magnitude
end

--[[ Cached values are trusted only if they were filled in this incarnation: a rollback may have brought
back older ones. Their time of expiry tells: `enter` puts the horizon where no older value can expire
later, `fill` lets every new one expire after it. Returns a function that says of a value's key whether
it is to be trusted; nearly always the horizon has passed, every older value is gone, and it asks nothing. --]]
local function trust(horizon)
  if not horizon or now_ms() > tonumber(horizon) then
    return function() return true end
  end
  local moment = tonumber(horizon)
  return function(key)
    return redis.call('PEXPIRETIME', key) > moment
  end
end
