-- Puts what an entry has come to in the place of what it was when its session was looked at, and only of that.
-- KEYS: shard, its entries, their rows. ARGV: which properties sessions are found by; then line, before, after, line …
-- It answers for each with its entry now, "" for none; or PROPERTIES, as `list.lua` does.

local facts, order = KEYS[2], KEYS[3]
local index, now_there = found(facts, order, ''), {}
if not index then return {'OK', now_there} end
if index.properties ~= ARGV[1] then return {'PROPERTIES', index.properties} end
for number = 2, #ARGV, 3 do
    local line, before, after = ARGV[number], ARGV[number + 1], ARGV[number + 2]
    local entry = redis.call('HGET', facts, line)
    if entry == before and entry ~= after and redis.call('ZSCORE', KEYS[1], line) then
        put(facts, order, line, before, after)
        entry = after
    end
    now_there[#now_there + 1] = entry or ''
end
return {'OK', now_there}
