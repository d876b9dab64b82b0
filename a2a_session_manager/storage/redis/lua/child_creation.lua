-- Makes a session below its parent, in the parent's tree; a fork, below the session that its newest inherited event lies
-- in. It is put after `creation.lua`, before the script that says where a fork begins.

-- The keys, the session as it is to be, and its place below its parent, from the arguments.
local function take_child()
    local keys = {
        tree = KEYS[1], head = KEYS[2], log = KEYS[3], ids = KEYS[4], hidden = KEYS[5], followers = KEYS[6],
        budgets = KEYS[7], totals = KEYS[8], runs = KEYS[9], unfinished = KEYS[10], retractions = KEYS[11],
        children = KEYS[12], refused = KEYS[13], parent_head = KEYS[14], siblings = KEYS[15], locator = KEYS[16]
    }
    local session = {
        id = take(), ttl = tonumber(take()), creation = take(), created_at = take(), updated_at = take(), depth = take(),
        parent = take(), deadline = 0
    }
    local place = {
        parent_creation = take(), claim = take(), locator = take(), lowest = take(), highest = take()
    }
    return keys, session, place
end

-- The answer where nothing can be made, or was made before; nil where the id is free.
local function answer_before(keys, session, place, commit)
    if place.locator ~= '' then
        local claimed = redis.call('GET', keys.locator)
        -- What there is of another session of the id, or was lost, is looked at step by step.
        if claimed ~= place.locator and (claimed or entry_in(KEYS[17], session.id) or is_lost_tree(KEYS[17], {KEYS[18], KEYS[19]})
            or redis.call('EXISTS', KEYS[20], KEYS[21], KEYS[22]) ~= 3
            or redis.call('ZLEXCOUNT', KEYS[20], place.lowest, place.highest) ~= 1) then return {'CLAIMED'} end
    end
    local entry, head, absent = find_session(keys, session.id, false)
    if entry then return taken(keys, commit, head) end
    if absent[1] ~= 'NOSESSION' then return absent end
    if entry_in(keys.tree, session.id) then return {'EXPIRED'} end
    if redis.call('ZSCORE', keys.refused, 'd:' .. session.creation) then return {'DELETED'} end
    if redis.call('ZSCORE', keys.refused, 'c:' .. place.claim) then return {'REFUSED'} end
    return nil
end

-- `fork` is what a fork begins with, or nil.
local function create_child(keys, session, place, fork, commit)
    local parent_entry = entry_in(keys.tree, session.parent)
    if not parent_entry or parent_entry.creation ~= place.parent_creation then return {'NOPARENT'} end
    local parent = head_at(keys.parent_head)
    if not parent or parent.creation ~= place.parent_creation then
        if parent_entry.ttl == 0 then return {'LOST', 'head of the parent'} end
        return {'NOPARENT'}
    end
    local siblings = tonumber(redis.call('HGET', keys.parent_head, 'children') or 0)
    if redis.call('ZCARD', keys.siblings) ~= siblings then return {'LOST', 'children of the parent'} end
    if fork then
        local segments, at = segments_in(keys, fork.segments)
        local damage = lost_segment(segments)
        if damage then return damage end
        -- A failover may have lost what was read of it.
        if parent.last_seq < at then return {'LOST', 'newest events', segments[#segments].suffix} end
    end
    local has_totals = redis.call('HEXISTS', keys.tree, 'has_totals') == 1
    if has_totals ~= (redis.call('HLEN', keys.totals) > 0) then return {'LOST', 'totals'} end
    local spending, damage = spending_of(keys, session.creation, session.parent)
    if damage then return damage end
    keys.spending = spending

    local parent_expires = parent.ttl > 0 and redis.call('PTTL', keys.parent_head) >= 0
    -- Below a parent that expires, nothing stays for ever.
    if session.ttl < 0 then
        if parent_expires then return {'MORTAL'} end
        session.ttl = 0
    end
    if parent_expires and session.ttl == 0 then session.ttl = parent.ttl end
    if session.ttl > 0 then
        local time = now()
        session.deadline = time + session.ttl
        -- A parent outlives its children: it is refreshed before one is created, or both expire together.
        if parent_expires and parent.deadline < session.deadline then
            if parent.deadline - time < 0.9 * session.ttl then return {'FIRST', session.deadline} end
            session.deadline = parent.deadline
        end
    end

    session.ordinal = text(tonumber(redis.call('HGET', keys.tree, 'count') or 0) + 1)
    local reply = create(keys, session, commit, fork)
    if type(reply[3][1][1]) == 'string' then return reply end
    if place.locator ~= '' then redis.call('SET', keys.locator, place.locator) end
    redis.call('HSET', keys.tree, 'count', session.ordinal)
    redis.call('HINCRBY', keys.parent_head, 'children', 1)
    redis.call('ZADD', keys.siblings, (fork and '-' or '') .. session.ordinal, session.id)
    if parent_expires then redis.call('PEXPIREAT', keys.siblings, text(parent.deadline)) end
    set_totals_deadline(keys)
    reply[4] = is_for_ever(keys.tree)
    return reply
end
