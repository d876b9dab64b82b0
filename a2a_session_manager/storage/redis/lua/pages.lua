-- Events out of logs, a page at a time. It is put after `common.lua` where events are read.

local EVENTS_A_PAGE, BYTES_A_PAGE = 10000, 4000000 -- some milliseconds of the server's time
local FIRST_STEP = 4 -- so many events are read before it is known how large they are
local LONG_LOG, NEAR_END = 1000, 64

-- The stretches of logs that hold ranges of seqs: first and last seq, key of the log, the seq before its first entry.
local function stretches_of(keys, ranges)
    if #keys.segments == 0 then return ranges end
    local found, logs = {}, {}
    for index, segment in ipairs(keys.segments) do logs[index] = segment end
    logs[#logs + 1] = {base = keys.base, last = math.huge, log = keys.log}
    local at = 1
    for _, range in ipairs(ranges) do
        local first = range[1]
        while first <= range[2] do
            while logs[at].last < first do at = at + 1 end
            local last = math.min(range[2], logs[at].last)
            found[#found + 1] = {first, last, logs[at].log, logs[at].base, logs[at].suffix}
            first = last + 1
        end
    end
    return found
end

-- The entries of a log from the one to the other, counted from 1. Before Redis 7, LRANGE goes through a long list from its
-- start, wherever it reads; LINDEX begins at its end.
local function entries_of(log, first, last)
    local length = first > LONG_LOG and redis.call('LLEN', log) or 0
    if length - first >= NEAR_END or length < last then
        return redis.call('LRANGE', log, text(first - 1), text(last - 1))
    end
    local found = {}
    for index = first, last do found[#found + 1] = redis.call('LINDEX', log, text(index - 1 - length)) end
    return found
end

-- The first events of `ranges`, oldest first: as many as make a page, and one at least; or nil and the reply that says
-- what of them is missing.
local function page_of(keys, ranges, most_events, most_bytes)
    local found, bytes, step = {}, 0, FIRST_STEP
    for _, range in ipairs(stretches_of(keys, ranges)) do
        local first, log, base = range[1], range[3] or keys.log, range[4] or 0
        while first <= range[2] do
            local last = math.min(first + math.min(step, most_events - #found) - 1, range[2])
            local entries = entries_of(log, first - base, last - base)
            if #entries <= last - first then return nil, {'LOST', 'events', range[5]} end
            for _, entry in ipairs(entries) do
                bytes = bytes + #entry - (string.find(entry, ' ', 1, true) or 0) -- the revision is not counted
                if #found > 0 and bytes > most_bytes then return found end
                found[#found + 1] = entry
            end
            if #found >= most_events then return found end
            -- Not many more than will fit, if those to come are like those that came: what is read is held here.
            local fitting = math.ceil((most_bytes - bytes) * #found / math.max(bytes, 1))
            first, step = last + 1, math.max(1, math.min(step * 2, 256, fitting))
        end
    end
    return found
end
