-- Reads a page of the log, and what is hidden in it.
-- KEYS: tree head log ids hidden retractions.
-- ARGV: session id, "1" for a root, the seq before the page, how many events it may hold, how many bytes of them.

local keys = {
    tree = KEYS[1], head = KEYS[2], log = KEYS[3], ids = KEYS[4], hidden = KEYS[5], retractions = KEYS[6]
}
local after, limit, most_bytes = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])

local _, head, absent = find_session(keys, ARGV[1], ARGV[2] == '1')
if absent then return absent end

local entries, damage = page_of(keys, {{after + 1, head.last_seq}}, math.min(limit, EVENTS_A_PAGE), most_bytes)
if damage then return damage end
local final = after + #entries
local hidden = {}
-- One more than the page: a reader that goes on jumps over what is hidden right after it.
each_hidden(keys.hidden, after + 1, final + 1, function(first, last)
    hidden[#hidden + 1] = {first, last}
end)
local is_last = final >= head.last_seq
local before = '(' .. text(final)
if is_last or final <= after then before = '+inf' end
local retractions = redis.call('ZRANGEBYSCORE', keys.retractions, text(after), before, 'WITHSCORES')
return {'OK', head.creation, head.revision, head.tag, is_last and 1 or 0, flat(hidden), retractions, entries, keys.base}
