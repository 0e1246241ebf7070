-- Moving the oldest messages of a list into the streams, as one: under the epoch of partition 0, and only
-- while they are the very messages that were looked at.
-- KEYS: epoch, list, the streams
-- ARGV: epoch, a count and that many messages, oldest first, then the entries: stream (from 1), event, note
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 'stale' end
local list, count = KEYS[2], tonumber(ARGV[2])
local tail = redis.call('LRANGE', list, -count, -1)
for at = 1, count do
  if tail[count + 1 - at] ~= ARGV[2 + at] then return 'changed' end
end

-- A script is not rolled back: whatever could fail is tried before anything is written.
for at = 3, #KEYS do
  local kind = redis.call('TYPE', KEYS[at])['ok']
  if kind ~= 'stream' and kind ~= 'none' then
    return redis.error_reply('WRONGTYPE ' .. KEYS[at] .. ' is no stream')
  end
end

-- A full server refuses a script whose first change needs memory. This one frees more than it needs, and
-- what waits on the lists must be moved for there to be room again: so it begins with a change that changes
-- nothing.
redis.call('LTRIM', list, 0, -1)
local added = {}
for at = 3 + count, #ARGV, 3 do
  local stream = KEYS[2 + tonumber(ARGV[at])]
  local tag = redis.pcall('XADD', stream, '*', 'event', ARGV[at + 1], 'kombu', ARGV[at + 2])
  if type(tag) == 'table' then
    -- A stream that somebody brought to its last possible id takes nothing more.
    for _, entry in ipairs(added) do redis.call('XDEL', entry[1], entry[2]) end
    return tag
  end
  added[#added + 1] = {stream, tag}
end
redis.call('LTRIM', list, 0, -1 - count)
return 'ok'
