-- Returns, for each stream, its last id and its first entry up to the cursor.
-- KEYS: the streams. ARGV: for each, the last id that was read of it.
-- Answer: for each, its last generated id ('0-0' for none), and its first id up to the last read one ('' for none).
local answers = {}
for index, stream in ipairs(KEYS) do
  local last, first = '0-0', ''
  if redis.call('TYPE', stream)['ok'] == 'stream' then
    local info = redis.call('XINFO', 'STREAM', stream)
    for field = 1, #info, 2 do
      if info[field] == 'last-generated-id' then last = info[field + 1] end
    end
    local entry = redis.call('XRANGE', stream, '-', ARGV[index], 'COUNT', 1)[1]
    if entry then first = entry[1] end
  end
  answers[#answers + 1] = {last, first}
end
return answers
