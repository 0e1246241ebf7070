-- Settling, as one unit: the fencing epoch, the answers, the records, the letters, the deletions.
-- KEYS: epoch, unit, commands, partial, group-keys, creates, dead-letters, default reply stream, default reply
-- list, calls, attempted
-- ARGV: epoch, serial, record lifetime (ms), address of the default list, then eleven sections: a count and
-- that many items each: done, replies to streams, replies to lists, records, letters, partial, bindings,
-- ended intents, sequences, ended calls, ended attempts.
local epoch, serial, lifetime = ARGV[1], ARGV[2], ARGV[3]
if redis.call('GET', KEYS[1]) ~= epoch then return 'stale' end
local unit = epoch .. ':' .. serial
if redis.call('GET', KEYS[2]) == unit then return 'done' end

local at = 5
local function section(width, visit)
  local count = tonumber(ARGV[at])
  at = at + 1
  for _ = 1, count do
    visit(at)
    at = at + width
  end
end

-- A script is not rolled back: whatever could fail is tried before anything is written.
local kinds = {}
local function is(kind, name)
  if kinds[name] == nil then kinds[name] = redis.call('TYPE', name)['ok'] end
  return kinds[name] == kind or kinds[name] == 'none'
end
local kinds_of_ours =
  {'string', 'string', 'stream', 'hash', 'hash', 'hash', 'stream', 'stream', 'list', 'hash', 'set'}
for at, kind in ipairs(kinds_of_ours) do
  if not is(kind, KEYS[at]) then return redis.error_reply('WRONGTYPE ' .. KEYS[at] .. ' is no ' .. kind) end
  -- What is ours stays what it is, also where a reply is wanted there before it exists.
  kinds[KEYS[at]] = kind
end

-- Deletions come first: a full server refuses a script whose first change needs memory, and settling is
-- what makes room.
section(1, function(i)
  redis.call('XDEL', KEYS[3], ARGV[i])
  redis.call('HDEL', KEYS[4], ARGV[i])
end)
section(2, function(i)
  local queue = ARGV[i]
  if queue == '' or not is('stream', queue) then queue = KEYS[8] end
  redis.call('XADD', queue, '*', 'event', ARGV[i + 1])
  kinds[queue] = 'stream'
end)
section(3, function(i)
  local queue, address = ARGV[i], ARGV[i + 1]
  if not is('list', queue) then queue, address = KEYS[9], ARGV[4] end
  redis.call('LPUSH', queue, address .. ARGV[i + 2])
  kinds[queue] = 'list'
end)
section(2, function(i) redis.call('SET', ARGV[i], ARGV[i + 1], 'PX', lifetime) end)
section(3, function(i)
  redis.call('XADD', KEYS[7], '*', 'id', ARGV[i], 'letter', ARGV[i + 1], 'body', ARGV[i + 2])
end)
section(2, function(i) redis.call('HSET', KEYS[4], ARGV[i], ARGV[i + 1]) end)
section(2, function(i)
  if ARGV[i + 1] == '' then
    redis.call('HDEL', KEYS[5], ARGV[i])
  else
    redis.call('HSET', KEYS[5], ARGV[i], ARGV[i + 1])
  end
end)
section(1, function(i) redis.call('HDEL', KEYS[6], ARGV[i]) end)
section(2, function(i) redis.call('SET', ARGV[i], ARGV[i + 1], 'PX', lifetime) end)
section(2, function(i)
  -- A later call of the group may have been recorded since; one of an earlier epoch was an earlier owner's.
  local by, call = string.match(redis.call('HGET', KEYS[10], ARGV[i]) or '', '^(%d+) (%d+) ')
  if by and (by ~= epoch or tonumber(call) <= tonumber(ARGV[i + 1])) then
    redis.call('HDEL', KEYS[10], ARGV[i])
  end
end)
section(1, function(i) redis.call('SREM', KEYS[11], ARGV[i]) end)
redis.call('SET', KEYS[2], unit)
return 'ok'
