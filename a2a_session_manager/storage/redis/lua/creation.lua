-- What the creations of roots and children share; it is put after `common.lua` and `commit_rules.lua`.

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

-- Writes what a fork has of its source beside events: it is as if its creation had hidden what is hidden there.
local function write_fork(keys, session, fork)
    redis.call('HSET', keys.head, 'segments', fork.segments, 'forked_from', fork.source)
    if fork.compactions ~= '' then redis.call('HSET', keys.head, 'compactions', fork.compactions) end
    if fork.placed ~= '' then redis.call('HSET', keys.head, 'placed', fork.placed) end
    redis.call('HSET', keys.tree, 'f:' .. session.id, session.creation .. ' ' .. fork.source)
    if #fork.hidden == 0 then return end
    redis.call('ZADD', keys.retractions, text(keys.base), string.format('%016.0f', 1) .. ' ' .. written(fork.hidden))
    for _, range in ipairs(fork.hidden) do
        redis.call('ZADD', keys.hidden, text(range[1]), text(range[1]) .. '-' .. text(range[2]))
    end
end

-- Writes the first commit, the head and the line in the tree; returns the reply. `fork` is what a fork begins with, or nil.
local function create(keys, session, commit, fork)
    clear(keys)
    keys.segments, keys.base = segments_in(keys, fork and fork.segments)
    local head = {creation = session.creation, revision = 0, updated = session.updated_at, last_seq = keys.base, unfinished = 0, retractions = 0, hidden = 0}
    if fork then head.hidden, head.retractions = size_of(fork.hidden), math.min(#fork.hidden, 1) end
    local answer = committed(head, keys, commit)
    if type(answer[1]) == 'string' then return {'OK', 0, {answer}} end
    if fork then write_fork(keys, session, fork) end
    redis.call('HSET', keys.head, 'v', form_of(fork ~= nil, keys.spending ~= nil), 'creation', session.creation, 'created', session.created_at,
        'depth', session.depth, 'ttl', text(session.ttl), 'deadline', text(session.deadline))
    if session.parent ~= '' then redis.call('HSET', keys.head, 'parent', session.parent) end
    write_head(head, keys)
    redis.call('HSET', keys.tree, 'n:' .. session.id, line_of(session.ordinal, text(session.ttl), session.creation, session.parent))
    if session.ttl > 0 then
        redis.call('HSET', keys.tree, 'expires', '1', 'd:' .. session.id, text(session.deadline))
        for _, name in ipairs(SESSION_KEYS) do
            redis.call('PEXPIREAT', keys[name], text(session.deadline))
        end
    end
    return {'OK', session.deadline, {answer}}
end
