-- Adds imported letters under their ids. KEYS also: the set of partitions.
-- Of each: stream, index, id, id as JSON, partition, fingerprint, shape (JSON, or ''), group it enters, now (ms),
-- how many fields and values follow, these.
local function each(visit)
  local i = FIRST
  while i <= #ARGV do
    local fields = tonumber(ARGV[i + 9])
    visit(i, fields)
    i = i + 10 + fields
  end
end
each(function(i)
  must_be('stream', ARGV[i])
  must_be('hash', ARGV[i + 1])
end)
if wrong then return redis.error_reply(wrong) end
each(function(i, count)
  local exists = redis.call('HEXISTS', ARGV[i + 1], ARGV[i + 2]) == 1
  if not exists then
    local fields = {unpack(ARGV, i + 10, i + 9 + count)}
    local print, group = ARGV[i + 5], ARGV[i + 7]
    if group ~= '' and redis.pcall('HEXISTS', DEAD_LETTER_GROUPS, group) ~= 1 then
      -- Decisions of a group without letters are not recorded: `watched` says since when they are.
      table.insert(fields, 'watched')
      table.insert(fields, ARGV[i + 8])
    end
    local entry = redis.call('XADD', ARGV[i], '*', unpack(fields))
    redis.call('HSET', ARGV[i + 1], ARGV[i + 2], entry)
    redis.pcall('SADD', KEYS[6], ARGV[i + 4])
    redis.pcall('INCR', COUNT)
    if print ~= '' then
      redis.pcall('HINCRBY', PRINTS, print, 1)
      if ARGV[i + 6] ~= '' then redis.pcall('HSETNX', SHAPES, print, ARGV[i + 6]) end
    end
    enter_group(group)
    list_id(ARGV[i + 3])
  end
  table.insert(answers, exists and 0 or 1)
end)
return finish()
