-- Reads the newest visible events without the head, as many as make a page.
-- KEYS: tree head log ids hidden retractions.
-- ARGV: session id, "1" for a root, number of events or -1 for all.

local keys = {
    tree = KEYS[1], head = KEYS[2], log = KEYS[3], ids = KEYS[4], hidden = KEYS[5], retractions = KEYS[6]
}
local _, head, absent = find_session(keys, ARGV[1], ARGV[2] == '1')
if absent then return absent end

local last = tonumber(ARGV[3])
local ranges = visible_ranges(keys.hidden, head.last_seq, last)
local entries, damage = page_of(keys, ranges, EVENTS_A_PAGE, BYTES_A_PAGE)
if damage then return damage end
local placed = redis.call('HGET', keys.head, 'placed') or ''
return {'OK', head.creation, head.last_seq - head.hidden, flat(ranges), entries, placed}
