-- Who may write for a run: the rules of `storage/leases.py`. It is put after `clock.lua`. The lease of a run is a field of
-- its session's head: token, when it ends by the server's clock in ms, for how many ms it is taken, holder.

local function lease_in(head_key, run_id)
    local line = redis.call('HGET', head_key, 'l:' .. run_id)
    if not line then return nil end
    local token, ends, milliseconds, holder = string.match(line, '^(%S+) (%d+) (%d+) (.*)$')
    return {token = token, ends = tonumber(ends), milliseconds = tonumber(milliseconds), holder = holder}
end

local function line_of_lease(token, milliseconds, holder, time)
    return token .. ' ' .. text(time + milliseconds) .. ' ' .. text(milliseconds) .. ' ' .. holder
end

-- The status of a run as it is stored, or nil.
local function status_of_run(keys, run_id)
    local line = redis.call('HGET', keys.runs, 'r:' .. run_id)
    return line and string.match(line, '^%d+ (%a+) ')
end

local FINISHED = {completed = true, failed = true, cancelled = true}

-- Why a lease cannot be acquired; or nil.
local function not_acquired(keys, commit, claim, lease, time)
    local status = status_of_run(keys, claim.run_id)
    local is_known = status ~= nil and status ~= false
    if is_known and FINISHED[status] then return {'ENDED', claim.run_id, status} end
    for _, run in ipairs(commit.runs) do
        if run.id == claim.run_id then
            is_known = true
            if FINISHED[run.status] then return {'ENDED', claim.run_id, run.status} end
        end
    end
    if not is_known then return {'NORUN', claim.run_id} end
    if claim.step == 'acquire' and lease and lease.ends > time and lease.token ~= claim.token then
        return {'HELD', lease.holder, lease.ends - time}
    end
    return nil
end

-- Why a write of a run is refused, and who holds the run; or nil.
local function not_held(keys, claim, lease, time)
    local is_held = lease and lease.ends > time
    local is_own = lease and lease.token == claim.token
    if claim.step == 'vacant' then
        local status = status_of_run(keys, claim.run_id)
        if status and FINISHED[status] then return {'LEASE', 'ended', status} end
        if is_held and not is_own then return {'LEASE', 'taken', lease.holder} end
        return nil
    end
    if is_held and is_own then return nil end
    if is_held then return {'LEASE', 'taken', lease.holder} end
    return {'LEASE', is_own and 'expired' or 'gone', ''}
end

-- What a commit does to the lease of its run: a field of the head and its value, '' to remove it; nil for nothing. Or
-- nil and the reason why it is refused.
local function lease_change(keys, commit)
    local part = commit.parts.lease
    if not part then return nil, nil end
    local token, step, milliseconds, holder = string.match(part[2], '^(%S+) (%S+) (%d+) (.*)$')
    local claim = {run_id = part[1], token = token, step = step, milliseconds = tonumber(milliseconds), holder = holder}
    local lease, time = lease_in(keys.head, claim.run_id), now()
    local change = {field = 'l:' .. claim.run_id, line = ''}
    if claim.step == 'acquire' or claim.step == 'take_over' then
        local reason = not_acquired(keys, commit, claim, lease, time)
        if reason then return nil, reason end
        if claim.milliseconds > 0 then
            change.line = line_of_lease(claim.token, claim.milliseconds, claim.holder, time)
        end
        return change, nil
    end
    local reason = not_held(keys, claim, lease, time)
    if reason then return nil, reason end
    if claim.step == 'release' then return change, nil end
    if claim.step == 'vacant' or (lease.ends - time) * 4 > lease.milliseconds * 3 then return nil, nil end
    change.line = line_of_lease(lease.token, lease.milliseconds, lease.holder, time)
    return change, nil
end

local function write_lease(keys, change)
    if change.line == '' then
        redis.call('HDEL', keys.head, change.field)
    else
        redis.call('HSET', keys.head, change.field, change.line)
    end
end

-- The commit that is made in the place of one whose claim does not hold: the events of its usage, which came along.
local function usage_alone(commit)
    local part, at = commit.parts.lease, 3
    local alone = {
        written_at = commit.written_at, tag = commit.tag, guard = '-', creation = commit.creation, write_id = '',
        events = {}, event_ids = {}, runs = {}, parts = {settles = commit.parts.settles}, values = {}, unset = {}
    }
    for _, event in ipairs(commit.events) do
        if event.usage then
            alone.events[#alone.events + 1] = {id = part[at], data = part[at + 1], usage = event.usage}
            at = at + 2
        end
    end
    return alone
end
