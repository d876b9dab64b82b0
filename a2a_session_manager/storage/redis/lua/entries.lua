-- The entries of a shard by which pages of heads are found: a hash of them by line, and a sorted set of their rows.
-- An entry is "GENERATION UPDATED CREATED TOUCHED FACETS": times of 16 digits in microseconds, the server's time when it
-- was last moved, and a facet for each property that sessions are found by. One that is not yet committed, perhaps, is
-- "FACET+TIME". A row is what an order goes by: facet or nothing, "u" or "c", the time, the line; all scores are 0.
-- ":mark" is "1 STATE GENERATION PROPERTIES", ":lines" and ":count" are how many entries and rows there are, ":made"
-- moves with each entry that is begun and whose session must be looked at. They tell when something was lost. All of it
-- is derived: what does not fit is thrown away, and readers make it anew from the lines of the shard.

local FIELDS = 4 -- beside the entries
local NOTHING = '0 0000000000000000 0000000000000000 0'

local function micros()
    local time = redis.call('TIME')
    return string.format('%s%06d', time[1], tonumber(time[2]))
end

local function rows_of(line, entry)
    local updated, created, facets = string.match(entry, '^%d+ (%d+) (%d+) %d+(.*)$')
    local rows = {['u' .. updated .. line] = true, ['c' .. created .. line] = true}
    for facet in string.gmatch(facets, ' (=[^+ ]+)') do
        rows[facet .. 'u' .. updated .. line] = true
        rows[facet .. 'c' .. created .. line] = true
    end
    return rows
end

-- Puts an entry, or nil, in the place of the one before, or nil.
local function put(facts, order, line, before, after)
    local old, new = before and rows_of(line, before) or {}, after and rows_of(line, after) or {}
    local added, gone, change = {}, {}, 0
    for row in pairs(new) do
        if not old[row] then added[#added + 1], added[#added + 2] = '0', row end
    end
    for row in pairs(old) do
        if not new[row] then gone[#gone + 1] = row end
    end
    if #added > 0 then change = redis.call('ZADD', order, unpack(added)) end
    if #gone > 0 then change = change - redis.call('ZREM', order, unpack(gone)) end
    if change ~= 0 then redis.call('HINCRBY', facts, ':count', text(change)) end
    if not before then redis.call('HINCRBY', facts, ':lines', '1') end
    if after then
        redis.call('HSET', facts, line, after)
    else
        redis.call('HDEL', facts, line)
        redis.call('HINCRBY', facts, ':lines', '-1')
    end
end

local function mark(facts, state, generation, properties)
    redis.call('HSET', facts, ':mark', '1 ' .. state .. ' ' .. generation .. ' ' .. properties)
end

-- Begins the index of a shard anew; `state` is "building", or "whole" where the shard has no lines.
local function begin(facts, order, state, properties)
    redis.call('UNLINK', facts, order)
    mark(facts, state, '1', properties)
    redis.call('HSET', facts, ':lines', '0', ':count', '0', ':made', micros())
    return {state = state, generation = '1', properties = properties, lines = 0, is_begun = true}
end

-- Lets the index of a shard, which was begun anew, end when the shard does.
local function end_with(shard, facts, order)
    local remaining = redis.call('PTTL', shard)
    if remaining < 0 then return end
    for _, key in ipairs({facts, order}) do redis.call('PEXPIREAT', key, text(now() + remaining)) end
end

-- What the mark says, and the entry of `line` where there is one; nil where something was lost or damaged.
local function found(facts, order, line)
    local fields = redis.pcall('HMGET', facts, ':mark', ':count', ':made', ':lines', line)
    if fields.err or not fields[1] or not fields[3] or not fields[4] then return nil end
    if redis.call('HLEN', facts) ~= fields[4] + FIELDS or redis.pcall('ZCARD', order) ~= tonumber(fields[2]) then
        return nil
    end
    local state, generation, properties = string.match(fields[1], '^1 (%a+) (%d+) (.*)$')
    if not state then return nil end
    return {
        state = state, generation = generation, properties = properties, lines = tonumber(fields[4]),
        entry = fields[5] or nil
    }
end

-- Begins an entry whose session must be looked at: until then, the index of the shard is not whole.
local function begin_entry(facts, order, line, index, entry, before)
    redis.call('HINCRBY', facts, ':made', '1')
    if index.state ~= 'building' then mark(facts, 'building', index.generation, index.properties) end
    put(facts, order, line, before, entry)
end

-- The entry with facets that a commit is about to need, each of them marked as pending since now.
local function with_pending(entry, facets)
    local time = micros()
    for _, facet in ipairs(facets) do
        local kept = {}
        for word in string.gmatch(entry, '%S+') do
            if string.match(word, '^[^+]*') ~= facet then kept[#kept + 1] = word end
        end
        kept[#kept + 1] = facet .. '+' .. time
        entry = table.concat(kept, ' ')
    end
    return entry
end
