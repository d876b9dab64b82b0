-- Removes the keys of dead sessions of a tree, which are not its root, and the word that a cascade took them along.
-- KEYS: tree, root's head and ids, gone, then those of each session.
-- ARGV: session id, creation id or "" where none is known, session id, creation id …

-- Without its tree, nobody can tell whether a session is dead, unless a cascade took it along.
if is_lost_tree(KEYS[1], {KEYS[2], KEYS[3]}) then return {'LOST', 'tree'} end
local has_tree = redis.call('EXISTS', KEYS[1]) == 1
local keys_each = (#KEYS - 4) / (#ARGV / 2)
for index = 1, #ARGV / 2 do
    local id, creation = ARGV[2 * index - 1], ARGV[2 * index]
    local is_known_dead = has_tree or creation ~= '' or redis.call('HEXISTS', KEYS[4], id) == 1
    -- Another session may have the id by now.
    if is_known_dead and not entry_in(KEYS[1], id) then
        for key = 5 + (index - 1) * keys_each, 4 + index * keys_each do redis.call('UNLINK', KEYS[key]) end
    end
    if redis.call('HGET', KEYS[4], id) == creation then redis.call('HDEL', KEYS[4], id) end
end
return {'OK'}
