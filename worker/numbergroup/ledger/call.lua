-- Records calls before they are sent: from now on each may take effect, even if nothing receives its answer.
-- KEYS: epoch, calls, attempted, creates, recorded. ARGV: epoch, serial, and of each call: the group's field,
-- number of the call, for how long (ms), the group's calls (or ''), the intent of its create (or ''), how many
-- commands of it can expire, and these.
-- Answer: 1; 0 when the partition has another owner, and then nothing may be sent.
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
-- Serials grow. A request that the client gave up may arrive after later ones: it must not restore an intent that
-- is settled, nor replace the record of a later call. Its answer is discarded. A client that receives 0 here
-- shares its epoch with another worker, because the epoch was set back.
local by, last = string.match(redis.call('GET', KEYS[5]) or '', '^(%d+):(%d+)$')
if by == ARGV[1] and ARGV[2] == last then return 1 end
if by == ARGV[1] and tonumber(ARGV[2]) < tonumber(last) then return 0 end
local time = redis.call('TIME')
-- The server's time, because the next owner's clock may differ.
local now = string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000))
local longest, n = 0, 3
while n <= #ARGV do
  local field, calls, intent, perishable = ARGV[n], ARGV[n + 3], ARGV[n + 4], tonumber(ARGV[n + 5])
  if calls ~= '' then
    redis.call('HSET', KEYS[2], field, table.concat({ARGV[1], ARGV[n + 1], now, calls}, ' '))
    longest = math.max(longest, tonumber(ARGV[n + 2]))
  end
  -- A settled create needs no intent any more.
  if intent ~= '' and (calls == '' or redis.call('HEXISTS', KEYS[4], field) == 1) then
    redis.call('HSET', KEYS[4], field, intent)
  end
  for i = n + 6, n + 5 + perishable do redis.call('SADD', KEYS[3], ARGV[i]) end
  n = n + 6 + perishable
end
if longest > 0 and redis.call('PTTL', KEYS[2]) < longest then redis.call('PEXPIRE', KEYS[2], longest) end
redis.call('SET', KEYS[5], ARGV[1] .. ':' .. ARGV[2])
return 1
