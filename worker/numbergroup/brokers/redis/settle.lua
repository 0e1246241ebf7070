-- Settles one unit, all of it or nothing: replies, records, dead letters and deletions, under the owner's epoch.
-- KEYS: epoch, unit, commands, partial, group-keys, creates, dead-letters, default reply stream, default reply
-- list, calls, attempted, side; of letters: index, partitions, count, fingerprints, shapes, lettered, settlements,
-- quarantined
-- ARGV: epoch, serial, record lifetime (ms), then fifteen sections: a count and
-- that many items each: done, replies to streams, replies to lists, records, letters, partial, bindings,
-- ended intents, sequences, ended calls, ended attempts, decisions, replayed, quarantined, forgotten; then the
-- partition, how long replies are kept (ms), and how many messages of them in each queue (0: no limit).
-- Answer: `ok`; `done` where it was written before; `stale` and `late` where the epoch is over; or, where nothing was
-- written, kind and name in turn of the reply queues that take no replies.
local epoch, serial, lifetime = ARGV[1], ARGV[2], ARGV[3]
if redis.call('GET', KEYS[1]) ~= epoch then return 'stale' end
-- Serials grow. A request that the client gave up may arrive after later units, and must not undo them; its answer is
-- discarded. A client that receives 'late' shares its epoch with another worker, because the epoch was set back.
local last_epoch, last_serial = string.match(redis.call('GET', KEYS[2]) or '', '^(%d+):(%d+)$')
if last_epoch == epoch and serial == last_serial then return 'done' end
if last_epoch == epoch and tonumber(serial) < tonumber(last_serial) then return 'late' end

local widths = {1, 2, 3, 2, 9, 2, 2, 1, 2, 2, 1, 6, 4, 2, 1}
local starts, last = {}, 4
for number, width in ipairs(widths) do
  starts[number] = last
  last = last + 1 + tonumber(ARGV[last]) * width
end
local LETTERS, DECISIONS, REPLAYED, QUARANTINED, FORGOTTEN = 5, 12, 13, 14, 15
local function any(number) return ARGV[starts[number]] ~= '0' end
local cursor = starts[1]
local function section(width, visit)
  local count = tonumber(ARGV[cursor])
  cursor = cursor + 1
  for _ = 1, count do
    visit(cursor)
    cursor = cursor + width
  end
end

-- A script is not rolled back. So everything that could fail is checked before the first write.
local kinds = {}
local function is_type(kind, name)
  if kinds[name] == nil then kinds[name] = redis.call('TYPE', name)['ok'] end
  return kinds[name] == kind or kinds[name] == 'none'
end
local own_kinds =
  {'string', 'string', 'stream', 'hash', 'hash', 'hash', 'stream', 'stream', 'list', 'hash', 'set'}
