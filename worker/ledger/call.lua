-- A call is about to be sent: it may take effect for a while, whoever waits for its answer.
-- KEYS: epoch, calls. ARGV: epoch, the group's field, number of the call, for how long (ms), the group's calls.
-- Answer: 1; 0 when the partition has another owner, and then nothing may be sent.
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
local time = redis.call('TIME')
local now = string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000))
-- Times are the server's: the clocks of the next owner and of this one differ.
redis.call('HSET', KEYS[2], ARGV[2], table.concat({ARGV[1], ARGV[3], now, ARGV[5]}, ' '))
if redis.call('PTTL', KEYS[2]) < tonumber(ARGV[4]) then redis.call('PEXPIRE', KEYS[2], ARGV[4]) end
return 1
