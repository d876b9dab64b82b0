-- Reads a head and the first page of its newest visible events.
-- KEYS: tree head log ids hidden runs unfinished children retractions.
-- ARGV: session id, "1" for a root, number of events or -1 for all, "1" for all runs and the children,
-- names of the counters, number of runs of a bounded read.

local keys = {
    tree = KEYS[1], head = KEYS[2], log = KEYS[3], ids = KEYS[4], hidden = KEYS[5],
    runs = KEYS[6], unfinished = KEYS[7], children = KEYS[8], retractions = KEYS[9]
}
local id, is_root, last, is_whole = ARGV[1], ARGV[2] == '1', tonumber(ARGV[3]), ARGV[4] == '1'

local function run_lines(ids)
    local found, fields = {}, {}
    for index, run_id in ipairs(ids) do fields[index] = 'r:' .. run_id end
    for index, line in ipairs(fields_of(keys.runs, fields)) do
        found[#found + 1] = fields[index]
        found[#found + 1] = line
    end
    return found
end

local function run_totals(ids)
    local found, fields = {}, {}
    for _, run_id in ipairs(ids) do
        for name in string.gmatch(ARGV[5], '%S+') do
            fields[#fields + 1] = 'u:' .. name .. ':' .. run_id
        end
    end
    for index, count in ipairs(fields_of(keys.runs, fields)) do
        if count then
            found[#found + 1] = fields[index]
            found[#found + 1] = count
        end
    end
    return found
end

-- The unfinished runs and the newest ones, in the order they were first committed.
local function few_runs(count, newest)
    local first = math.max(count - newest + 1, 1)
    local ids = redis.call('ZRANGEBYSCORE', keys.unfinished, '-inf', '(' .. text(first))
    local fields = {}
    for ordinal = first, count do fields[#fields + 1] = 'o:' .. text(ordinal) end
    for _, run_id in ipairs(fields_of(keys.runs, fields)) do ids[#ids + 1] = run_id end
    return ids
end

local entry, head, absent = find_session(keys, id, is_root)
if absent then return absent end

local ranges = visible_ranges(keys.hidden, head.last_seq, last)
local entries, damage = page_of(keys, ranges, EVENTS_A_PAGE, BYTES_A_PAGE)
if damage then return damage end

local children, expiring, runs, totals = {}, {}, {}, {}
if is_whole then
    if redis.call('ZCARD', keys.children) ~= tonumber(redis.call('HGET', keys.head, 'children') or 0) then
        return {'LOST', 'children'}
    end
    -- Its forks are among them, with ordinals below zero.
    children = redis.call('ZRANGEBYSCORE', keys.children, '(0', '+inf')
    if redis.call('HEXISTS', keys.tree, 'expires') == 1 then expiring = children end
    if head.has_runs then runs = redis.call('HGETALL', keys.runs) end
elseif head.has_runs then
    local count = tonumber(redis.call('HGET', keys.runs, 'count') or 0)
    local ids = few_runs(count, tonumber(ARGV[6]))
    runs, totals = run_lines(ids), run_totals(ids)
end
return {'OK', redis.call('HGETALL', keys.head), flat(ranges), entries, runs, totals, children, expiring}
