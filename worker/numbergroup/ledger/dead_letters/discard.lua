-- Deletes letters.
-- Of each: stream, index, id, id as JSON, entry, fingerprint, group it leaves and its since.
local WIDTH = 8
for i = FIRST, #ARGV, WIDTH do must_be('stream', ARGV[i]) end
if wrong then return redis.error_reply(wrong) end
for i = FIRST, #ARGV, WIDTH do
  local exists = remove(ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[i + 4])
  if exists then
    uncount(ARGV[i + 5])
    leave_group(ARGV[i + 6], ARGV[i + 7])
    list_id(ARGV[i + 3])
  end
  table.insert(answers, exists and 1 or 0)
end
return finish()
