-- A response counts once: the rule is that of `storage/counted_responses.py`. It is put before `commit_rules.lua`.
-- The hash of ids has a field for each response, 'u:' and its id: what is counted of it, as a line of counters, and the
-- first model that was named, '' for none yet, in the lines after it. The counter '@' is the seq of the event that was
-- counted last; '<' is that of the one before it, if there was one here, and then the field 'h:', that seq, ':' and the
-- id has what was counted up to there: forks inherit that. Earlier releases have written neither, and keep both as they
-- are; the seq of what they have counted is 0.

-- What a whole number of any length is above a smaller one, as texts.
local function minus(one, other)
    local rest, borrowed = '', 0
    while one ~= '' do
        local digits = tonumber(string.sub(one, -14)) - (tonumber(string.sub(other, -14)) or 0) - borrowed
        borrowed = digits < 0 and 1 or 0
        rest = string.format('%014.0f', digits + borrowed * 1e14) .. rest
        one, other = string.sub(one, 1, -15), string.sub(other, 1, -15)
    end
    return string.match(rest, '^0*(%d+)$')
end

local function counters_in(words)
    local found = {}
    for name, count in string.gmatch(words, '(%S+) (%d+)') do found[#found + 1] = {name = name, count = count} end
    return found
end

local function words_of(counters)
    local words = {}
    for index, counter in ipairs(counters) do words[index] = counter.name .. ' ' .. counter.count end
    return table.concat(words, ' ')
end

-- A line without the seqs of what was counted.
local function without_seqs(line)
    local counters, rest = string.match(line, '^([^\n]*)(.*)$')
    return string.gsub(counters, ' [@<] %d+', '') .. rest
end

-- What a fork has inherited of a response, as a line without seqs, which are another log's; or nil.
local function inherited_line(keys, response)
    for number = #keys.segments, 1, -1 do
        local ids, last = keys.segments[number].ids, keys.segments[number].last
        local line = redis.call('HGET', ids, 'u:' .. response)
        while line do
            local seq, before = string.match(line, '^[^\n]* @ (%d+)'), string.match(line, '^[^\n]* < (%d+)')
            if not seq or tonumber(seq) <= last then return without_seqs(line) end
            line = before and redis.call('HGET', ids, 'h:' .. before .. ':' .. response)
        end
    end
    return nil
end

-- Leaves of a usage what exceeds those of its response before it, and returns the line of all of them; nil for a line
-- that is none.
local function count_again(usage, line)
    local before, model = string.match(line, '^([^\n]*)\n(.*)$')
    if not before then return nil end
    local most, places, added = counters_in(before), {}, {{name = 'repeated_requests', count = '1'}}
    if words_of(most) ~= before then return nil end
    for index, counter in ipairs(most) do places[counter.name] = index end
    local function count(name, value)
        local place = places[name]
        local counted = place and most[place].count or '0'
        if not is_more(value, counted) then return end
        added[#added + 1] = {name = name, count = minus(value, counted)}
        place = place or #most + 1
        most[place], places[name] = {name = name, count = value}, place
    end
    for _, counter in ipairs(usage.counters) do count(counter.name, counter.count) end
    if model ~= '' and usage.model ~= '' and model ~= usage.model then
        -- Of two models, nobody knows whose price was paid: what was added for it before is joined with this.
        local place = places.partially_priced_requests
        if not place or most[place].count == '0' then count('partially_priced_requests', '1') end
    end
    usage.counters = added
    return words_of(most) .. '\n' .. (model ~= '' and model or usage.model)
end

-- Leaves of each new event's usage what it adds, the first of which gets the seq after `last_seq`; returns the fields to
-- write, and whether a response came again; or nil and the reason.
local function count_once(keys, fresh, last_seq)
    local usages, names, seqs = {}, {}, {}
    for index, event in ipairs(fresh) do
        if event.usage and event.usage.response then
            usages[#usages + 1] = event.usage
            names[#names + 1] = 'u:' .. event.usage.response
            seqs[#seqs + 1] = last_seq + index
        end
    end
    local lines, fields, is_recounted = {}, {}, false
    if #names == 0 then return fields, is_recounted end
    for index, line in ipairs(fields_of(keys.ids, names)) do lines[names[index]] = line or nil end
    for index, usage in ipairs(usages) do
        local name, mark = names[index], ' @ ' .. text(seqs[index])
        local own = lines[name]
        local line = own or inherited_line(keys, usage.response)
        if own then
            local seq = string.match(own, '^[^\n]* @ (%d+)') or '0'
            fields[#fields + 1], fields[#fields + 2] = 'h:' .. seq .. ':' .. usage.response, own
            mark = mark .. ' < ' .. seq
        end
        if line then
            line = count_again(usage, without_seqs(line))
            if not line then return nil, {'LOST', 'count of a response'} end
            is_recounted = true
        else
            line = words_of(usage.counters) .. '\n' .. usage.model
        end
        if usage.cell == '' then usage.counters, is_recounted = {}, true end -- paid for elsewhere
        lines[name] = string.gsub(line, '\n', mark .. '\n', 1)
        fields[#fields + 1], fields[#fields + 2] = name, lines[name] -- of one that comes again, the last one counts
    end
    return fields, is_recounted
end
