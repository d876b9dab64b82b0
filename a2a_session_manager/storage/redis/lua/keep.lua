-- Adds a line to those of a namespace that somebody must look after, which live as long as the shards they are in.
-- KEYS: due. ARGV: the line, or "" for none; when to look, or "+MS" from now; how many ms the key shall live from now,
-- "@DEADLINE" for twice as long as until then, "0" for ever; how many lines to tell whose time has come.

local line, score, lifetime = ARGV[1], ARGV[2], ARGV[3]
local time, remaining = now(), redis.call('PTTL', KEYS[1])
local from_now = string.match(score, '^%+(%d+)$')
if from_now then score = text(time + tonumber(from_now)) end
if line ~= '' then redis.call('ZADD', KEYS[1], score, line) end
if lifetime == '0' then
    if remaining >= 0 then redis.call('PERSIST', KEYS[1]) end
elseif line ~= '' then
    local deadline = string.match(lifetime, '^@(%d+)$')
    lifetime = deadline and math.max(2 * (tonumber(deadline) - time), 1) or tonumber(lifetime)
    if remaining ~= -1 and remaining < 0.75 * lifetime then
        redis.call('PEXPIREAT', KEYS[1], text(time + lifetime))
    end
end
local due = {}
if ARGV[4] ~= '0' then
    due = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', text(time), 'LIMIT', '0', ARGV[4])
end
return {'OK', due}
