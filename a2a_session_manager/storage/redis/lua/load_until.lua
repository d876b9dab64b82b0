-- Reads a head with all that is hidden, and the first page of the newest visible events up to one.
-- KEYS: tree head log ids hidden retractions. ARGV: session id, "1" for a root, the seq of that event or "", how many.

local keys = {
    tree = KEYS[1], head = KEYS[2], log = KEYS[3], ids = KEYS[4], hidden = KEYS[5], retractions = KEYS[6]
}
local _, head, absent = find_session(keys, ARGV[1], ARGV[2] == '1')
if absent then return absent end

local ranges = visible_ranges(keys.hidden, math.min(tonumber(ARGV[3]) or head.last_seq, head.last_seq), tonumber(ARGV[4]))
local entries, damage = page_of(keys, ranges, EVENTS_A_PAGE, BYTES_A_PAGE)
if damage then return damage end
local hidden = redis.call('ZRANGEBYSCORE', keys.hidden, '-inf', '+inf')
return {'OK', redis.call('HGETALL', keys.head), flat(ranges), entries, hidden}
