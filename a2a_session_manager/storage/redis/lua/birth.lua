-- The birth of a session. Put behind `common.lua` and `commit_rules.lua` where it is needed.

local SESSION_KEYS = {'head', 'log', 'ids', 'hidden', 'runs', 'unfinished', 'retractions', 'children'}

-- What to answer when the session is there already: its first result, if this write made it.
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
local function bear(keys, born, commit)
    clear(keys)
    local head = {creation = born.creation, revision = 0, updated = born.updated_at, last_seq = 0, unfinished = 0, retractions = 0, hidden = 0}
    local answer = committed(head, keys, commit)
    if type(answer[1]) == 'string' then return {'OK', 0, {answer}} end
    redis.call('HSET', keys.head, 'v', '1', 'creation', born.creation, 'created', born.created_at,
        'depth', born.depth, 'ttl', text(born.ttl), 'deadline', text(born.deadline))
    if born.parent ~= '' then redis.call('HSET', keys.head, 'parent', born.parent) end
    write_head(head, keys)
    redis.call('HSET', keys.tree, 'n:' .. born.id, line_of(born.ordinal, text(born.ttl), born.creation, born.parent))
    if born.ttl > 0 then
        redis.call('HSET', keys.tree, 'expires', '1', 'd:' .. born.id, text(born.deadline))
        for _, name in ipairs(SESSION_KEYS) do
            redis.call('PEXPIREAT', keys[name], text(born.deadline))
        end
    end
    return {'OK', born.deadline, {answer}}
end
