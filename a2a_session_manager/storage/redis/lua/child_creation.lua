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

-- What the tree says of a session that is to be, and what of the tree and of its parent its creation asks for.
local function look_in_tree(keys, session)
    local own, parent, has_totals, has_budgets, count, deadline = unpack(redis.call('HMGET', keys.tree, 'n:' .. session.id,
        'n:' .. session.parent, 'has_totals', 'has_budgets', 'count', 'deadline'))
    return {
        own = own and entry_of(own), parent = parent and entry_of(parent), has_totals = has_totals == '1',
        has_budgets = has_budgets, count = tonumber(count or 0), deadline = deadline
    }
end

-- Whether an id that is to be claimed here is free: what there is of another session of it, or was lost, is looked at step
-- by step.
local function is_free(keys, session, place)
    if redis.call('EXISTS', keys.locator, KEYS[17], KEYS[18], KEYS[19]) > 0 then
        local claimed = redis.call('GET', keys.locator)
        if claimed ~= place.locator and (claimed or entry_in(KEYS[17], session.id)
            or is_lost_tree(KEYS[17], {KEYS[18], KEYS[19]})) then return false end
        if claimed == place.locator then return true end
    end
    return redis.call('EXISTS', KEYS[20], KEYS[21], KEYS[22]) == 3
        and redis.call('ZLEXCOUNT', KEYS[20], place.lowest, place.highest) == 1
end

-- The answer where nothing can be made, or was made before; nil where the id is free. `found` is what the tree says.
local function answer_before(keys, session, place, commit, found)
    if place.locator ~= '' and not is_free(keys, session, place) then return {'CLAIMED'} end
    if found.own then
        local entry, head, absent = find_session(keys, session.id, false)
        if entry then return taken(keys, commit, head) end
        return absent[1] == 'NOSESSION' and {'EXPIRED'} or absent
    end
    if redis.call('ZSCORE', keys.refused, 'd:' .. session.creation) then return {'DELETED'} end
    if redis.call('ZSCORE', keys.refused, 'c:' .. place.claim) then return {'REFUSED'} end
    return nil
end

-- `found` is what the tree says, `parent` the parent's head or nil, `fork` what a fork begins with, or nil, and `make`
-- makes the first commit, as in `create`. It returns what that does.
local function create_child(keys, session, place, found, parent, fork, commit, make)
    if not found.parent or found.parent.creation ~= place.parent_creation then return {'NOPARENT'} end
    if not parent or parent.creation ~= place.parent_creation then
        if found.parent.ttl == 0 then return {'LOST', 'head of the parent'} end
        return {'NOPARENT'}
    end
    if redis.call('ZCARD', keys.siblings) ~= parent.children then return {'LOST', 'children of the parent'} end
    if fork then
        local segments, at = segments_in(keys, fork.segments)
        local damage = lost_segment(segments)
        if damage then return damage end
        -- A failover may have lost what was read of it.
        if parent.last_seq < at then return {'LOST', 'newest events', segments[#segments].suffix} end
    end
    if found.has_totals ~= (redis.call('HLEN', keys.totals) > 0) then return {'LOST', 'totals'} end
    if found.has_budgets then
        local spending, damage = spending_of(keys, session.creation, session.parent)
        if damage then return damage end
        keys.spending = spending
    end

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

    session.ordinal = text(found.count + 1)
    local reply, written_head = create(keys, session, commit, fork, make)
    if not written_head then return reply end
    if place.locator ~= '' then redis.call('SET', keys.locator, place.locator) end
    redis.call('HINCRBY', keys.parent_head, 'children', 1)
    redis.call('ZADD', keys.siblings, (fork and '-' or '') .. session.ordinal, session.id)
    if parent_expires then redis.call('PEXPIREAT', keys.siblings, text(parent.deadline)) end
    if found.deadline then redis.call('PEXPIREAT', keys.totals, found.deadline) end
    reply[4] = found.deadline and 0 or 1
    return reply, written_head
end
