-- Takes a session that has expired out of its tree. KEYS: tree head log ids, parent's head and children.
-- ARGV: session id.

local keys = {tree = KEYS[1], head = KEYS[2], log = KEYS[3], ids = KEYS[4], parent_head = KEYS[5], siblings = KEYS[6]}

local _, _, absent = living(keys, ARGV[1], false)
if not absent then return {'ALIVE'} end
if absent[1] ~= 'NOSESSION' then return absent end
redis.call('HDEL', keys.tree, 'n:' .. ARGV[1], 'd:' .. ARGV[1])
if redis.call('ZREM', keys.siblings, ARGV[1]) == 1 and redis.call('EXISTS', keys.parent_head) == 1 then
    redis.call('HINCRBY', keys.parent_head, 'children', -1)
end
return {'OK'}
