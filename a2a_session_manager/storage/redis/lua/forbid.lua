-- Forbids a claim whose session was never made, or is gone: whoever still holds it starts again.
-- KEYS: tree head log ids refused, root's head and ids, gone.
-- ARGV: session id, claim.

local keys = {tree = KEYS[1], head = KEYS[2], log = KEYS[3], ids = KEYS[4], refused = KEYS[5]}

local entry, _, absent = find_session(keys, ARGV[1], false)
if entry then return {'EXISTS'} end
if absent[1] ~= 'NOSESSION' then return absent end
if is_lost_tree(keys.tree, {KEYS[6], KEYS[7]}) then return {'LOST', 'tree'} end
if redis.call('EXISTS', keys.tree) == 0 then
    -- What is left of the session, and no cascade took along, tells that the tree was lost. Without either, a claim finds
    -- no parent and needs no forbidding.
    local was_taken = redis.call('HEXISTS', KEYS[8], ARGV[1]) == 1
    if not was_taken and redis.call('EXISTS', keys.head, keys.log, keys.ids) > 0 then return {'LOST', 'tree'} end
    return {'OK'}
end
local expired, creations = entry_in(keys.tree, ARGV[1]), {}
if expired and expired.creation == string.match(ARGV[2], '^[^.]+') then
    -- It was made, and comes no later than one that was deleted: nothing of it must be kept for ever.
    creations[1] = expired.creation
else
    redis.call('ZADD', keys.refused, '+inf', 'c:' .. ARGV[2])
end
refuse_creations(keys.refused, creations, redis.call('HGET', keys.tree, 'deadline'))
return {'OK'}
