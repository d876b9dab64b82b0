-- Ends a session and all below it in one step; their keys are removed afterwards, its own at once.
-- KEYS: tree head log ids hidden followers budgets totals runs unfinished retractions children refused gone,
-- and below a parent the parent's head and children.
-- ARGV: session id, creation id, "1" to take all below it along, where it is expected.

local keys = {
    tree = KEYS[1], head = KEYS[2], followers = KEYS[6], budgets = KEYS[7], totals = KEYS[8], children = KEYS[12],
    refused = KEYS[13], gone = KEYS[14], parent_head = KEYS[15], siblings = KEYS[16]
}
local id, creation, is_cascade, guard = ARGV[1], ARGV[2], ARGV[3] == '1', ARGV[4]

-- All below the session, as far as the tree knows them: id, creation id, id, creation id …
local function below()
    local children, creations = {}, {}
    local lines = redis.call('HGETALL', keys.tree)
    for index = 1, #lines, 2 do
        local name = string.match(lines[index], '^n:(.*)$')
        if name then
            local _, _, creation_id, parent = string.match(lines[index + 1], '^(%d+) (%d+) (%S+) (.*)$')
            creations[name] = creation_id
            if parent ~= '' then
                children[parent] = children[parent] or {}
                table.insert(children[parent], name)
            end
        end
    end
    local found, waiting = {}, {id}
    while #waiting > 0 do
        for _, name in ipairs(children[table.remove(waiting)] or {}) do
            found[#found + 1] = name
            found[#found + 1] = creations[name]
            waiting[#waiting + 1] = name
        end
    end
    return found
end

local entry = entry_in(keys.tree, id)
if not entry or entry.creation ~= creation then return {'NOSESSION'} end
if guard ~= '-' then
    local head = head_at(keys.head)
    if head and head.creation == creation then
        if is_late(head, guard) then return {'CONFLICT', head.revision} end
    elseif entry.ttl == 0 then
        return {'LOST', 'head'}
    end
end
local deadline = redis.call('HGET', keys.tree, 'deadline')
local count = math.max(redis.call('ZCARD', keys.children), tonumber(redis.call('HGET', keys.head, 'children') or 0))
-- Where the head or the list of the children was lost, the tree tells.
if count == 0 and redis.call('EXISTS', keys.head) == 0 then count = #below() / 2 end
if count > 0 and not is_cascade then return {'CHILDREN', count} end
local gone = {}
if is_cascade then gone = below() end
if keys.siblings then redis.call('ZCARD', keys.siblings) end
local left = left_by(keys, id, entry, gone)

-- What frees memory comes first: a server that is full must let it through.
local fields, creations = {'n:' .. id, 'd:' .. id, 'f:' .. id}, {creation}
for index = 1, #gone, 2 do
    for _, kind in ipairs({'n:', 'd:', 'f:'}) do fields[#fields + 1] = kind .. gone[index] end
    creations[#creations + 1] = gone[index + 1]
end
if entry.parent == '' then
    redis.call('UNLINK', keys.tree, keys.totals, keys.budgets)
else
    in_slices(#fields, function(first, last) redis.call('HDEL', keys.tree, unpack(fields, first, last)) end)
    end_budgets(keys, creations)
    redis.call('ZREM', keys.siblings, id)
    if redis.call('EXISTS', keys.parent_head) == 1 then redis.call('HINCRBY', keys.parent_head, 'children', -1) end
    keep_left(keys, left)
end
for _, index in ipairs({2, 3, 4, 5, 9, 10, 11, 12}) do redis.call('UNLINK', KEYS[index]) end
-- What is refused outlives a tree that ends here.
refuse_creations(keys.refused, creations, entry.parent == '' and text(now() + 1000 * REFUSED_SECONDS) or deadline)
-- Whoever comes after a lost answer or a crash reads here what is left to remove.
if #gone > 0 then
    set_fields(keys.gone, gone)
    if deadline then redis.call('PEXPIREAT', keys.gone, deadline) end
end
tell(keys, creation, 'gone')
for index = 2, #gone, 2 do tell(keys, gone[index], 'gone') end
-- What earlier cascades have left goes along: with this session goes the word that somebody must look after them.
return {'OK', redis.call('HGETALL', keys.gone)}
