-- Takes a session that has expired out of its tree, and refuses its creation: its id will be free.
-- KEYS: tree head log ids refused budgets, parent's head and children. ARGV: session id.

local keys = {
    tree = KEYS[1], head = KEYS[2], log = KEYS[3], ids = KEYS[4], refused = KEYS[5], budgets = KEYS[6],
    parent_head = KEYS[7], siblings = KEYS[8]
}

local _, _, absent = find_session(keys, ARGV[1], false)
if not absent then return {'ALIVE'} end
if absent[1] ~= 'NOSESSION' then return absent end
local expired = entry_in(keys.tree, ARGV[1])
-- What frees memory comes first: a server that is full must let it through.
redis.call('HDEL', keys.tree, 'n:' .. ARGV[1], 'd:' .. ARGV[1], 'f:' .. ARGV[1])
if redis.call('ZREM', keys.siblings, ARGV[1]) == 1 and redis.call('EXISTS', keys.parent_head) == 1 then
    redis.call('HINCRBY', keys.parent_head, 'children', -1)
end
if expired then end_budgets(keys, {expired.creation}) end
if expired then refuse_creations(keys.refused, {expired.creation}, redis.call('HGET', keys.tree, 'deadline')) end
return {'OK'}
