-- Adds a line to a shard of the index, which lives as long as the longest-lived of its lines, at least. Two marks say
-- that the shard is there: a mark without its shard tells that the shard was lost, even when others are listed since.
-- KEYS: shard, its marks. ARGV: the line, or "" for none; how many ms the shard shall live from now, "@DEADLINE" for
-- twice as long as until then, "0" for ever; "1" if a shard that was lost is whole again.

local shard, line, life = KEYS[1], ARGV[1], ARGV[2]
local remaining = redis.call('PTTL', shard)
local first, second = redis.call('GET', KEYS[2]), redis.call('GET', KEYS[3])
local is_lost = first == 'lost' or second == 'lost' or (remaining == -2 and (first or second)) and true or false
if ARGV[3] == '1' then is_lost = false end
if line ~= '' then
    redis.call('ZADD', shard, '0', line)
elseif remaining == -2 then
    if not is_lost then redis.call('UNLINK', KEYS[2], KEYS[3]) end
    return {'OK', is_lost and 1 or 0}
end

-- Of a shard that was lost, one mark is missing: so it is told from others by counting keys.
local state = is_lost and 'lost' or '1'
local is_marked = first == state
if not is_marked then redis.call('SET', KEYS[2], state) end
if is_lost then
    redis.call('UNLINK', KEYS[3])
elseif second ~= '1' then
    redis.call('SET', KEYS[3], '1')
    is_marked = false
end
local time = now()
local deadline = string.match(life, '^@(%d+)$')
life = deadline and math.max(2 * (tonumber(deadline) - time), 1) or tonumber(life)
if line ~= '' and life == 0 then
    if remaining >= 0 then
        for _, key in ipairs(KEYS) do redis.call('PERSIST', key) end
    end
elseif line ~= '' and remaining ~= -1 and remaining < 0.75 * life then
    for _, key in ipairs(KEYS) do redis.call('PEXPIREAT', key, text(time + life)) end
elseif not is_marked and remaining >= 0 then
    for _, key in ipairs(KEYS) do redis.call('PEXPIREAT', key, text(time + remaining)) end
end
return {'OK', is_lost and 1 or 0}
