-- Changes the number of partitions, if no worker is alive and no partition has an owner.
-- KEYS: workers, partitions, then lease and epoch of every partition of either number.
-- ARGV: the number in force ('' for none), the new one.
-- Answer: 0, or how many live workers and leases are in the way; -1 if another number is in force.
if (redis.call('GET', KEYS[2]) or '') ~= ARGV[1] then return -1 end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local in_the_way = 0
for _, entry in ipairs(redis.call('HVALS', KEYS[1])) do
  if tonumber(string.match(entry, ':(%d+)$') or 0) > now then in_the_way = in_the_way + 1 end
end
for i = 3, #KEYS, 2 do in_the_way = in_the_way + redis.call('EXISTS', KEYS[i]) end
if in_the_way > 0 then return in_the_way end

redis.call('DEL', KEYS[1])
redis.call('SET', KEYS[2], ARGV[2])
-- A worker that was frozen must not continue with the old number: a new epoch refuses its writes.
for i = 4, #KEYS, 2 do
  if redis.call('EXISTS', KEYS[i]) == 1 then redis.call('INCR', KEYS[i]) end
end
return 0
