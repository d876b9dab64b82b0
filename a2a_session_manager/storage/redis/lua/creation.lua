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
    for _, name in ipairs(SESSION_KEYS) do
        if redis.call('EXISTS', keys[name]) == 1 then redis.call('UNLINK', keys[name]) end
    end
end

-- Writes the first commit, the head and the line in the tree; returns the reply.
local function create(keys, session, commit)
    clear(keys)
    local head = {creation = session.creation, revision = 0, updated = session.updated_at, last_seq = 0, unfinished = 0, retractions = 0, hidden = 0}
    local answer = committed(head, keys, commit)
    if type(answer[1]) == 'string' then return {'OK', 0, {answer}} end
    redis.call('HSET', keys.head, 'v', '1', 'creation', session.creation, 'created', session.created_at,
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
