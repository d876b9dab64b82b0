-- What the creations of roots and children share; it is put after `common.lua`, `first_commit.lua` and
-- `budget_scopes.lua`.

local SESSION_KEYS = {'head', 'log', 'ids', 'hidden', 'runs', 'unfinished', 'retractions', 'children'}

-- The answer where the session exists already: its first result, if this write created it.
local function taken(keys, commit, head)
    local answer = repeated(keys, commit, head)
    if answer then return {'OK', head.deadline, {answer}, is_for_ever(keys.tree)} end
    return {'EXISTS'}
end

-- Removes what a dead session of the same id has left.
local function clear(keys)
    local names = {}
    for index, name in ipairs(SESSION_KEYS) do names[index] = keys[name] end
    if redis.call('EXISTS', unpack(names)) == 0 then return end
    for _, name in ipairs(SESSION_KEYS) do
        if redis.call('EXISTS', keys[name]) == 1 then redis.call('UNLINK', keys[name]) end
    end
end

-- Writes what a fork has of its source beside events: it is as if its creation had hidden what is hidden there. Its part
-- of the head and of the tree is added to their fields.
local function write_fork(keys, session, fork, fields, of_tree)
    add_all(fields, {'segments', fork.segments, 'forked_from', fork.source})
    if fork.compactions ~= '' then add_all(fields, {'compactions', fork.compactions}) end
    if fork.placed ~= '' then add_all(fields, {'placed', fork.placed}) end
    add_all(of_tree, {'f:' .. session.id, session.creation .. ' ' .. fork.source})
    if #fork.hidden == 0 then return end
    redis.call('ZADD', keys.retractions, text(keys.base), string.format('%016.0f', 1) .. ' ' .. written(fork.hidden))
    for _, range in ipairs(fork.hidden) do
        redis.call('ZADD', keys.hidden, text(range[1]), text(range[1]) .. '-' .. text(range[2]))
    end
end

-- Writes the first commit, the head and the line in the tree; returns the reply, and the head as it was written. `fork` is
-- what a fork begins with, or nil; `make` makes the commit, nil where that brings values alone.
local function create(keys, session, commit, fork, make)
    clear(keys)
    keys.segments, keys.base = segments_in(keys, fork and fork.segments)
    local head = {creation = session.creation, revision = 0, updated = session.updated_at, last_seq = keys.base, unfinished = 0, retractions = 0, hidden = 0}
    if fork then head.hidden, head.retractions = size_of(fork.hidden), math.min(#fork.hidden, 1) end
    local answer = (make or begun)(head, keys, commit)
    if type(answer[1]) == 'string' then return {'OK', 0, {answer}} end
    local fields = fields_of_head(head)
    add_all(fields, {'v', form_of(fork ~= nil, keys.spending ~= nil), 'creation', session.creation, 'created', session.created_at,
        'depth', session.depth, 'ttl', text(session.ttl), 'deadline', text(session.deadline)})
    local of_tree = {'n:' .. session.id, line_of(session.ordinal, text(session.ttl), session.creation, session.parent)}
    if session.parent ~= '' then
        add_all(fields, {'parent', session.parent})
        add_all(of_tree, {'count', session.ordinal})
    end
    if fork then write_fork(keys, session, fork, fields, of_tree) end
    if not make then add_all(fields, commit.values) end
    if session.ttl > 0 then add_all(of_tree, {'expires', '1', 'd:' .. session.id, text(session.deadline)}) end
    set_fields(keys.head, fields)
    redis.call('HSET', keys.tree, unpack(of_tree))
    if session.ttl > 0 then
        for _, name in ipairs(SESSION_KEYS) do
            redis.call('PEXPIREAT', keys[name], text(session.deadline))
        end
    end
    return {'OK', session.deadline, {answer}}, fields
end
