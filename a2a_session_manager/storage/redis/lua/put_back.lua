-- Makes an entry what it was before, if it is still what it was made. KEYS: shard, its entries, their rows.
-- ARGV: the line, the entry now and before.

local facts, order = KEYS[2], KEYS[3]
if found(facts, order, '') and redis.call('HGET', facts, ARGV[1]) == ARGV[2] then
    put(facts, order, ARGV[1], ARGV[2], ARGV[3])
end
return {'OK'}
