-- Registers a worker: it counts as alive for a while, if it knows the number of partitions in force.
-- KEYS: workers, partitions. ARGV: owner, lifetime (ms), partitions, since (ms; 0: it is new).
-- Answer: number of live workers, rank, since; or 0, 0 and the number of partitions in force, if it differs.
local owner, lifetime, partitions = ARGV[1], tonumber(ARGV[2]), ARGV[3]
local in_force = redis.call('GET', KEYS[2])
if in_force and in_force ~= partitions then return {0, 0, in_force} end

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local since = tonumber(ARGV[4])
if since == 0 then since = now end

local live, expired = {}, {}
local entries = redis.call('HGETALL', KEYS[1])
for i = 1, #entries, 2 do
  local name = entries[i]
  local from, till = string.match(entries[i + 1], '^(%d+):(%d+)$')
  if not till or tonumber(till) <= now then
    table.insert(expired, name)
  elseif name == owner then
    since = tonumber(from)
  else
    live[name] = tonumber(from)
  end
end

-- Deletions come first: a full server refuses a script whose first change needs memory.
redis.call('HDEL', KEYS[1], owner, unpack(expired))
redis.call('HSET', KEYS[1], owner, string.format('%.0f:%.0f', since, now + lifetime))
redis.call('PEXPIRE', KEYS[1], lifetime)
if not in_force then redis.call('SET', KEYS[2], partitions) end

local workers, rank = 1, 0
for name, from in pairs(live) do
  workers = workers + 1
  if from < since or (from == since and name < owner) then rank = rank + 1 end
end
return {workers, rank, string.format('%.0f', since)}
