-- Which events a summary stands for, and which summary counts. It is put after `common.lua`; the rules are those of
-- `storage/compactions.py`. In the head, `compactions` has those that were not ended, the one first that reaches
-- furthest, as "SEQ FIRST LAST PINS;"; `placed` has the summaries that stand elsewhere, as "SEQ PLACE;".

local function compaction_of(line)
    local seq, first, last, pins = string.match(line, '^(%d+) (%d+) (%d+) (%S*)$')
    return {line = line, seq = tonumber(seq), first = tonumber(first), last = tonumber(last), pins = pins}
end

local function lines_of(keys, field)
    return string.gmatch(redis.call('HGET', keys.head, field) or '', '[^;]+')
end

-- The digest of what is hidden of first..last; that of `models/compaction.py`.
local function hidden_digest(keys, first, last)
    local sums, primes = {0, 0}, {2147483647, 2147483629}
    each_hidden(keys.hidden, first, last, function(hidden_first, hidden_last)
        for _, bound in ipairs({math.max(first, hidden_first), math.min(last, hidden_last)}) do
            for index, prime in ipairs(primes) do
                sums[index] = (sums[index] * 1000003 + bound % prime) % prime
            end
        end
    end)
    return text(sums[1]) .. '.' .. text(sums[2])
end

-- The summaries that a commit brings, each with the number of its event; without a range, `last` is 0.
local function summaries_of(commit)
    local found = {}
    for index, line in ipairs(commit.parts.summaries or {}) do
        local event, first, last, hidden, pins = string.match(line, '^(%d+) (%d+) (%d+) (%S+) (%S*)$')
        found[index] = {event = tonumber(event), first = tonumber(first), last = tonumber(last), hidden = hidden, pins = pins}
    end
    return found
end

-- The reason to refuse a summary: what it is of is not as it was when it was summarised, or is not there.
local function check_summaries(head, keys, commit)
    for index, made in ipairs(summaries_of(commit)) do
        if made.last > head.last_seq then return {'BEYOND', index, head.last_seq} end
        if made.last > 0 and hidden_digest(keys, made.first, made.last) ~= made.hidden then
            return {'OUTDATED', head.revision}
        end
    end
    return nil
end

local function meets(made, ranges)
    for _, range in ipairs(ranges) do
        if range[1] <= made.last and range[2] >= made.first then return true end
    end
    return false
end

-- Ends the compactions of which an event was hidden or brought back, and adds those of a commit, whose events have `seqs`.
local function write_summaries(keys, commit, seqs, newly, restored)
    local function is_touched(made) return meets(made, newly) or meets(made, restored) end
    local kept, placed, is_new = {}, '', false
    for line in lines_of(keys, 'compactions') do
        local compaction = compaction_of(line)
        if is_touched(compaction) then is_new = true else kept[#kept + 1] = compaction end
    end
    for _, made in ipairs(summaries_of(commit)) do
        local seq = seqs[made.event]
        if made.last > 0 and not is_touched(made) then
            made.seq, is_new = seq, true
            made.line = text(seq) .. ' ' .. text(made.first) .. ' ' .. text(made.last) .. ' ' .. made.pins
            kept[#kept + 1] = made
        elseif made.last == 0 and #newly > 0 then
            placed = placed .. text(seq) .. ' ' .. text(newly[1][1]) .. ';'
        end
    end
    if is_new then
        table.sort(kept, function(one, other)
            return one.last > other.last or (one.last == other.last and one.seq > other.seq)
        end)
        local lines = {}
        for index, compaction in ipairs(kept) do lines[index] = compaction.line .. ';' end
        redis.call('HSET', keys.head, 'compactions', table.concat(lines))
    end
    if placed ~= '' then
        redis.call('HSET', keys.head, 'placed', (redis.call('HGET', keys.head, 'placed') or '') .. placed)
    end
end

-- The compaction that counts, or nil.
local function in_force(keys)
    for line in lines_of(keys, 'compactions') do
        local compaction = compaction_of(line)
        if not is_hidden(keys.hidden, compaction.seq) then return compaction end
    end
    return nil
end

local function holds(ranges, seq)
    for _, range in ipairs(ranges) do
        if range[1] <= seq and seq <= range[2] then return true end
    end
    return false
end

-- Ranges in their order, those that overlap or touch joined to one.
local function merged(ranges)
    table.sort(ranges, function(one, other) return one[1] < other[1] end)
    local found = {}
    for _, range in ipairs(ranges) do
        local last = found[#found]
        if last and range[1] <= last[2] + 1 then
            last[2] = math.max(last[2], range[2])
        else
            found[#found + 1] = {range[1], range[2]}
        end
    end
    return found
end

-- What a view is made of that shows the newest `last` events after what is covered, -1 for all: the ranges of its
-- events, how many visible ones are not covered, which summaries are shown and where, and the compaction that counts.
local function shown(head, keys, last)
    local compaction, front, tail = in_force(keys), {}, {}
    local covered = compaction and compaction.last or 0
    local visible = head.last_seq - head.hidden
    if compaction then
        add_visible(keys.hidden, 1, compaction.first - 1, front)
        for one, other in string.gmatch(compaction.pins, '(%d+)-(%d+)') do
            add_visible(keys.hidden, tonumber(one), tonumber(other), front)
        end
        visible = head.last_seq - covered
        each_hidden(keys.hidden, covered + 1, head.last_seq, function(first, final)
            visible = visible - (final - math.max(first, covered + 1) + 1)
        end)
        for _, range in ipairs(front) do visible = visible + range[2] - range[1] + 1 end
    end
    if last < 0 then
        add_visible(keys.hidden, covered + 1, head.last_seq, tail)
    else
        tail = visible_ranges(keys.hidden, head.last_seq, last)
    end
    local ranges, summaries = {}, {}
    for _, range in ipairs(front) do ranges[#ranges + 1] = range end
    for _, range in ipairs(tail) do
        if range[2] > covered then ranges[#ranges + 1] = {math.max(range[1], covered + 1), range[2]} end
    end
    for line in lines_of(keys, 'placed') do
        local seq, place = string.match(line, '^(%d+) (%d+)$')
        seq, place = tonumber(seq), tonumber(place)
        if not is_hidden(keys.hidden, seq) and (seq > covered or holds(front, seq)) then
            summaries[#summaries + 1] = {seq, place}
        end
    end
    if compaction then summaries[#summaries + 1] = {compaction.seq, compaction.first} end
    for _, summary in ipairs(summaries) do ranges[#ranges + 1] = {summary[1], summary[1]} end
    return merged(ranges), visible, summaries, compaction
end
