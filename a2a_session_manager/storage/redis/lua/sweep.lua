-- Removes the keys of dead sessions of a tree. KEYS: tree, then those of each session. ARGV: session ids.

local keys_each = (#KEYS - 1) / #ARGV
for index, id in ipairs(ARGV) do
    -- Another session may have the id by now.
    if not place_in(KEYS[1], id) then
        for key = 2 + (index - 1) * keys_each, 1 + index * keys_each do redis.call('UNLINK', KEYS[key]) end
    end
end
return {'OK'}
