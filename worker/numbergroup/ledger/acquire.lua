-- Becoming the owner of a partition, under a new epoch.
-- KEYS: lease, epoch, unit, crashes, recorded. ARGV: owner, lifetime of the lease (ms), an epoch that the new one must
-- be greater than, the history of this server.
-- Answer: the epoch; 0 while another worker has the lease.
-- Asked again by the same owner, the answer got lost: it must not stand by for itself.
local owner = redis.call('GET', KEYS[1])
if owner and owner ~= ARGV[1] then return 0 end
-- Deleting comes first: a full server refuses a script whose first change needs memory. And no unit of
-- an earlier life of the epoch's key may pass for one of this epoch.
redis.call('DEL', KEYS[1], KEYS[3], KEYS[5])
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
-- Who ends well says so: an owner that is still named here did not.
local last = redis.call('HGET', KEYS[4], 'owner')
if last and last ~= ARGV[1] then redis.call('HSET', KEYS[4], 'unclean', 1) end
local server = redis.call('HGET', KEYS[4], 'server')
local before = tonumber(redis.call('GET', KEYS[2]) or 0) or 0
-- The last owner may have written what this server never had, or an epoch was given that it does not know.
if (last and server and server ~= ARGV[4]) or tonumber(ARGV[3]) > before then
  local time = redis.call('TIME')
  redis.call('HSET', KEYS[4], 'lost', string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000)))
end
redis.call('HSET', KEYS[4], 'server', ARGV[4])
redis.call('HSET', KEYS[4], 'owner', ARGV[1])
local epoch = math.max(before, tonumber(ARGV[3])) + 1
redis.call('SET', KEYS[2], string.format('%.0f', epoch))
return epoch
