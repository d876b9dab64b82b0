-- Adds a line to a shard of the index, which lives as long as the longest-lived of its lines, at least. Two marks say
-- that the shard is there: a mark without its shard tells that the shard was lost. A third, and the first, remember it
-- when others are listed since: the shard is then told from one that nobody has marked even if one of the two is lost.
-- KEYS: shard, its marks; where pages of heads are found by it, its entries and their rows.
-- ARGV: the line, or "" for none; how many ms the shard shall live from now, "@DEADLINE" for twice as long as until
-- then, "0" for ever; "1" if a shard that was lost is whole again, "2" if nothing may be refused; which properties
-- sessions are found by; and of a session that will be created, the times and the facets of its entry.
-- It answers whether lines were lost, whether those that are there stay until somebody removes them, the entry before
-- and after, and which properties sessions are found by. Or PROPERTIES, and which they are, where they are others than
-- was said: then nothing was done. Where that is not refused, the session must be looked at.

local shard, line, lifetime = KEYS[1], ARGV[1], ARGV[2]
local remaining = redis.call('PTTL', shard)
local first, second, third = redis.call('GET', KEYS[2]), redis.call('GET', KEYS[3]), redis.call('GET', KEYS[4])
local was_lost = first == 'lost' or third == 'lost'
local is_lost = ARGV[3] ~= '1' and (was_lost or (remaining == -2 and (first or second))) and true or false

-- Adds the entry; returns how the index of the shard is, or nil where it is for other properties.
local function enter()
    local facts, order = KEYS[5], KEYS[6]
    local index = remaining ~= -2 and found(facts, order, line)
    if not index then index = begin(facts, order, remaining == -2 and not is_lost and 'whole' or 'building', ARGV[4]) end
    local is_new, is_for_others = ARGV[5] ~= nil, index.properties ~= ARGV[4]
    if is_new and is_for_others and ARGV[3] ~= '2' then return nil, index.properties end
    index.before = index.entry
    if is_new and is_for_others then
        index.entry = string.gsub(index.before or NOTHING, '^%d+', '0')
        begin_entry(facts, order, line, index, index.entry, index.before)
    elseif not index.entry and is_new then
        index.entry = table.concat({index.generation, ARGV[5], ARGV[6], micros(), unpack(ARGV, 7)}, ' ')
        put(facts, order, line, nil, index.entry)
    elseif not index.entry then
        index.entry = NOTHING
        begin_entry(facts, order, line, index, index.entry)
    elseif is_new and #ARGV > 6 then
        -- Left over by a session that is gone, or that of one that is there: whoever creates it learns which.
        index.entry = with_pending(index.entry, {unpack(ARGV, 7)})
        put(facts, order, line, index.before, index.entry)
    end
    return index
end

local index
if KEYS[5] and line ~= '' then
    local others
    index, others = enter()
    if not index then return {'PROPERTIES', others} end
end
if line ~= '' then
    redis.call('ZADD', shard, '0', line)
elseif remaining == -2 then
    if not is_lost then redis.call('UNLINK', unpack(KEYS, 2)) end
    return {'OK', is_lost and 1 or 0, 0}
end

-- Of a shard that was lost, the second mark is missing: so it is told from others by counting keys.
local marks = is_lost and {'lost', false, 'lost'} or {'1', '1', false}
local is_marked = not (index and index.is_begun)
for number, value in ipairs({first, second, third}) do
    local mark_wanted, key = marks[number], KEYS[1 + number]
    if value ~= mark_wanted then
        is_marked = false
        if mark_wanted then redis.call('SET', key, mark_wanted) else redis.call('UNLINK', key) end
    end
end

local stays = remaining == -1
if line ~= '' and lifetime == '0' then
    stays = true
    if remaining >= 0 then
        for _, key in ipairs(KEYS) do redis.call('PERSIST', key) end
    end
else
    local time = now()
    local deadline = string.match(lifetime, '^@(%d+)$')
    lifetime = deadline and math.max(2 * (tonumber(deadline) - time), 1) or tonumber(lifetime)
    if line ~= '' and remaining ~= -1 and remaining < 0.75 * lifetime then
        for _, key in ipairs(KEYS) do redis.call('PEXPIREAT', key, text(time + lifetime)) end
    elseif not is_marked and remaining >= 0 then
        for _, key in ipairs(KEYS) do redis.call('PEXPIREAT', key, text(time + remaining)) end
    end
end
return {'OK', is_lost and 1 or 0, stays and 1 or 0, index and index.before or '', index and index.entry or '',
    index and index.properties or ''}
