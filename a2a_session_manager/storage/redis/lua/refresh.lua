-- Lets a session that expires live until a deadline at least; one that does not expire stays so.
-- KEYS: head, its other keys and, of a root, those of its tree. ARGV: deadline, "1" for a root: then the
-- tree is the second key.

local head = head_at(KEYS[1])
if not head or head.ttl == 0 or redis.call('PTTL', KEYS[1]) < 0 then return {'OK'} end
if head.deadline >= tonumber(ARGV[1]) then return {'OK'} end
redis.call('HSET', KEYS[1], 'deadline', ARGV[1])
if ARGV[2] == '1' then redis.call('HSET', KEYS[2], 'deadline', ARGV[1]) end
for _, key in ipairs(KEYS) do redis.call('PEXPIREAT', key, ARGV[1]) end
return {'OK'}
