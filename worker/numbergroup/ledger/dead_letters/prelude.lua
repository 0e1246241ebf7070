-- The common beginning of all scripts that change letters.
-- KEYS: count, fingerprints, shapes, lettered, audit.
-- ARGV: operator, action, the beginning of the detail (JSON), the action's current entry in the audit stream (''
-- for none), how many letters it has changed, the ids that are listed (JSON), how many those are; from 8 on, the
-- same number of arguments for each letter of the page.
local COUNT, PRINTS, SHAPES, DEAD_LETTER_GROUPS, AUDIT = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local FIRST, MOST_LISTED = 8, 100
local changed, listed, ids = tonumber(ARGV[5]), tonumber(ARGV[7]), ARGV[6]
local answers = {}

-- A script is not rolled back. So everything that could fail is checked before the first write.
local wrong
local seen = {}
local function must_be(kind, name)
  if seen[name] then return end
  seen[name] = true
  local found = redis.call('TYPE', name)['ok']
  if found ~= kind and found ~= 'none' then wrong = wrong or 'WRONGTYPE ' .. name .. ' is no ' .. kind end
end
must_be('stream', AUDIT)

-- A counter that is no number is left as it is: the change of the letter goes on.
local function one_less(key, field)
  local left = redis.pcall('HINCRBY', key, field, -1)
  if type(left) ~= 'number' or left > 0 then return false end
  redis.call('HDEL', key, field)
  return true
end

local function leave_group(field, since)
  if field ~= '' and one_less(DEAD_LETTER_GROUPS, field) then redis.call('DEL', since) end
end

local function enter_group(field)
  if field ~= '' then redis.pcall('HINCRBY', DEAD_LETTER_GROUPS, field, 1) end
end

-- `print` is the fingerprint; '-' for a letter that no counter includes.
local function uncount(print)
  if print == '-' then return end
  local left = redis.pcall('DECR', COUNT)
  if type(left) == 'number' and left <= 0 then redis.call('DEL', COUNT) end
  if print ~= '' and one_less(PRINTS, print) then redis.pcall('HDEL', SHAPES, print) end
end

local function remove(stream, index, id, entry)
  if redis.call('XDEL', stream, entry) == 0 then return false end
  if redis.pcall('HGET', index, id) == entry then redis.call('HDEL', index, id) end
  return true
end

local function list_id(id_as_json)
  changed = changed + 1
  if listed < MOST_LISTED then
    ids = ids .. (listed > 0 and ',' or '') .. id_as_json
    listed = listed + 1
  end
end

-- Each action has one audit entry: each page replaces it by one with the new totals.
local function finish()
  local entry = ARGV[4]
  if changed > tonumber(ARGV[5]) then
    if entry ~= '' then redis.call('XDEL', AUDIT, entry) end
    local detail = ARGV[3] .. '"count":' .. string.format('%.0f', changed) .. ',"ids":[' .. ids .. ']}'
    entry = redis.call('XADD', AUDIT, '*', 'who', ARGV[1], 'action', ARGV[2], 'detail', detail)
  end
  return {entry, string.format('%.0f', changed), ids, string.format('%.0f', listed), answers}
end
