-- Removes the keys of dead sessions of a tree, which are not its root.
-- KEYS: tree, root's head and ids, then those of each session. ARGV: session ids.

-- Without its tree, nobody can tell whether a session is dead.
if is_lost_tree(KEYS[1], {KEYS[2], KEYS[3]}) then return {'LOST', 'tree'} end
local keys_each = (#KEYS - 3) / #ARGV
for index, id in ipairs(ARGV) do
    -- Another session may have the id by now.
    if not place_in(KEYS[1], id) then
        for key = 4 + (index - 1) * keys_each, 3 + index * keys_each do redis.call('UNLINK', KEYS[key]) end
    end
end
return {'OK'}
