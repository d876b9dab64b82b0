-- What a commit hides and restores: chosen by its arguments, and written. It is put after `common.lua` and
-- `first_commit.lua`. The rules are those of `storage/hiding.py`.

-- The seqs of events in the order of their ids; or nil and the reason: there is no such event.
local function seqs_named(keys, event_ids)
    local fields = {}
    for index, id in ipairs(event_ids) do fields[index] = 'e:' .. id end
    local seqs = seqs_of(keys, fields)
    for index, seq in ipairs(seqs) do
        if seq == 0 then return nil, {'UNKNOWN', event_ids[index]} end
    end
    return seqs, nil
end

-- Sorted ranges of those seqs for which `is_wanted`, each once.
local function ranges_of(seqs, is_wanted)
    local found = {}
    table.sort(seqs)
    for _, seq in ipairs(seqs) do
        local last = found[#found]
        if not is_wanted(seq) or (last and seq == last[2]) then
            -- not wanted, or named twice
        elseif last and seq == last[2] + 1 then
            last[2] = seq
        else
            found[#found + 1] = {seq, seq}
        end
    end
    return found
end

-- The ranges that a commit hides and that were visible; or nil and the reason.
local function newly_hidden(head, keys, parts)
    local found = {}
    if parts.hide_last then
        return visible_ranges(keys.hidden, head.last_seq, tonumber(parts.hide_last[1])), nil
    elseif parts.hide_after then
        local after = tonumber(parts.hide_after[1])
        if after < head.last_seq then add_visible(keys.hidden, after + 1, head.last_seq, found) end
    elseif parts.hide_ids then
        local seqs, reason = seqs_named(keys, parts.hide_ids)
        if not seqs then return nil, reason end
        return ranges_of(seqs, function(seq) return not is_hidden(keys.hidden, seq) end), nil
    end
    return found, nil
end

-- All ranges that commits after a revision have hidden, by their first seqs; `last_seq` is the session's at that one.
local function hidden_since(keys, revision, last_seq)
    local found = {}
    for _, member in ipairs(redis.call('ZRANGEBYSCORE', keys.retractions, text(last_seq), '+inf')) do
        local made, hidden = string.match(member, '^(%d+) (%S*)')
        if tonumber(made) > revision then
            for _, range in ipairs(read_ranges(hidden)) do found[#found + 1] = range end
        end
    end
    table.sort(found, function(one, other) return one[1] < other[1] end)
    return found
end

-- The parts of sorted ranges that are in none of `others`, which are sorted and may overlap.
local function without(ranges, others)
    local found, at = {}, 1
    for _, range in ipairs(ranges) do
        local first = range[1]
        while others[at] and others[at][2] < first do at = at + 1 end
        local index = at
        while others[index] and others[index][1] <= range[2] and first <= range[2] do
            if first < others[index][1] then found[#found + 1] = {first, others[index][1] - 1} end
            first = math.max(first, others[index][2] + 1)
            index = index + 1
        end
        if first <= range[2] then found[#found + 1] = {first, range[2]} end
    end
    return found
end

-- What a write hid, without what was restored since, and perhaps hidden by another; or nil and the reason.
local function still_hidden_by(keys, write_id)
    local undone = first_result(keys, write_id)
    if not undone then return nil, {'UNWRITTEN', write_id} end
    if undone.is_pop then return nil, {'POPPED', write_id} end
    if #undone.hidden == 0 then return nil, {'NOTHING', write_id} end
    local found = {}
    -- What another one could hide had been restored before.
    for _, range in ipairs(without(undone.hidden, hidden_since(keys, undone.revision, undone.last_seq))) do
        each_hidden(keys.hidden, range[1], range[2], function(first, last)
            found[#found + 1] = {math.max(first, range[1]), math.min(last, range[2])}
        end)
    end
    return found, nil
end

-- The ranges that a commit restores and that were hidden; or nil and the reason.
local function newly_restored(keys, parts)
    if parts.restore_write then return still_hidden_by(keys, parts.restore_write[1]) end
    if not parts.restore_ids then return {}, nil end
    local seqs, reason = seqs_named(keys, parts.restore_ids)
    if not seqs then return nil, reason end
    local ever_hidden
    for index, seq in ipairs(seqs) do
        if not is_hidden(keys.hidden, seq) then
            ever_hidden = ever_hidden or hidden_since(keys, 0, 0)
            if #without({{seq, seq}}, ever_hidden) > 0 then return nil, {'VISIBLE', parts.restore_ids[index]} end
        end
    end
    return ranges_of(seqs, function(seq) return is_hidden(keys.hidden, seq) end), nil
end

-- Writes that first..last is hidden now, joined with the ranges that it touches.
local function hide(hidden, first, last)
    local joined_first, joined_last = first, last
    local before_first, before_last = range_before(hidden, first - 1)
    local after = redis.call('ZRANGEBYSCORE', hidden, text(last + 1), text(last + 1))[1]
    if before_last == first - 1 then joined_first = before_first else before_first = nil end
    if after then joined_last = select(2, bounds_of(after)) end
    redis.call('ZADD', hidden, text(joined_first), text(joined_first) .. '-' .. text(joined_last))
    if before_first then redis.call('ZREM', hidden, text(before_first) .. '-' .. text(before_last)) end
    if after then redis.call('ZREM', hidden, after) end
end

-- Writes that first..last is visible again. The set keeps its time to live: it is never empty in between.
local function show(hidden, first, last)
    each_hidden(hidden, first, last, function(hidden_first, hidden_last)
        if hidden_first < first then
            redis.call('ZADD', hidden, text(hidden_first), text(hidden_first) .. '-' .. text(first - 1))
        end
        if hidden_last > last then
            redis.call('ZADD', hidden, text(last + 1), text(last + 1) .. '-' .. text(hidden_last))
        end
        redis.call('ZREM', hidden, text(hidden_first) .. '-' .. text(hidden_last))
    end)
end

local function write_hidden(head, keys, newly, restored, revision)
    local member = string.format('%016.0f', revision) .. ' ' .. written(newly)
    if #restored > 0 then member = member .. ' ' .. written(restored) end
    redis.call('ZADD', keys.retractions, text(head.last_seq), member)
    for _, range in ipairs(newly) do hide(keys.hidden, range[1], range[2]) end
    for _, range in ipairs(restored) do show(keys.hidden, range[1], range[2]) end
    head.hidden = head.hidden + size_of(newly) - size_of(restored)
    head.has_hidden_more = head.has_hidden_more or #newly > 0
    head.retractions = head.retractions + 1
end
