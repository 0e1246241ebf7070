-- A call is about to be sent: it may take effect for a while, whoever waits for its answer.
-- KEYS: epoch, calls (or creates), attempted. ARGV: epoch, the group's field, number of the call, for how long
-- (ms; 0: a create, until it is settled), the group's calls (or the intent), commands that can expire.
-- Answer: 1; 0 when the partition has another owner, and then nothing may be sent.
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
local field, lasts, said = ARGV[2], tonumber(ARGV[4]), ARGV[5]
if lasts > 0 then
  local time = redis.call('TIME')
  -- Times are the server's: the clocks of the next owner and of this one differ.
  local now = string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000))
  said = table.concat({ARGV[1], ARGV[3], now, said}, ' ')
end
redis.call('HSET', KEYS[2], field, said)
if lasts > 0 and redis.call('PTTL', KEYS[2]) < lasts then redis.call('PEXPIRE', KEYS[2], lasts) end
for i = 6, #ARGV do redis.call('SADD', KEYS[3], ARGV[i]) end
return 1
