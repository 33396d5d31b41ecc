--[[ How two changes of one member's score become one. A change is the text

  4200     a score, which meets the row's by the board's rule
  =4200    a score that replaces the row's, since the member was removed before
  x        the member is removed
--]]
local SCORE_LIMIT = 9007199254740992 -- 2^53: whole numbers beyond it are not exact as scores

-- The number in a text such as -42, 1.5 or 1e+16; nil where it is none, or is infinite.
local function score_number(text)
  local score = (string.find(text, '^%-?%d+%.?%d*$') or string.find(text, '^%-?%d+%.?%d*[eE][%+%-]?%d+$'))
    and tonumber(text)
  return score and math.abs(score) < math.huge and score or nil
end

-- The change's two parts: '', '=' or 'x', and the score (nil for a removal, or where it is no number).
local function score_parts(change)
  local operation = string.match(change, '^[=x]') or ''
  return operation, score_number(string.sub(change, #operation + 1))
end

-- The sum of two scores, nil where it is not exact: 2^53 + 1 is 2^53 as a double.
local function exact_sum(left, right)
  local sum = left + right
  return math.abs(sum) <= SCORE_LIMIT and sum - left == right and sum or nil
end

-- Whether this is a change: '4200', '-1.5', '1e+300', '=4200' or 'x'. Lua's tonumber also takes '0x10', 'inf' and ' 7'.
local function is_score_change(change)
  local number = string.match(change, '^=?(%-?%d+%.?%d*)$') or string.match(change, '^=?(%-?%d+%.?%d*[eE][+-]?%d+)$')
  return change == 'x' or (number ~= nil and math.abs(tonumber(number)) < math.huge)
end

-- Whether the change's score is a whole number beyond those of which a double holds each.
local function is_inexact(change)
  local digits = string.match(change, '^=?%-?0*(%d+)$')
  -- 2^53 + 1 would be 2^53 as a double.
  return digits ~= nil and tonumber(digits) >= SCORE_LIMIT and digits ~= '9007199254740992'
end

-- Two scores by the rule `keep`, as text; nil where a sum is not exact.
local function kept_score(before, now, keep)
  local left, right = tonumber(before), tonumber(now)
  if keep == 'max' then
    return left > right and before or now
  elseif keep == 'min' then
    return left < right and before or now
  elseif keep == 'sum' then
    local sum = exact_sum(left, right)
    return sum and decimal(sum)
  end
  return now
end

-- The change `before` (or nil) followed by `now`, as one; nil where a sum is not exact.
local function merge_score(before, now, keep)
  local operation, number = score_parts(now)
  if keep == 'sum' and number and math.abs(number) > SCORE_LIMIT then
    return nil
  end
  if not before or operation ~= '' then
    return now
  end
  local operation_before = score_parts(before)
  if operation_before == 'x' then
    return '=' .. now
  end
  local score = kept_score(string.sub(before, #operation_before + 1), now, keep)
  return score and operation_before .. score
end

-- The same change in a sorted set that holds the board's present scores.
local function change_board(board, change, member, keep)
  local operation = score_parts(change)
  local score = string.sub(change, #operation + 1)
  if operation == 'x' then
    redis.call('ZREM', board, member)
  elseif operation == '=' or keep == 'last' then
    redis.call('ZADD', board, score, member)
  elseif keep == 'sum' then
    redis.call('ZINCRBY', board, score, member)
  else
    redis.call('ZADD', board, keep == 'max' and 'GT' or 'LT', score, member)
  end
end

-- Give a set that was made anew the time of expiry that its predecessor had, so that it is not kept for ever.
local function keep_expiry(board, moment)
  if moment > 0 and redis.call('PEXPIRETIME', board) == -1 then
    redis.call('PEXPIREAT', board, decimal(moment))
  end
end
