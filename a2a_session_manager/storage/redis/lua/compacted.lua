-- Reads what a view is made of, without the head: the summaries, what they do not cover, and the newest events after
-- that, as many as make a page.
-- KEYS: tree head log ids hidden retractions.
-- ARGV: session id, "1" for a root, number of events or -1 for all.

local keys = {
    tree = KEYS[1], head = KEYS[2], log = KEYS[3], ids = KEYS[4], hidden = KEYS[5], retractions = KEYS[6]
}
local _, head, absent = find_session(keys, ARGV[1], ARGV[2] == '1')
if absent then return absent end

local ranges, visible, summaries, compaction = shown(head, keys, tonumber(ARGV[3]))
local entries, damage = page_of(keys, ranges, EVENTS_A_PAGE, BYTES_A_PAGE)
if damage then return damage end
return {'OK', head.creation, visible, flat(ranges), entries, flat(summaries), compaction and compaction.line or ''}
