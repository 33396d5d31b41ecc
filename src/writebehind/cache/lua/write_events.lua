--[[ wb1_write_events: append one group of events to the open batch of a partition of an event log, a stream. See
group.lua for what all writing functions share.

ARGV  7... the events, at least one, each as its text: JSON of column to text, null is NULL. They are not looked into:
      what is no event becomes a dead letter

Each event's entry has the field `e` with that text. Its identity is its place: it rises with every event of the
partition, also from batch to batch. A rollback may take it back, but not behind the clock.
--]]
local EVENTS_A_MS = 1048576 -- 2^20: places are stored as milliseconds * 2^20 + number, in 64 bits

local function write_events(keys, args)
  local group, early = begin_group(keys, args)
  if early then
    return early
  end
  local header, open, count = keys[1], keys[2], #args - 6
  local size = redis.call('XLEN', open)
  if exceeds_bound(group, args, size, count) then
    return {'FULL', group.confirmed}
  end
  local moment, number = string.match(redis.call('HGET', header, 'event_id') or '0-0', '^(%d+)-(%d+)$')
  moment, number = tonumber(moment), tonumber(number)
  local now = now_ms()
  if now > moment then
    moment, number = now, -1
  end
  local place
  for i = 7, #args do
    number = number + 1
    if number == EVENTS_A_MS then
      moment, number = moment + 1, 0
    end
    place = decimal(moment) .. '-' .. decimal(number)
    redis.call('XADD', open, place, 'e', args[i])
  end
  redis.call('HSET', header, 'event_id', place)
  return finish_group(keys, args, group, size + count)
end

redis.register_function('wb1_write_events', write_events)
