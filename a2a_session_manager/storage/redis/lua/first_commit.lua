-- What all scripts share that make commits, those too whose commit brings nothing but values: Redis runs a script's
-- definitions at each call, and those of all other rules cost as much as such a commit. It is put after `common.lua`.

local argument = 0

local function take()
    argument = argument + 1
    return ARGV[argument]
end

local function take_many(count)
    local taken = {}
    for index = 1, count do taken[index] = take() end
    return taken
end

-- A commit without what it brings, and how much it brings of each.
local function take_header()
    local written_at, tag, guard, events, values, unset, runs, parts, has_usage, creation, write_id =
        string.match(take(), '^(%d+) (%x+) (%S+) (%d+) (%d+) (%d+) (%d+) (%d+) (%d) (%S+) (.*)$')
    local commit = {
        written_at = written_at,
        tag = tag,
        guard = guard,
        creation = creation, -- '-' for whichever
        write_id = write_id, -- '' for none
        events = {},
        event_ids = {},
        runs = {},
        parts = {} -- what few commits bring: lists of values by name
    }
    return commit, {
        events = tonumber(events), values = tonumber(values), unset = tonumber(unset), runs = tonumber(runs),
        parts = tonumber(parts), has_usage = has_usage
    }
end

-- The values of a commit that brings nothing else, which nothing refuses where a session begins with it; nil for another.
local function take_values_alone(commit, counts)
    if counts.events + counts.unset + counts.runs + counts.parts > 0 or commit.guard ~= '-' then return nil end
    commit.values = take_many(2 * counts.values)
    return commit
end

local function read_ranges(written)
    local found = {}
    for first, last in string.gmatch(written, '(%d+)-(%d+)') do
        found[#found + 1] = {tonumber(first), tonumber(last)}
    end
    return found
end

local function written(ranges)
    local found = {}
    for _, range in ipairs(ranges) do
        found[#found + 1] = text(range[1]) .. '-' .. text(range[2])
    end
    return table.concat(found, ',')
end

local function size_of(ranges)
    local size = 0
    for _, range in ipairs(ranges) do size = size + range[2] - range[1] + 1 end
    return size
end

-- What the commit of a write id did at first, or nil.
local function first_result(keys, write_id)
    local line = redis.call('HGET', keys.ids, 'w:' .. write_id)
    if not line then return nil end
    local revision, last_seq, is_change, hidden, restored, kind =
        string.match(line, '^(%d+) (%d+) (%d) (%S*) ?(%S*) ?(%a*)$')
    return {
        revision = tonumber(revision),
        last_seq = tonumber(last_seq),
        is_change = is_change == '1',
        hidden = read_ranges(hidden),
        restored = read_ranges(restored),
        is_pop = kind == 'pop'
    }
end

local function note_first_result(keys, write_id, result)
    local line = text(result.revision) .. ' ' .. text(result.last_seq) .. ' ' .. (result.is_change and '1 ' or '0 ')
        .. written(result.hidden)
    if #result.restored > 0 or result.is_pop then line = line .. ' ' .. written(result.restored) end
    if result.is_pop then line = line .. ' pop' end
    redis.call('HSET', keys.ids, 'w:' .. write_id, line)
end

local function begin_revision(head, commit)
    head.revision = head.revision + 1
    head.tag = commit.tag
    head.is_changed = true
end

-- What came of a commit: revision, last seq, whether it changed anything, whether it was known, then lists, when the
-- session was last active, the tag that its last commit left, what was restored, for whoever reads what was hidden or
-- restored, which incarnation it is of, and whether a response was counted before.
local function receipt(head, result, is_repeat, seqs, tag)
    local creation = #result.hidden + #result.restored > 0 and head.creation or ''
    return {result.revision, result.last_seq, result.is_change and 1 or 0, is_repeat and 1 or 0, seqs,
        flat(result.hidden), head.updated, tag, flat(result.restored), creation, result.is_recounted and 1 or 0}
end

-- The first result of a commit whose write id is known, or nil.
local function repeated(keys, commit, head)
    if commit.write_id == '' then return nil end
    local first = first_result(keys, commit.write_id)
    if not first then return nil end
    local tag = first.revision == head.revision and head.tag or ''
    return receipt(head, first, true, seqs_of(keys, commit.event_ids), tag)
end

-- What is to be said of a commit that was made, and of a retry of it.
local function noted(head, keys, commit, result, seqs)
    if commit.write_id ~= '' then note_first_result(keys, commit.write_id, result) end
    return receipt(head, result, false, seqs, head.tag)
end

-- Makes the first commit of a session, which brings values alone, but for these; returns the receipt.
local function begun(head, keys, commit)
    begin_revision(head, commit)
    local result = {revision = head.revision, last_seq = head.last_seq, is_change = true, hidden = {}, restored = {}}
    return noted(head, keys, commit, result, {})
end

-- What commits change of a head, as fields and values.
local function fields_of_head(head)
    return {'revision', text(head.revision), 'last_seq', text(head.last_seq), 'updated', head.updated,
        'has_runs', head.has_runs and '1' or '0', 'unfinished', text(head.unfinished),
        'retractions', text(head.retractions), 'hidden', text(head.hidden), 'tag', head.tag}
end

local function add_all(fields, others)
    for _, value in ipairs(others) do fields[#fields + 1] = value end
end

-- 1 where a tree stays though sessions of it expire.
local function is_for_ever(tree)
    return 1 - redis.call('HEXISTS', tree, 'deadline')
end
