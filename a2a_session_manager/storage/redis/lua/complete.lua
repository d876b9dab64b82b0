-- Looks for entries that are missing or must be made anew, a part of a shard at a time, and says when there are none.
-- KEYS: shard, its entries, their rows.
-- ARGV: which properties sessions are to be found by, at least; "anew" to throw away what there is, and "first", "next",
-- "last" as parts go; ":made" as the first part told it; after which line to look, and at how many.
-- It answers with ":made", the generation and the properties, after which line to go on or "", and the lines to look at,
-- each with its entry. Or WHOLE when all are; AGAIN when something was begun since the first part.

local shard, facts, order = KEYS[1], KEYS[2], KEYS[3]
local properties, step, made, after, limit = ARGV[1], ARGV[2], ARGV[3], ARGV[4], tonumber(ARGV[5])

local function has_all(names, wanted)
    for name in string.gmatch(wanted, '%S+') do
        if not string.find(' ' .. names .. ' ', ' ' .. name .. ' ', 1, true) then return false end
    end
    return true
end

local function all_of(names)
    local all = {}
    for name in string.gmatch(names, '%S+') do
        if not all[name] then
            all[name] = true
            all[#all + 1] = name
        end
    end
    table.sort(all)
    return table.concat(all, ' ')
end

local count = redis.call('ZCARD', shard)
if count == 0 then
    redis.call('UNLINK', facts, order)
    return {'WHOLE'}
end
local index = found(facts, order, '')
if not index or step == 'anew' then
    index = begin(facts, order, 'building', all_of((index and index.properties or '') .. ' ' .. properties))
end
local missing = count - index.lines
if missing < 0 then
    -- A release that knows of no entries leaves them behind when it deletes sessions.
    index = begin(facts, order, 'building', index.properties)
    missing = count
end
if not has_all(index.properties, properties) then
    -- What others find sessions by stays. Entries are of the new generation once they have the facets of all.
    index.generation = text(tonumber(index.generation) + 1)
    index.properties = all_of(index.properties .. ' ' .. properties)
    index.state = 'building'
    mark(facts, index.state, index.generation, index.properties)
    redis.call('HINCRBY', facts, ':made', '1')
end
if index.state == 'whole' and missing == 0 then return {'WHOLE'} end
if step == 'last' then
    if missing > 0 or redis.call('HGET', facts, ':made') ~= made then return {'AGAIN'} end
    mark(facts, 'whole', index.generation, index.properties)
    return {'WHOLE'}
end
if index.state == 'whole' then mark(facts, 'building', index.generation, index.properties) end

local lines = redis.call('ZRANGEBYLEX', shard, after == '' and '-' or '(' .. after, '+', 'LIMIT', '0', text(limit))
local wanted = {}
if #lines > 0 then
    for number, entry in ipairs(redis.call('HMGET', facts, unpack(lines))) do
        local line = lines[number]
        if not entry then
            put(facts, order, line, nil, NOTHING)
            entry = NOTHING
        end
        if string.match(entry, '^(%d+) ') ~= index.generation then
            wanted[#wanted + 1], wanted[#wanted + 2] = line, entry
        end
    end
end
if index.is_begun then end_with(shard, facts, order) end
local next_after = #lines == limit and lines[#lines] or ''
return {'OK', redis.call('HGET', facts, ':made'), index.generation, index.properties, next_after, wanted}
