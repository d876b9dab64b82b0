-- Makes a session that is the root of a tree of its own. It is put after `creation.lua`, and before the rules of commits:
-- what is created with values alone, or with nothing, needs none of them.
-- KEYS: tree head log ids hidden followers budgets totals runs unfinished retractions children refused locator.
-- ARGV: session id, TTL in ms, 0 for none or -1 for none ever, creation id, times of creation and of the last activity, the dangling claim on the id that this
-- creation takes over or "", the first commit.

local keys = {
    tree = KEYS[1], head = KEYS[2], log = KEYS[3], ids = KEYS[4], hidden = KEYS[5], followers = KEYS[6],
    budgets = KEYS[7], totals = KEYS[8], runs = KEYS[9], unfinished = KEYS[10], retractions = KEYS[11],
    children = KEYS[12], refused = KEYS[13], locator = KEYS[14]
}
local session = {
    id = take(), ttl = tonumber(take()), creation = take(), created_at = take(), updated_at = take(),
    ordinal = '0', depth = '1', parent = '', deadline = 0
}
local taken_over = take()
local header, counts = take_header()

local function create_here(commit, make)
    local entry, head, absent = find_session(keys, session.id, true)
    if entry then return taken(keys, commit, head) end
    if absent[1] ~= 'NOSESSION' then return absent end
    local claim = redis.call('GET', keys.locator)
    if claim and claim ~= taken_over then return {'CLAIMED', claim} end
    if redis.call('ZSCORE', keys.refused, 'd:' .. session.creation) then return {'DELETED'} end

    if session.ttl < 0 then session.ttl = 0 end
    if session.ttl > 0 then session.deadline = now() + session.ttl end
    local reply, made = create(keys, session, commit, nil, make)
    if not made then return reply end
    if claim then redis.call('UNLINK', keys.locator) end
    if session.ttl > 0 then
        redis.call('HSET', keys.tree, 'deadline', text(session.deadline))
        redis.call('PEXPIREAT', keys.tree, text(session.deadline))
        redis.call('PEXPIREAT', keys.totals, text(session.deadline))
    end
    return reply
end

local of_values = take_values_alone(header, counts)
if of_values then return create_here(of_values) end
