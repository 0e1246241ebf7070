-- Returns the oldest messages of the first list that has any, oldest first, within limits of number and size.
-- KEYS: the lists, in the order in which they are served
-- ARGV: the largest number of messages, and of bytes (the message that exceeds it is included)
-- Answer: the list ('' for none), its messages, and the keys that are no lists, which are skipped.
local others = {}
for _, list in ipairs(KEYS) do
  local kind = redis.call('TYPE', list)['ok']
  local size, found = 0, {}
  while kind == 'list' and #found < tonumber(ARGV[1]) and size < tonumber(ARGV[2]) do
    local message = redis.call('LINDEX', list, -1 - #found)
    if not message then break end
    found[#found + 1] = message
    size = size + #message
  end
  if #found > 0 then return {list, found, others} end
  if kind ~= 'list' and kind ~= 'none' then others[#others + 1] = list end
end
return {'', {}, others}
