--[[ wb1_seal: close the open batch under an identity, if nothing sealed waits or it has reached its cap,
and answer the front of the chain. Allowed when memory is full, so that a full cache can drain.

KEYS  1 header, 2 open batch, 3 lanes of the open batch, 4 queue,
      5 the sealed batch's key, 6 its lanes' key, 7 what was captured for it (new, named after ARGV 2),
      8 what was captured for the open batch
ARGV  1 layout, 2 the new batch's identity, 3 the cap: fields at which the batch is sealed in any case,
      4 the ledger's identity, 5 the partition's commit number, both as the caller read them in the database

Reply: OK, incarnation, entry...   the first entries of the queue, oldest first:
                                   'identity parent incarnation birth writes size first_write_ms'
       NEW                         nobody has entered the server's present incarnation: call wb1_enter
       LAYOUT, layout              the partitions are laid out differently; nothing was changed
       RESTORED, ledger, commit    the cache knows a later commit, or another ledger: the caller's view of
                                   the database is old, or the database was restored; nothing was changed
--]]
-- Closes the open batch, which has `size` fields, under a new identity. The keys are those of wb1_seal.
local function close_batch(keys, identity, size, last, incarnation, birth, writes, first_write)
  local header, open, open_lanes, queue, batch, batch_lanes, batch_captured, open_captured = unpack(keys, 1, 8)
  redis.call('RENAMENX', open, batch)
  seal_along(open_lanes, batch_lanes)
  seal_along(open_captured, batch_captured)
  redis.call('RPUSH', queue, table.concat({identity, last, incarnation, birth, writes, decimal(size), first_write}, ' '))
  redis.call('HSET', header, 'last', identity)
  redis.call('HDEL', header, 'birth', 'first_write_ms', 'writes', 'flush_asked')
  redis.call('HINCRBY', header, 'sealed_fields', size)
end

local FRONT = 16 -- entries a caller is told of at once

local function seal(keys, args)
  local header, open, queue = keys[1], keys[2], keys[4]
  local replid, incarnation, layout, last, birth, first_write, writes, commit, ledger = unpack(redis.call('HMGET',
    header, 'replid', 'incarnation', 'layout', 'last', 'birth', 'first_write_ms', 'writes', 'commit', 'ledger'))
  if replid ~= current_replid() then
    return {'NEW'}
  end
  if layout ~= args[1] then
    return {'LAYOUT', layout}
  end
  if args[4] ~= '' and ledger and (ledger ~= args[4] or tonumber(commit) > tonumber(args[5])) then
    return {'RESTORED', ledger, commit}
  end
  local size = batch_size(open)
  if size > 0 and (redis.call('EXISTS', queue) == 0 or size >= tonumber(args[3])) then
    close_batch(keys, args[2], size, last, incarnation, birth, writes, first_write)
  end
  return {'OK', incarnation, unpack(redis.call('LRANGE', queue, 0, FRONT - 1))}
end

redis.register_function{function_name = 'wb1_seal', callback = seal, flags = {'allow-oom'}}
