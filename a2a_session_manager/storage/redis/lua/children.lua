-- Reads a page of child ids in creation order, with their ordinals.
-- KEYS: tree head log ids children. ARGV: session id, "1" for a root, the ordinal before the page, its length.

local keys = {tree = KEYS[1], head = KEYS[2], log = KEYS[3], ids = KEYS[4], children = KEYS[5]}

local _, _, absent = find_session(keys, ARGV[1], ARGV[2] == '1')
if absent then return absent end
if redis.call('ZCARD', keys.children) ~= tonumber(redis.call('HGET', keys.head, 'children') or 0) then
    return {'LOST', 'children'}
end
local page = redis.call('ZRANGEBYSCORE', keys.children, '(' .. ARGV[3], '+inf', 'WITHSCORES', 'LIMIT', '0', ARGV[4])
return {'OK', page, redis.call('HEXISTS', keys.tree, 'expires')}
