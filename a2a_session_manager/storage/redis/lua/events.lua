-- Reads a page of events that are known to be there.
-- KEYS: tree log. ARGV: session id, creation id, then ranges: first, last, first, last …

local entry = entry_in(KEYS[1], ARGV[1])
if not entry or entry.creation ~= ARGV[2] then return {'NOSESSION'} end
local ranges = {}
for index = 3, #ARGV, 2 do ranges[#ranges + 1] = {tonumber(ARGV[index]), tonumber(ARGV[index + 1])} end
return {'OK', page_of(KEYS[2], ranges, EVENTS_A_PAGE, BYTES_A_PAGE)}
