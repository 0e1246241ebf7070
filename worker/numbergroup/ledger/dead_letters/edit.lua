-- Replaces one letter, under its id and in its partition.
-- Of it: stream, index, id, id as JSON, entry, group it leaves and its since, group it enters, now (ms), then
-- the new entry's fields and values.
local i = FIRST
must_be('stream', ARGV[i])
if wrong then return redis.error_reply(wrong) end
local exists = remove(ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[i + 4])
if exists then
  local fields = {unpack(ARGV, i + 9)}
  leave_group(ARGV[i + 5], ARGV[i + 6])
  if ARGV[i + 7] ~= '' then
    -- Decisions of a group without letters are not recorded: `watched` says since when they are.
    if redis.pcall('HEXISTS', DEAD_LETTER_GROUPS, ARGV[i + 7]) ~= 1 then
      table.insert(fields, 'watched')
      table.insert(fields, ARGV[i + 8])
    end
    enter_group(ARGV[i + 7])
  end
  local entry = redis.call('XADD', ARGV[i], '*', unpack(fields))
  redis.pcall('HSET', ARGV[i + 1], ARGV[i + 2], entry)
  list_id(ARGV[i + 3])
end
table.insert(answers, exists and 1 or 0)
return finish()
