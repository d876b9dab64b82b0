-- Reads what a root's tree has spent. KEYS: tree head log ids totals. ARGV: session id.

local keys = {tree = KEYS[1], head = KEYS[2], log = KEYS[3], ids = KEYS[4], totals = KEYS[5]}

local _, head, absent = find_session(keys, ARGV[1], true)
if absent then return absent end
local totals = redis.call('HGETALL', keys.totals)
if (redis.call('HEXISTS', keys.tree, 'has_totals') == 1) ~= (#totals > 0) then return {'LOST', 'totals'} end
return {'OK', head.creation, totals}
