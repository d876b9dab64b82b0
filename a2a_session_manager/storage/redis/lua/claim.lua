-- Claims an id for a session below a root: one slot, that of the id itself, decides that it exists once.
-- KEYS: locator of the id; the tree, head and ids that it has if it is a root; where one server has all keys and the
-- creation comes right behind, the shard of the index where the id was just listed, and its marks.
-- ARGV: session id, claim, the dangling claim that this one takes over or ""; bounds of the lines of that id there.

local claimed = redis.call('GET', KEYS[1])
if entry_in(KEYS[2], ARGV[1]) then return {'ROOT'} end
if is_lost_tree(KEYS[2], {KEYS[3], KEYS[4]}) then return {'LOST', 'tree'} end
if claimed == ARGV[2] then return {'OK'} end
-- Of what the index tells of other sessions of the id, or has lost, the caller has to make something.
if KEYS[5] and (redis.call('EXISTS', KEYS[5], KEYS[6], KEYS[7]) ~= 3
    or redis.call('ZLEXCOUNT', KEYS[5], ARGV[4], ARGV[5]) ~= 1) then return {'DOUBTFUL'} end
if claimed and claimed ~= ARGV[3] then return {'CLAIMED', claimed} end
redis.call('SET', KEYS[1], ARGV[2])
return {'OK'}
