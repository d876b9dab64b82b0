-- Claims an id for a session below a root: one slot, that of the id itself, decides that it exists once.
-- KEYS: locator of the id; the tree, head and ids that it has if it is a root.
-- ARGV: session id, claim, the dangling claim that this one takes over or "".

local claimed = redis.call('GET', KEYS[1])
if entry_in(KEYS[2], ARGV[1]) then return {'ROOT'} end
if is_lost_tree(KEYS[2], {KEYS[3], KEYS[4]}) then return {'LOST', 'tree'} end
if claimed == ARGV[2] then return {'OK'} end
if claimed and claimed ~= ARGV[3] then return {'CLAIMED', claimed} end
redis.call('SET', KEYS[1], ARGV[2])
return {'OK'}
