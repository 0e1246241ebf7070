-- Moves letters to the replay stream. `lettered` still counts them until the worker settles them.
-- Of each: stream, index, id, id as JSON, entry, fingerprint, group it leaves and its since, group it enters,
-- replay stream, event, replay, the bytes as they first arrived ('' where they are the event).
local WIDTH = 13
for i = FIRST, #ARGV, WIDTH do
  must_be('stream', ARGV[i])
  must_be('stream', ARGV[i + 9])
end
if wrong then return redis.error_reply(wrong) end
for i = FIRST, #ARGV, WIDTH do
  local exists = remove(ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[i + 4])
  if exists then
    uncount(ARGV[i + 5])
    leave_group(ARGV[i + 6], ARGV[i + 7])
    enter_group(ARGV[i + 8])
    local entry = {'event', ARGV[i + 10], 'replay', ARGV[i + 11]}
    if ARGV[i + 12] ~= '' then
      table.insert(entry, 'original')
      table.insert(entry, ARGV[i + 12])
    end
    redis.call('XADD', ARGV[i + 9], '*', unpack(entry))
    list_id(ARGV[i + 3])
  end
  table.insert(answers, exists and 1 or 0)
end
return finish()
