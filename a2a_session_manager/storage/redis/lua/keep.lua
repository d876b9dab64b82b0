-- Adds a member to a part of the index. A part lives as long as the longest-lived of its members, at least.
-- KEYS: the part. ARGV: the member, or "" for none; its score, or "+MS" from now; how many ms the part shall live
-- from now, "@DEADLINE" for twice as long as until then, "0" for ever; how many members to tell whose score has
-- passed; "1" to add nothing to a part that is not there.

local member, score, life = ARGV[1], ARGV[2], ARGV[3]
local time, remaining = now(), redis.call('PTTL', KEYS[1])
local from_now = string.match(score, '^%+(%d+)$')
if from_now then score = text(time + tonumber(from_now)) end
local deadline = string.match(life, '^@(%d+)$')
life = deadline and math.max(2 * (tonumber(deadline) - time), 1) or tonumber(life)

if ARGV[5] == '1' and remaining == -2 then return {'OK', 0, '', '0', {}} end
local change = remaining == -2 and 'new' or ''
if member ~= '' then
    redis.call('ZADD', KEYS[1], score, member)
    if life == 0 then
        if remaining >= 0 then
            redis.call('PERSIST', KEYS[1])
            change = 'moved'
        end
        remaining = -1
    elseif remaining ~= -1 and remaining < 0.75 * life then
        redis.call('PEXPIREAT', KEYS[1], text(time + life))
        remaining = life
        if change == '' then change = 'moved' end
    end
end
local due = {}
if ARGV[4] ~= '0' then
    due = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', text(time), 'LIMIT', '0', ARGV[4])
end
return {'OK', redis.call('ZCARD', KEYS[1]), change, remaining == -1 and '+inf' or text(time + remaining), due}
