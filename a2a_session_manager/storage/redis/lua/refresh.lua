-- Lets a session that expires live until a deadline at least; one that does not expire stays so.
-- KEYS: head, tree, its other keys and, of a root, those of its tree. ARGV: session id, deadline, "1" for a root.

local head = head_at(KEYS[1])
if not head then return {'NOSESSION'} end
if head.ttl == 0 or redis.call('PTTL', KEYS[1]) < 0 then return {'OK'} end
if head.deadline >= tonumber(ARGV[2]) then return {'OK'} end
local is_root = ARGV[3] == '1'
redis.call('HSET', KEYS[1], 'deadline', ARGV[2])
redis.call('HSET', KEYS[2], is_root and 'deadline' or 'd:' .. ARGV[1], ARGV[2])
for index, key in ipairs(KEYS) do
    if index ~= 2 or is_root then redis.call('PEXPIREAT', key, ARGV[2]) end
end
return {'OK'}
