-- The oldest messages of the first list that has any, oldest first: some, and not too large together.
-- KEYS: the lists, in the order in which they are served
-- ARGV: how many messages, how many bytes (the one that goes over it is among them)
for _, list in ipairs(KEYS) do
  local size, found = 0, {}
  while #found < tonumber(ARGV[1]) and size < tonumber(ARGV[2]) do
    local message = redis.call('LINDEX', list, -1 - #found)
    if not message then break end
    found[#found + 1] = message
    size = size + #message
  end
  if #found > 0 then return {list, found} end
end
return {}
