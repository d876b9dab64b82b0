-- What the scripts share that work on sessions; it is put before each of them, after `clock.lua`. The rules of a
-- commit are those of `storage/commit_rules.py`. A script reads and checks everything before its first write: Redis takes
-- nothing back.

local EXACT = 9007199254740992 -- 2^53: up to here, Lua's numbers are exact integers
local REFUSED_SECONDS = 3600 -- a create that was sent before its session was deleted comes within this time
local ARGUMENTS_A_CALL = 1000 -- Lua's stack holds no more than 8000
local RANGES_A_READ = 100
local FINAL = {completed = true, failed = true, cancelled = true}

-- Calls use(first, last) for slices of 1..count that are small enough for one command.
local function in_slices(count, use)
    for first = 1, count, ARGUMENTS_A_CALL do
        use(first, math.min(first + ARGUMENTS_A_CALL - 1, count))
    end
end

local function fields_of(key, fields)
    local found = {}
    in_slices(#fields, function(first, last)
        for _, value in ipairs(redis.call('HMGET', key, unpack(fields, first, last))) do
            found[#found + 1] = value
        end
    end)
    return found
end

local function set_fields(key, pairs_of_fields)
    in_slices(#pairs_of_fields, function(first, last)
        redis.call('HSET', key, unpack(pairs_of_fields, first, last))
    end)
end

-- Forks

-- What a fork's log begins with: stretches of other sessions' logs, oldest first; none for a session that is no fork.
-- The keys of those sessions are not among a script's: they are made here of its own, for a tree has one slot.
local function segments_in(keys, field)
    local found, base = {}, 0
    if not field then return found, base end
    local start = string.sub(keys.tree, 1, -5)
    for last, suffix in string.gmatch(field, '%S+ (%d+) ([^;]*);') do
        last = tonumber(last)
        found[#found + 1] = {
            base = base, last = last, log = start .. 'log' .. suffix, ids = start .. 'ids' .. suffix, suffix = suffix
        }
        base = last
    end
    return found, base
end

-- Tells what of the sessions that a fork has events from is missing.
local function lost_segment(segments)
    if #segments == 0 then return nil end
    local names = {}
    for index, segment in ipairs(segments) do names[2 * index - 1], names[2 * index] = segment.log, segment.ids end
    if redis.call('EXISTS', unpack(names)) == #names then return nil end
    for _, segment in ipairs(segments) do
        if redis.call('EXISTS', segment.log) == 0 then return {'LOST', 'events', segment.suffix} end
        if redis.call('EXISTS', segment.ids) == 0 then return {'LOST', 'event ids', segment.suffix} end
    end
end

-- Puts the seqs of those events in the place of 0 that lie in a segment.
local function add_inherited(seqs, segment, fields)
    local places, names = {}, {}
    for index, seq in ipairs(seqs) do
        if seq == 0 then places[#places + 1], names[#names + 1] = index, fields[index] end
    end
    for number, seq in ipairs(fields_of(segment.ids, names)) do
        seq = tonumber(seq or 0)
        if seq > segment.base and seq <= segment.last then seqs[places[number]] = seq end
    end
end

-- The seqs of events, 0 for one that is not stored, neither here nor in what a fork has inherited.
local function seqs_of(keys, fields)
    local seqs = fields_of(keys.ids, fields)
    for index, seq in ipairs(seqs) do seqs[index] = tonumber(seq or 0) end
    for number = #keys.segments, 1, -1 do add_inherited(seqs, keys.segments[number], fields) end
    return seqs
end

-- Entries of a tree

-- A line of a tree: which session it is of, how long that lives without a write, which incarnation of the id it is, and its parent.
local function line_of(ordinal, ttl, creation, parent)
    return ordinal .. ' ' .. ttl .. ' ' .. creation .. ' ' .. parent
end

-- Whether a tree was lost: its root's own keys go in the same step as it does. `of_root`: the root's head and ids.
local function is_lost_tree(tree, of_root)
    return redis.call('EXISTS', tree) == 0 and redis.call('EXISTS', unpack(of_root)) > 0
end

-- Heads

local HEAD = {'v', 'creation', 'revision', 'last_seq', 'ttl', 'deadline', 'has_runs', 'unfinished', 'retractions', 'hidden', 'updated', 'tag', 'segments'}

-- A head of its values in the order of HEAD; nil where there is none.
local function head_of(found)
    if not found[1] then return nil end
    return {
        format = found[1],
        creation = found[2],
        revision = tonumber(found[3]),
        last_seq = tonumber(found[4]),
        ttl = tonumber(found[5] or 0),
        deadline = tonumber(found[6] or 0),
        has_runs = found[7] == '1',
        unfinished = tonumber(found[8] or 0),
        retractions = tonumber(found[9] or 0),
        hidden = tonumber(found[10] or 0), -- how many events
        updated = found[11] or '0', -- microseconds since the epoch
        tag = found[12] or '',
        segments = found[13] or nil -- of a fork
    }
end

local function head_at(key)
    return head_of(redis.call('HMGET', key, unpack(HEAD)))
end

-- The format of a head. Releases that know of no budgets refuse the third one: they would overlook a limit.
local function form_of(is_fork, has_budgets)
    if has_budgets then return '3' end
    return is_fork and '2' or '1'
end

-- Tells whether a session is not where a write expects it: "REVISION." or "REVISION.TAG", "-" for anywhere.
local function is_late(head, guard)
    if guard == '-' then return false end
    local revision, tag = string.match(guard, '^(%d+)%.(%x*)$')
    return tonumber(revision) ~= head.revision or (tag ~= '' and head.tag ~= '' and tag ~= head.tag)
end

-- Tells what of a session is missing: evicted by the server, or removed by somebody. It also refuses, by the
-- error of the command, a key of another type before anything is written.
local function lost(head, keys)
    if redis.call('LLEN', keys.log) ~= head.last_seq - keys.base then return {'LOST', 'events'} end
    if redis.call('HLEN', keys.ids) == 0 then return {'LOST', 'event ids'} end
    if keys.hidden and (redis.call('ZCARD', keys.hidden) > 0) ~= (head.hidden > 0) then
        return {'LOST', 'retractions'}
    end
    if keys.retractions and redis.call('ZCARD', keys.retractions) ~= head.retractions then
        return {'LOST', 'retractions'}
    end
    if keys.runs and (redis.call('HLEN', keys.runs) > 0) ~= head.has_runs then return {'LOST', 'runs'} end
    if keys.unfinished and redis.call('ZCARD', keys.unfinished) ~= head.unfinished then return {'LOST', 'runs'} end
    return lost_segment(keys.segments)
end

-- A session's entry and head, of those that were read; or nil, nil and the reply that says why there is none. It adds to
-- `keys` what it has found of a fork: its `segments`, and the last seq of them, `base`, after which its own log begins.
local function session_of(keys, id, is_root, entry, head)
    if not entry then
        -- A root's own keys go in the same step as its tree; below a root, they may wait to be removed.
        if is_root and redis.call('EXISTS', keys.head, keys.log, keys.ids) > 0 then return nil, nil, {'LOST', 'tree'} end
        return nil, nil, {'NOSESSION'}
    end
    if head and head.creation == entry.creation then
        if head.format ~= '3' and head.format ~= form_of(head.segments) then return nil, nil, {'NEWER', head.format} end
        keys.segments, keys.base = segments_in(keys, head.segments)
        local damage = lost(head, keys)
        if damage then return nil, nil, damage end
        return entry, head, nil
    end
    -- All keys of a session expire in the same millisecond, those of a tree with its root's; one that is left
    -- tells that another was evicted.
    if entry.ttl == 0 or entry.parent == '' or redis.call('EXISTS', keys.log, keys.ids) > 0
        or tonumber(redis.call('HGET', keys.tree, 'd:' .. id) or 0) > now() then
        return nil, nil, {'LOST', 'head'}
    end
    return nil, nil, {'NOSESSION'}
end

local function find_session(keys, id, is_root)
    local entry = entry_in(keys.tree, id)
    return session_of(keys, id, is_root, entry, entry and head_at(keys.head))
end

-- Ranges of hidden seqs: a sorted set whose members are "first-last", scored by their first.

local function bounds_of(range)
    local first, last = string.match(range, '^(%d+)-(%d+)$')
    return tonumber(first), tonumber(last)
end

-- The hidden range that begins at or before seq, or nil.
local function range_before(hidden, seq)
    local found = redis.call('ZREVRANGEBYSCORE', hidden, text(seq), '-inf', 'LIMIT', '0', '1')
    if not found[1] then return nil end
    return bounds_of(found[1])
end

local function is_hidden(hidden, seq)
    local _, last = range_before(hidden, seq)
    return last ~= nil and seq <= last
end

-- Calls use(first, last) for each hidden range that reaches into first..last, in order.
local function each_hidden(hidden, first, last, use)
    local before_first, before_last = range_before(hidden, first)
    if before_last and before_last >= first then use(before_first, before_last) end
    for _, range in ipairs(redis.call('ZRANGEBYSCORE', hidden, '(' .. text(first), text(last))) do
        use(bounds_of(range))
    end
end

-- Adds to `found` what of first..last is not hidden.
local function add_visible(hidden, first, last, found)
    each_hidden(hidden, first, last, function(hidden_first, hidden_last)
        if first < hidden_first then found[#found + 1] = {first, hidden_first - 1} end
        first = math.max(first, hidden_last + 1)
    end)
    if first <= last then found[#found + 1] = {first, last} end
end

-- The ranges of the last `count` visible seqs, newest first.
local function visible_tail(hidden, last_seq, count)
    local found, final = {}, last_seq
    local function take(first)
        if count > 0 and first <= final then
            first = math.max(first, final - count + 1)
            found[#found + 1] = {first, final}
            count = count - (final - first + 1)
        end
    end
    while count > 0 and final > 0 do
        local ranges =
            redis.call('ZREVRANGEBYSCORE', hidden, text(final), '-inf', 'LIMIT', '0', tostring(RANGES_A_READ))
        for _, range in ipairs(ranges) do
            local first, last = bounds_of(range)
            take(last + 1)
            final = first - 1
        end
        if #ranges < RANGES_A_READ then
            take(1)
            break
        end
    end
    return found
end

-- The ranges of the last `count` visible seqs, oldest first; of all of them where `count` is negative.
local function visible_ranges(hidden, last_seq, count)
    local newest_first = visible_tail(hidden, last_seq, count < 0 and last_seq or count)
    local found = {}
    for index = #newest_first, 1, -1 do found[#found + 1] = newest_first[index] end
    return found
end

local function flat(ranges)
    local found = {}
    for _, range in ipairs(ranges) do
        found[#found + 1] = range[1]
        found[#found + 1] = range[2]
    end
    return found
end
