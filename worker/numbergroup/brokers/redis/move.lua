-- Moves the oldest messages of a list into the streams, all or none: only under the epoch of partition 0, and only
-- if the list still ends with the messages that were read.
-- KEYS: epoch, list, the streams
-- ARGV: epoch, a count and that many messages, oldest first, then the entries: stream (from 1), event, note
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 'stale' end
local list, count = KEYS[2], tonumber(ARGV[2])
local tail = redis.call('LRANGE', list, -count, -1)
for i = 1, count do
  if tail[count + 1 - i] ~= ARGV[2 + i] then return 'changed' end
end

-- A script is not rolled back. So everything that could fail is checked before the first write.
for i = 3, #KEYS do
  local kind = redis.call('TYPE', KEYS[i])['ok']
  if kind ~= 'stream' and kind ~= 'none' then
    return redis.error_reply('WRONGTYPE ' .. KEYS[i] .. ' is no stream')
  end
end

-- A full server refuses a script whose first write needs memory. This script frees more memory than it needs, so it
-- must not be refused: it begins with a write that needs none and changes nothing.
redis.call('LTRIM', list, 0, -1)
local added = {}
for i = 3 + count, #ARGV, 3 do
  local stream = KEYS[2 + tonumber(ARGV[i])]
  local tag = redis.pcall('XADD', stream, '*', 'event', ARGV[i + 1], 'kombu', ARGV[i + 2])
  if type(tag) == 'table' then
    -- A stream whose last id is the largest possible one accepts no entries: undo and report it.
    for _, entry in ipairs(added) do redis.call('XDEL', entry[1], entry[2]) end
    return tag
  end
  added[#added + 1] = {stream, tag}
end
redis.call('LTRIM', list, 0, -1 - count)
return 'ok'
