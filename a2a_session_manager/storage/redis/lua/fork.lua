-- Makes a fork of a session as it is found: reads the source and creates, in one step. The rules are those of
-- `storage/fork_rules.py`, as far as they are needed where a fork begins at an event of the source's own log, and nothing
-- asks for a closer look; then what was read is the answer, and the fork is made by `create_child.lua`.
-- KEYS: those of `create_child.lua`; the source, which is the parent, has a log, ids, hidden, retractions after them.
-- ARGV: those of `create_child.lua` up to the bounds in the shard, where depth and the parent's creation id are "".
-- Then: how deep a tree may be; "1" if the source is a root, its creation id or "" for whichever, the seq or "" for the newest visible event, how
-- many events to look at; how many marks there are to look for, and these; how many values of the source's head are not
-- taken over, and these; how many ask for a closer look, and these; the first commit.

local keys, session, place = take_child()
local draft = {deepest = tonumber(take()), is_root = take() == '1', creation = take(), seq = tonumber(take()), last = tonumber(take())}
draft.marks = take_many(tonumber(take()))
draft.left, draft.doubtful = take_many(tonumber(take())), take_many(tonumber(take()))
local commit = take_values_alone(take_header())
local source = {
    tree = keys.tree, head = keys.parent_head, log = KEYS[23], ids = KEYS[24], hidden = KEYS[25], retractions = KEYS[26]
}

-- The source's values by name, and its head of them.
local function named(fields)
    local of_head, values = {}, {}
    for index = 1, #fields, 2 do of_head[fields[index]] = fields[index + 1] end
    for index, name in ipairs(HEAD) do values[index] = of_head[name] end
    local head = head_of(values)
    if head then head.children = tonumber(of_head.children or 0) end
    return of_head, head
end

local function has_mark(entries)
    for _, entry in ipairs(entries) do
        for _, mark in ipairs(draft.marks) do
            if string.find(entry, mark, 1, true) then return true end
        end
    end
    return false
end

-- The hidden ranges up to a seq.
local function hidden_until(seq)
    local found = {}
    for _, range in ipairs(redis.call('ZRANGEBYSCORE', source.hidden, '-inf', text(seq))) do
        local first, last = bounds_of(range)
        found[#found + 1] = {first, math.min(last, seq)}
    end
    return found
end

-- Adds the values of the source's head to the first commit, whose own count; false where one of them is doubtful.
local function take_values(fields)
    local is_given, is_left, is_doubtful = {}, {}, {}
    for index = 1, #commit.values, 2 do is_given[commit.values[index]] = true end
    for _, name in ipairs(draft.left) do is_left[name] = true end
    for _, name in ipairs(draft.doubtful) do is_doubtful[name] = true end
    for index = 1, #fields, 2 do
        local name = fields[index]
        local is_value = string.sub(name, 2, 2) == ':' and string.find(name, '^[sp]')
        if is_value and not is_given[name] and not is_left[name] then
            if is_doubtful[name] then return false end
            commit.values[#commit.values + 1], commit.values[#commit.values + 2] = name, fields[index + 1]
        end
    end
    return true
end

-- What the fork begins with; nil where that takes a closer look.
local function fork_at(head, seq, fields, of_head)
    local depth, compactions, placed = tonumber(of_head.depth), of_head.compactions or '', of_head.placed or ''
    local is_cut = seq < head.last_seq and compactions .. placed ~= ''
    -- The session was listed as the fork of a root, or of one of those.
    if is_cut or depth >= draft.deepest or depth ~= #source.segments + 1 then return nil end
    if not take_values(fields) then return nil end
    session.depth, place.parent_creation = text(depth + 1), head.creation
    local suffix = string.sub(source.log, #source.tree - 4 + 3 + 1)
    return {
        source = text(seq) .. ' ' .. head.creation .. ' ' .. session.parent,
        segments = (head.segments or '') .. head.creation .. ' ' .. text(seq) .. ' ' .. suffix .. ';',
        hidden = head.hidden > 0 and hidden_until(seq) or {}, compactions = compactions, placed = placed
    }
end

if not commit then return {'ELSEWHERE'} end
local found = look_in_tree(keys, session)
local answer = answer_before(keys, session, place, commit, found)
if answer then return answer end
local fields = redis.call('HGETALL', source.head)
local of_head, parent = named(fields)
local _, head, absent = session_of(source, session.parent, draft.is_root, found.parent, parent)
if absent or (draft.creation ~= '' and draft.creation ~= head.creation) then return {'ELSEWHERE'} end
local ranges = visible_ranges(source.hidden, math.min(draft.seq or head.last_seq, head.last_seq), draft.last)
local entries, damage = page_of(source, ranges, EVENTS_A_PAGE, BYTES_A_PAGE)
if damage then return {'ELSEWHERE'} end
local newest = ranges[#ranges] or (not draft.seq and visible_tail(source.hidden, head.last_seq, 1)[1])
local seq = draft.seq or (newest and newest[2]) or 0
local is_point = seq > source.base and seq <= head.last_seq and not (draft.seq and is_hidden(source.hidden, seq))
local fork = is_point and size_of(ranges) == #entries and not has_mark(entries) and fork_at(head, seq, fields, of_head)
if not fork then
    return {'LOOK', fields, flat(ranges), entries, redis.call('ZRANGEBYSCORE', source.hidden, '-inf', '+inf')}
end
local reply, made = create_child(keys, session, place, found, parent, fork, commit)
reply[5] = made
return reply
