-- Adds a line to a shard of the index, which lives as long as the longest-lived of its lines, at least. Two marks say
-- that the shard is there: a mark without its shard tells that the shard was lost. A third, and the first, remember it
-- when others are listed since: the shard is then told from one that nobody has marked even if one of the two is lost.
-- KEYS: shard, its marks. ARGV: the line, or "" for none; how many ms the shard shall live from now, "@DEADLINE" for
-- twice as long as until then, "0" for ever; "1" if a shard that was lost is whole again.
-- It answers whether lines were lost, and whether those that are there stay until somebody removes them.

local shard, line, lifetime = KEYS[1], ARGV[1], ARGV[2]
local remaining = redis.call('PTTL', shard)
local first, second, third = redis.call('GET', KEYS[2]), redis.call('GET', KEYS[3]), redis.call('GET', KEYS[4])
local was_lost = first == 'lost' or third == 'lost'
local is_lost = ARGV[3] ~= '1' and (was_lost or (remaining == -2 and (first or second))) and true or false
if line ~= '' then
    redis.call('ZADD', shard, '0', line)
elseif remaining == -2 then
    if not is_lost then redis.call('UNLINK', KEYS[2], KEYS[3], KEYS[4]) end
    return {'OK', is_lost and 1 or 0, 0}
end

-- Of a shard that was lost, the second mark is missing: so it is told from others by counting keys.
local marks = is_lost and {'lost', false, 'lost'} or {'1', '1', false}
local is_marked = true
for index, found in ipairs({first, second, third}) do
    local mark, key = marks[index], KEYS[1 + index]
    if found ~= mark then
        is_marked = false
        if mark then redis.call('SET', key, mark) else redis.call('UNLINK', key) end
    end
end
if line ~= '' and lifetime == '0' then
    if remaining >= 0 then
        for _, key in ipairs(KEYS) do redis.call('PERSIST', key) end
    end
    return {'OK', is_lost and 1 or 0, 1}
end
local time = now()
local deadline = string.match(lifetime, '^@(%d+)$')
lifetime = deadline and math.max(2 * (tonumber(deadline) - time), 1) or tonumber(lifetime)
if line ~= '' and remaining ~= -1 and remaining < 0.75 * lifetime then
    for _, key in ipairs(KEYS) do redis.call('PEXPIREAT', key, text(time + lifetime)) end
elseif not is_marked and remaining >= 0 then
    for _, key in ipairs(KEYS) do redis.call('PEXPIREAT', key, text(time + remaining)) end
end
return {'OK', is_lost and 1 or 0, remaining == -1 and 1 or 0}
