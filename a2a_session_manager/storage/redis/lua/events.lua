-- Reads a page of events that are known to be there.
-- KEYS: tree log head. ARGV: session id, creation id, then ranges: first, last, first, last …

local keys = {tree = KEYS[1], log = KEYS[2]}
local entry = entry_in(keys.tree, ARGV[1])
if not entry or entry.creation ~= ARGV[2] then return {'NOSESSION'} end
keys.segments, keys.base = segments_in(keys, redis.call('HGET', KEYS[3], 'segments'))
local ranges = {}
for index = 3, #ARGV, 2 do ranges[#ranges + 1] = {tonumber(ARGV[index]), tonumber(ARGV[index + 1])} end
local entries, damage = page_of(keys, ranges, EVENTS_A_PAGE, BYTES_A_PAGE)
return damage or {'OK', entries}
