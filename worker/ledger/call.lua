-- A call is about to be sent: it may take effect for a while, whoever waits for its answer.
-- KEYS: epoch, calls, attempted, creates. ARGV: epoch, the group's field, number of the call, for how long (ms),
-- the group's calls (or ''), the intent of its create (or ''), commands that can expire.
-- Answer: 1; 0 when the partition has another owner, and then nothing may be sent.
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
local field, lasts = ARGV[2], tonumber(ARGV[4])
if ARGV[5] ~= '' then
  local time = redis.call('TIME')
  -- Times are the server's: the clocks of the next owner and of this one differ.
  local now = string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000))
  redis.call('HSET', KEYS[2], field, table.concat({ARGV[1], ARGV[3], now, ARGV[5]}, ' '))
  if redis.call('PTTL', KEYS[2]) < lasts then redis.call('PEXPIRE', KEYS[2], lasts) end
end
-- A create that is settled by now needs no intent any more.
if ARGV[6] ~= '' and (ARGV[5] == '' or redis.call('HEXISTS', KEYS[4], field) == 1) then
  redis.call('HSET', KEYS[4], field, ARGV[6])
end
for i = 7, #ARGV do redis.call('SADD', KEYS[3], ARGV[i]) end
return 1
