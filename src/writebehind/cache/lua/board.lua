--[[ A board's sorted set: reading it, and building it from the database's rows and what is pending.

A set is complete or absent. It is built under another name, with a member that no board can have, the token, which
says who builds it. From wb1_begin_board on each write goes into both; wb1_load_board brings what the database and the
sealed batches hold; wb1_finish_board gives it its name, if nothing has happened that this could not have followed.

wb1_read_board: ask a board.

KEYS  1 header, 2 the board's sorted set
ARGV  1 layout, 2 incarnation, as wb1_read takes it, 3 '1': the highest score is the top; '0': the lowest
      4 what is asked, then its arguments:
        range FIRST LAST    places from 0 at the top, as ZRANGE counts them
        place MEMBER        how many are better
        around MEMBER N     up to N members on each side
        scores MEMBER...    their scores
        size                how many members it has

Reply: OK, ...     range: member, score, ...; place: place, score, or nothing; around: the first one's place, then
                   member, score, ..., or nothing; scores: score or nil of each; size: a number.
                   Equal scores: with the highest at the top the larger member comes first, else the smaller, by bytes
       MISSING     the board is not built
       NEW, incarnation; LAYOUT, layout
--]]
local function read_board(keys, args)
  local replid, layout, horizon, incarnation = unpack(redis.call('HMGET', keys[1], 'replid', 'layout', 'horizon_ms',
    'incarnation'))
  if replid ~= current_replid() then
    return {'NEW', ''}
  end
  if args[2] ~= '' and args[2] ~= incarnation then
    return {'NEW', incarnation}
  end
  if layout ~= args[1] then
    return {'LAYOUT', layout}
  end
  local board, question = keys[2], args[4]
  if redis.call('TYPE', board)['ok'] ~= 'zset' or not trust(horizon)(board) then
    return {'MISSING'}
  end
  local rank, range = 'ZREVRANK', 'ZREVRANGE'
  if args[3] ~= '1' then
    rank, range = 'ZRANK', 'ZRANGE'
  end
  local reply = {'OK'}
  local function answer(found)
    for i = 1, #found do
      reply[#reply + 1] = found[i]
    end
    return reply
  end
  if question == 'range' then
    return answer(redis.call(range, board, args[5], args[6], 'WITHSCORES'))
  elseif question == 'scores' then
    return answer(collect_in_chunks('ZMSCORE', board, args, 5, #args))
  elseif question == 'size' then
    return {'OK', redis.call('ZCARD', board)}
  end
  local place = redis.call(rank, board, args[5])
  if not place then
    return reply
  elseif question == 'place' then
    return {'OK', place, redis.call('ZSCORE', board, args[5])}
  end
  local first = math.max(0, place - tonumber(args[6]))
  reply[2] = first
  return answer(redis.call(range, board, first, place + tonumber(args[6]), 'WITHSCORES'))
end

--[[ wb1_begin_board: begin to build a board. What is open is sealed, so that from now on all that is not in the
building set by itself lies in sealed batches, which do not change.

KEYS  1 to 8 as those of wb1_seal, 9 the set in which the board is built
ARGV  1 layout, 2 the new batch's identity, 3 the token, 4 for how many milliseconds the building may be silent

Reply: OK, last, generation, entry...    as wb1_pending answers them
       BUSY                              somebody builds it already; or so many sealed batches wait to be flushed that no
                                         more are made for a reader
       NEW; LAYOUT, layout
--]]
local LONGEST_CHAIN = 16 -- each sealed batch is a round trip for every reader, and a transaction for the flush

local function begin_board(keys, args)
  local header, open, queue, building = keys[1], keys[2], keys[4], keys[9]
  local replid, incarnation, layout, last, birth, first_write, writes, generation = unpack(redis.call('HMGET', header,
    'replid', 'incarnation', 'layout', 'last', 'birth', 'first_write_ms', 'writes', 'generation'))
  if replid ~= current_replid() then
    return {'NEW'}
  end
  if layout ~= args[1] then
    return {'LAYOUT', layout}
  end
  if redis.call('EXISTS', building) == 1 or redis.call('LLEN', queue) >= LONGEST_CHAIN then
    return {'BUSY'}
  end
  local size = batch_size(open)
  if size > 0 then
    close_batch(keys, args[2], size, last, incarnation, birth, writes, first_write)
    last = args[2]
  end
  redis.call('ZADD', building, 0, args[3])
  redis.call('PEXPIRE', building, args[4])
  return {'OK', last, generation, unpack(redis.call('LRANGE', queue, 0, -1))}
end

--[[ wb1_load_board: bring scores that the database and the sealed batches hold together into a board that is being
built. Its own writes are newer: by the rules max, min and sum the order does not matter, by the rule last they stay.

KEYS  1 the set in which the board is built
ARGV  1 the token, 2 the board's rule, 3 for how many milliseconds the building may be silent
      4... score, member of each entry

Reply: 1, or 0 where the building has ended and has to begin anew
--]]
local function load_board(keys, args)
  local building, keep = keys[1], args[2]
  if not redis.call('ZSCORE', building, args[1]) then
    return 0
  end
  for i = 4, #args, 2 do
    if keep == 'last' then
      redis.call('ZADD', building, 'NX', args[i], args[i + 1])
    else
      change_board(building, args[i], args[i + 1], keep)
    end
  end
  redis.call('PEXPIRE', building, args[3])
  return 1
end

--[[ wb1_finish_board: give a board that was built its name.

KEYS  1 header, 2 the set in which the board is built, 3 the board's sorted set
ARGV  1 layout, 2 generation, as wb1_begin_board answered it, 3 the token, 4 time to live in milliseconds

Reply: how many members the board has, or -1 where it has to be built anew
--]]
local function finish_board(keys, args)
  local replid, layout, generation, horizon = unpack(redis.call('HMGET', keys[1], 'replid', 'layout', 'generation',
    'horizon_ms'))
  if not redis.call('ZSCORE', keys[2], args[3]) then
    return -1
  end
  if replid ~= current_replid() or layout ~= args[1] or generation ~= args[2] then
    redis.call('UNLINK', keys[2])
    return -1
  end
  redis.call('ZREM', keys[2], args[3])
  redis.call('UNLINK', keys[3])
  local members = redis.call('ZCARD', keys[2])
  if members > 0 then -- a board without members has no set
    redis.call('RENAME', keys[2], keys[3])
    redis.call('PEXPIREAT', keys[3], decimal(math.max(now_ms(), tonumber(horizon or 0)) + tonumber(args[4])))
  end
  return members
end

--[[ wb1_abandon_board: end a building that its builder does not finish.

KEYS  1 the set in which the board is built
ARGV  1 the token

Reply: 1, or 0 where the building was another's or has ended
--]]
local function abandon_board(keys, args)
  return redis.call('ZSCORE', keys[1], args[1]) and redis.call('UNLINK', keys[1]) or 0
end

redis.register_function{function_name = 'wb1_read_board', callback = read_board, flags = {'no-writes'}}
redis.register_function('wb1_begin_board', begin_board)
redis.register_function('wb1_load_board', load_board)
redis.register_function('wb1_finish_board', finish_board)
redis.register_function('wb1_abandon_board', abandon_board)
