-- What a commit hides: chosen by its arguments, and written. It is put after `common.lua`.

-- The seqs of events, ascending; or nil and the reason: there is no such event.
local function seqs_of_parts(keys, event_ids)
    local fields = {}
    for index, id in ipairs(event_ids) do fields[index] = 'e:' .. id end
    local seqs = seqs_of(keys.ids, fields)
    for index, seq in ipairs(seqs) do
        if seq == 0 then return nil, {'UNKNOWN', event_ids[index]} end
    end
    table.sort(seqs)
    return seqs, nil
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
        local seqs, reason = seqs_of_parts(keys, parts.hide_ids)
        if not seqs then return nil, reason end
        for _, seq in ipairs(seqs) do
            local last = found[#found]
            if is_hidden(keys.hidden, seq) or (last and seq == last[2]) then
                -- hidden before, or named twice
            elseif last and seq == last[2] + 1 then
                last[2] = seq
            else
                found[#found + 1] = {seq, seq}
            end
        end
    end
    return found, nil
end

local function written(ranges)
    local found = {}
    for _, range in ipairs(ranges) do
        found[#found + 1] = text(range[1]) .. '-' .. text(range[2])
    end
    return table.concat(found, ',')
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

local function write_hidden(head, keys, newly, revision)
    local member = string.format('%016.0f', revision) .. ' ' .. written(newly)
    redis.call('ZADD', keys.retractions, text(head.last_seq), member)
    for _, range in ipairs(newly) do
        hide(keys.hidden, range[1], range[2])
        head.hidden = head.hidden + range[2] - range[1] + 1
    end
    head.retractions = head.retractions + 1
end
