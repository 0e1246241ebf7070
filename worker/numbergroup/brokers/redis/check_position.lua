-- What lies in streams up to where they were read.
-- KEYS: the streams. ARGV: for each, the last id that was read of it.
-- Answer: for each, its last id ('0-0' where there is none), and the first id up to that one ('' for none).
local found = {}
for at, stream in ipairs(KEYS) do
  local last, first = '0-0', ''
  if redis.call('TYPE', stream)['ok'] == 'stream' then
    local info = redis.call('XINFO', 'STREAM', stream)
    for field = 1, #info, 2 do
      if info[field] == 'last-generated-id' then last = info[field + 1] end
    end
    local entry = redis.call('XRANGE', stream, '-', ARGV[at], 'COUNT', 1)[1]
    if entry then first = entry[1] end
  end
  found[#found + 1] = {last, first}
end
return found
