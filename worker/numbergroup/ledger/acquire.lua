-- Makes a worker the owner of a partition, under a new epoch.
-- KEYS: lease, epoch, unit, crashes, recorded. ARGV: owner, lifetime of the lease (ms), an epoch that the new one must
-- be greater than, the history of this server.
-- Answer: the epoch; 0 while another worker has the lease.
-- The owner itself may acquire again, because the answer may have been lost.
local owner = redis.call('GET', KEYS[1])
if owner and owner ~= ARGV[1] then return 0 end
-- Deletions come first: a full server refuses a script whose first change needs memory. The last unit is deleted
-- so that it cannot count for this epoch if the epoch's key was lost.
redis.call('DEL', KEYS[1], KEYS[3], KEYS[5])
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
-- An owner that stops normally removes its name: an owner that is still named here has crashed.
local last = redis.call('HGET', KEYS[4], 'owner')
if last and last ~= ARGV[1] then redis.call('HSET', KEYS[4], 'unclean', 1) end
local server = redis.call('HGET', KEYS[4], 'server')
local before = tonumber(redis.call('GET', KEYS[2]) or 0) or 0
-- The server may lack writes of the last owner: it is another server now, or it does not know the last epoch.
if (last and server and server ~= ARGV[4]) or tonumber(ARGV[3]) > before then
  local time = redis.call('TIME')
  redis.call('HSET', KEYS[4], 'lost', string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000)))
end
redis.call('HSET', KEYS[4], 'server', ARGV[4])
redis.call('HSET', KEYS[4], 'owner', ARGV[1])
local epoch = math.max(before, tonumber(ARGV[3])) + 1
redis.call('SET', KEYS[2], string.format('%.0f', epoch))
return epoch