if any(LETTERS) or any(DECISIONS) or any(REPLAYED) then
  local of_letters = {any(REPLAYED) and 'stream', 'hash', 'set', 'string', 'hash', 'hash', 'hash', 'string'}
  for _, kind in ipairs(of_letters) do
    own_kinds[#own_kinds + 1] = kind
  end
end
if any(QUARANTINED) and not is_type('hash', KEYS[20]) then
  return redis.error_reply('WRONGTYPE ' .. KEYS[20] .. ' is no hash')
end
for i, kind in ipairs(own_kinds) do
  if kind and not is_type(kind, KEYS[i]) then return redis.error_reply('WRONGTYPE ' .. KEYS[i] .. ' is no ' .. kind) end
  -- A reply queue with the name of one of these keys must not create that key with another type.
  kinds[KEYS[i]] = kind
end

-- A reply queue that takes nothing, for its type or the ACL, must not stop the unit. Nothing is written then: the
-- caller sends these replies elsewhere.
local refusing = {}
local function takes(kind, queue)
  local found = redis.pcall('TYPE', queue)
  if found.err or (found.ok ~= kind and found.ok ~= 'none') then return false end
  local answer
  -- Trimming nothing needs the permission to write, and changes nothing.
  if kind == 'stream' then
    answer = redis.pcall('XTRIM', queue, 'MAXLEN', '9007199254740991')
  else
    answer = redis.pcall('LTRIM', queue, 0, -1)
  end
  return type(answer) ~= 'table' or not answer.err
end
local function try_queues(number, kind)
  local width, first = widths[number], starts[number] + 1
  local seen = {}
  for i = first, first + (tonumber(ARGV[first - 1]) - 1) * width, width do
    local queue = ARGV[i]
    if queue ~= '' and not seen[queue] then
      seen[queue] = true
      if kinds[queue] == nil and takes(kind, queue) then kinds[queue] = kind end
      if kinds[queue] ~= kind then
        refusing[#refusing + 1] = kind
        refusing[#refusing + 1] = queue
      end
    end
  end
end
try_queues(2, 'stream')
try_queues(3, 'list')
if #refusing > 0 then return refusing end

-- Deletions come first: a full server refuses a script whose first write needs memory, and settling frees memory.
local REPLAYS, INDEX, PARTITIONS, COUNT, FINGERPRINTS = KEYS[12], KEYS[13], KEYS[14], KEYS[15], KEYS[16]
local SHAPES, DEAD_LETTER_GROUPS, SETTLEMENTS = KEYS[17], KEYS[18], KEYS[19]
local ended = {}
cursor = starts[REPLAYED]
section(4, function(i)
  redis.call('HDEL', KEYS[4], ARGV[i + 1])
  if redis.call('XDEL', REPLAYS, ARGV[i]) == 1 and ARGV[i + 2] ~= '' then ended[#ended + 1] = i + 2 end
end)
cursor = starts[1]
local forgotten = starts[FORGOTTEN]
for first = forgotten + 1, last - 1, 1000 do
  redis.call('HDEL', KEYS[4], unpack(ARGV, first, math.min(first + 999, last - 1)))
end
local done = tonumber(ARGV[cursor])
-- Deleting many entries with one command takes a third of the time.
for first = cursor + 1, cursor + done, 1000 do
  local upto = math.min(first + 999, cursor + done)
  redis.call('XDEL', KEYS[3], unpack(ARGV, first, upto))
  redis.call('HDEL', KEYS[4], unpack(ARGV, first, upto))
end
cursor = cursor + 1 + done
local kept_ms, kept_messages = tonumber(ARGV[last + 1]), tonumber(ARGV[last + 2])
local to_streams, to_lists, oldest = {}, {}, 0
if kept_ms > 0 and any(2) then
  -- Read the time before replies are written, so that none of them is older.
  local now = redis.call('TIME')
  oldest = now[1] * 1000 + math.floor(now[2] / 1000) - kept_ms
end
section(2, function(i)
  local queue = ARGV[i] == '' and KEYS[8] or ARGV[i]
  local answer = redis.pcall('XADD', queue, '*', 'event', ARGV[i + 1])
  if type(answer) == 'table' then
    -- A stream whose last id is the highest possible one accepts no more entries.
    queue = KEYS[8]
    redis.call('XADD', queue, '*', 'event', ARGV[i + 1])
  end
  to_streams[queue] = (to_streams[queue] or 0) + 1
end)
section(3, function(i)
  local queue = ARGV[i]
  redis.call('LPUSH', queue, ARGV[i + 1] .. ARGV[i + 2])
  to_lists[queue] = (to_lists[queue] or 0) + 1
end)

-- Trims the reply queues that this unit wrote to, a bounded part at a time. Replies of this unit always stay.
-- Queues with other names than the default ones may hold other data, and are not trimmed.
local function is_own(queue)
  for _, base in ipairs({KEYS[8], KEYS[9]}) do
    if queue == base then return true end
    local start = string.sub(queue, 1, #base + 1)
    if start == base .. ':' or start == base .. '.' then return true end
  end
  return false
end
-- The whole queue expires when its newest message is too old.
local function end_with_newest(queue)
  if kept_ms > 0 then
    redis.call('PEXPIRE', queue, string.format('%.0f', kept_ms))
  else
    redis.call('PERSIST', queue)
  end
end
for queue, written in pairs(to_streams) do
  if is_own(queue) then
    -- A stream without writes is not trimmed, so it expires. The default one stays, with its consumer groups.
    if queue ~= KEYS[8] then end_with_newest(queue) end
    if kept_messages > 0 then
      redis.call('XTRIM', queue, 'MAXLEN', '~', string.format('%.0f', math.max(kept_messages, written)))
    end
    if oldest > 0 then redis.call('XTRIM', queue, 'MINID', '~', string.format('%.0f', oldest)) end
  end
end
local MOST_TRIMMED = 10000
for queue, written in pairs(to_lists) do
  if is_own(queue) then
    local length = redis.call('LLEN', queue)
    local kept = math.max(kept_messages, written, length - MOST_TRIMMED)
    if kept_messages > 0 and length > kept then redis.call('LTRIM', queue, 0, kept - 1) end
    -- Messages on a list have no age, so only the whole list can expire.
    end_with_newest(queue)
  end
end
section(2, function(i) redis.call('SET', ARGV[i], ARGV[i + 1], 'PX', lifetime) end)

-- A counter that is no number counts as 0. HINCRBY would fail in the middle of the script.
local function add_to_counter(key, field, delta)
  local count = (tonumber(redis.call('HGET', key, field) or 0) or 0) + delta
  if count > 0 then
    redis.call('HSET', key, field, string.format('%.0f', count))
  else
    redis.call('HDEL', key, field)
  end
  return count
end
local base = 0
if any(LETTERS) or any(DECISIONS) then
  local settlements = redis.call('GET', SETTLEMENTS) or '0'
  -- Accept only whole numbers, small enough for exact orders.
  if not string.match(settlements, '^%d+$') or #settlements > 10 or tonumber(settlements) > 8e9 then
    settlements = nil
  end
  -- Without a valid number use the time, which is greater than any count: orders must never decrease.
  settlements = tonumber(settlements or redis.call('TIME')[1]) + 1
  redis.call('SET', SETTLEMENTS, string.format('%.0f', settlements))
  base = settlements * 1048576
end
local function order_of(given, position)
  return given ~= '' and given or string.format('%.0f', base + tonumber(position))
end
-- Whether the dead letter with this id has this fingerprint.
local function has_reason(id, fingerprint)
  local entry = redis.call('HGET', INDEX, id)
  -- An invalid entry id cannot be compared: keep the existing letter only.
  if not string.match(entry, '^%d+%-%d+$') then return true end
  local found = redis.call('XRANGE', KEYS[7], entry, entry)[1]
  if not found then return false end
  for i = 1, #found[2], 2 do
    if found[2][i] == 'letter' then
      return string.find(found[2][i + 1], '"fingerprint":"' .. fingerprint .. '"', 1, true) ~= nil
    end
  end
  return false
end
section(9, function(i)
  local id, description, order = ARGV[i], ARGV[i + 1], order_of(ARGV[i + 8], ARGV[i + 7])
  local named = '{"id":"' .. id .. '"'
  if string.sub(description, 1, #named) == named and redis.call('HEXISTS', INDEX, id) == 1 then
    -- On RabbitMQ messages with equal bytes have the same id, and one letter for all of them. A message that failed
    -- with another fingerprint gets a further letter.
    if has_reason(id, ARGV[i + 4]) then return end
    id = id .. '.' .. ARGV[i + 4]
    if redis.call('HEXISTS', INDEX, id) == 1 then return end
    description = '{"id":"' .. id .. '"' .. string.sub(description, #named + 1)
  end
  local entry = {'id', id, 'letter', description, 'body', ARGV[i + 2], 'order', order}
  if ARGV[i + 3] ~= '' then
    entry[#entry + 1] = 'original'
    entry[#entry + 1] = ARGV[i + 3]
  end
  redis.call('HSET', INDEX, id, redis.call('XADD', KEYS[7], '*', unpack(entry)))
  redis.call('SADD', PARTITIONS, ARGV[last])
  redis.call('SET', COUNT, string.format('%.0f', (tonumber(redis.call('GET', COUNT) or 0) or 0) + 1))
  if ARGV[i + 4] ~= '' then
    add_to_counter(FINGERPRINTS, ARGV[i + 4], 1)
    redis.call('HSET', SHAPES, ARGV[i + 4], ARGV[i + 5])
  end
  if ARGV[i + 6] ~= '' then add_to_counter(DEAD_LETTER_GROUPS, ARGV[i + 6], 1) end
end)
local partial = tonumber(ARGV[cursor])
for first = cursor + 1, cursor + 2 * partial, 1000 do
  redis.call('HSET', KEYS[4], unpack(ARGV, first, math.min(first + 999, cursor + 2 * partial)))
end
cursor = cursor + 1 + 2 * partial
section(2, function(i)
  if ARGV[i + 1] == '' then
    redis.call('HDEL', KEYS[5], ARGV[i])
  else
    redis.call('HSET', KEYS[5], ARGV[i], ARGV[i + 1])
  end
end)
section(1, function(i) redis.call('HDEL', KEYS[6], ARGV[i]) end)
section(2, function(i) redis.call('SET', ARGV[i], ARGV[i + 1], 'PX', lifetime) end)
section(2, function(i)
  -- Keep the record of a later call of the group; a record of another epoch is a previous owner's, and ends.
  local call_epoch, call = string.match(redis.call('HGET', KEYS[10], ARGV[i]) or '', '^(%d+) (%d+) ')
  if call_epoch and (call_epoch ~= epoch or tonumber(call) <= tonumber(ARGV[i + 1])) then
    redis.call('HDEL', KEYS[10], ARGV[i])
  end
end)
section(1, function(i) redis.call('SREM', KEYS[11], ARGV[i]) end)
local grown = {}
section(6, function(i)
  -- Record decisions on the numbers of a group while it has dead letters.
  local since, group, number = ARGV[i], ARGV[i + 1], ARGV[i + 2]
  if redis.call('HEXISTS', DEAD_LETTER_GROUPS, group) == 0 then return end
  local order, sign = order_of(ARGV[i + 5], ARGV[i + 4]), ''
  if not is_type('hash', since) then
    -- Earlier decisions are unknown: count as a decision on all numbers, so that replays undo nothing.
    redis.call('DEL', since)
    redis.call('HSET', since, '*', order)
    kinds[since] = 'hash'
  end
  if number ~= '*' then
    sign = ARGV[i + 3]
  elseif ARGV[i + 5] == '' then
    -- A decision on all numbers replaces all earlier ones.
    redis.call('DEL', since)
  end
  local before = string.match(redis.call('HGET', since, number) or '', '(%d+)$')
  if not before or tonumber(before) <= tonumber(order) then
    redis.call('HSET', since, number, sign .. order)
  end
  if tonumber(order) > tonumber(grown[since] or 0) then grown[since] = order end
end)
for since, order in pairs(grown) do
  if redis.call('HLEN', since) > 200000 then
    redis.call('DEL', since)
    redis.call('HSET', since, '*', order)
  end
end
for _, i in ipairs(ended) do
  if add_to_counter(DEAD_LETTER_GROUPS, ARGV[i], -1) <= 0 then redis.call('DEL', ARGV[i + 1]) end
end
cursor = starts[QUARANTINED]
section(2, function(i)
  if ARGV[i + 1] == '' then
    redis.call('HDEL', KEYS[20], ARGV[i])
  else
    redis.call('HSET', KEYS[20], ARGV[i], ARGV[i + 1])
  end
end)
redis.call('SET', KEYS[2], epoch .. ':' .. serial)
return 'ok'
