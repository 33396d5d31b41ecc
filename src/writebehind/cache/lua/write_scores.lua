--[[ wb1_write_scores: bring one group of scores into the open batch of a partition of a leaderboard. See group.lua
for what all writing functions share; merge_scores.lua for the changes.

KEYS  5... for each board of the group: its sorted set, and the one in which it is being built
ARGV  7 the board's rule: max, min, last or sum
      8... field, change, member, number of the board (from 1) of each entry

A sorted set that exists gets the same changes. A board that is being built gets them too, from the moment at which
its building began: what was pending before lies in sealed batches then. Where its members' rows are loaded after
newer changes, the rule makes the order not matter; a removal does, and ends the building.

Reply: codes of REFUSED: RANGE (the score, or a sum, pending or on the board, would not be exact), NUMBER (the change
       is none)
--]]
local function write_scores(keys, args)
  local group, early = begin_group(keys, args)
  if early then
    return early
  end
  local open, keep = keys[2], args[7]
  local entries, fields = (#args - 7) / 4, {}
  for i = 1, entries do
    fields[i] = args[4 + 4 * i]
  end
  local changes, added = open_values(open, fields)
  if exceeds_bound(group, args, redis.call('HLEN', open), added) then
    return {'FULL', group.confirmed}
  end

  local trusted = trust(group.horizon)
  local built = {}
  for i = 5, #keys, 2 do
    built[(i - 3) / 2] = redis.call('TYPE', keys[i])['ok'] == 'zset' and trusted(keys[i])
  end
  local pending, sums, refused = {}, {}, {}
  for i = 1, entries do
    local field, change, member, number = unpack(args, 4 + 4 * i, 7 + 4 * i)
    local operation, score = score_parts(change)
    local is_change, merged = is_score_change(change), nil
    if is_change and not is_inexact(change) then
      merged = merge_score(pending[field] or changes[i], change, keep)
    end
    if merged and keep == 'sum' and built[tonumber(number)] then
      -- The board's own sum has to be exact, too.
      local before = operation == '' and (sums[field] or redis.call('ZSCORE', keys[3 + 2 * number], member)) or 0
      sums[field] = exact_sum(tonumber(before), score or 0)
      merged = sums[field] and merged
    end
    if not merged then
      refused[#refused + 1] = decimal(i - 1)
      refused[#refused + 1] = is_change and 'RANGE' or 'NUMBER'
    else
      pending[field] = merged
    end
  end
  if #refused > 0 then
    return refuse_group(keys, args, group, refused)
  end

  local building = {}
  for i = 5, #keys, 2 do
    local number = (i - 3) / 2
    if not built[number] then
      redis.call('UNLINK', keys[i]) -- of another incarnation, or another type
    end
    building[number] = redis.call('EXISTS', keys[i + 1]) == 1
  end
  local merged, expires = {}, {}
  for i = 1, entries do
    local field, change, member, number = unpack(args, 4 + 4 * i, 7 + 4 * i)
    if pending[field] then
      merged[#merged + 1] = field
      merged[#merged + 1] = pending[field]
      pending[field] = nil
    end
    number = tonumber(number)
    if built[number] then
      if change == 'x' and not expires[number] then
        -- A set that loses its last member is gone, and its time of expiry with it.
        expires[number] = redis.call('PEXPIRETIME', keys[3 + 2 * number])
      end
      change_board(keys[3 + 2 * number], change, member, keep)
    end
    if building[number] then
      if string.find(change, '^[=x]') then
        redis.call('UNLINK', keys[4 + 2 * number])
        building[number] = false
      else
        change_board(keys[4 + 2 * number], change, member, keep)
      end
    end
  end
  for number, moment in pairs(expires) do
    keep_expiry(keys[3 + 2 * number], moment)
  end
  call_in_chunks('HSET', open, merged, 2)
  return finish_group(keys, args, group, redis.call('HLEN', open))
end

redis.register_function('wb1_write_scores', write_scores)
