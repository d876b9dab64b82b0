-- One commit: read from the arguments, decided, written, answered. It is put after `first_commit.lua`, `hiding.lua`
-- and `compactions.lua`.

-- What one event used, for its model and source, and for its run; nil for nothing.
local function take_usage(names_responses)
    local counters = take()
    if counters == '' then return nil end
    local usage = {counters = counters_in(counters), cell = take(), run = take()}
    if names_responses then
        local response, model = take(), take()
        if response ~= '' then usage.response, usage.model = response, model end
    end
    return usage
end

-- A name is that of a state key, s:…, or of a property, p:….
local function note_name(commit, name)
    if string.sub(name, 1, 2) == 's:' then commit.has_state = true end
end

-- Adds to a commit all that it brings.
local function take_all(commit, counts)
    for index = 1, counts.events do
        local id, data = take(), take()
        local usage = counts.has_usage ~= '0' and take_usage(counts.has_usage == '2') or nil
        commit.events[index] = {id = id, data = data, usage = usage}
        commit.event_ids[index] = 'e:' .. id
    end
    commit.values, commit.unset = take_many(2 * counts.values), take_many(counts.unset)
    for index = 1, counts.runs do
        commit.runs[index] = {id = take(), status = take(), data = take()}
    end
    for _ = 1, counts.parts do
        local name, count = string.match(take(), '^(%S+) (%d+)$')
        commit.parts[name] = take_many(tonumber(count))
    end
    for index = 1, #commit.values, 2 do note_name(commit, commit.values[index]) end
    for _, name in ipairs(commit.unset) do note_name(commit, name) end
    return commit
end

local function take_commit()
    return take_all(take_header())
end

-- Checks

-- Which events are new, each id once, and the seq of every event; or nil and the reason: events are known.
local function number_events(head, keys, commit)
    local stored, is_known = seqs_of(keys, commit.event_ids), false
    for _, seq in ipairs(stored) do is_known = is_known or seq > 0 end
    if is_known then return nil, {'KNOWN', head.revision, head.last_seq, stored, head.updated, head.tag} end
    local fresh, seqs, given = {}, {}, {}
    for index, event in ipairs(commit.events) do
        if not given[event.id] then
            fresh[#fresh + 1] = event
            given[event.id] = head.last_seq + #fresh
        end
        seqs[index] = given[event.id]
    end
    return fresh, seqs
end

local function stored_run(keys, run)
    local line = redis.call('HGET', keys.runs, 'r:' .. run.id)
    if not line then return nil, nil end
    return string.match(line, '^(%d+) (%a+) ')
end

local function check_runs(keys, commit)
    for _, run in ipairs(commit.runs) do
        local ordinal, status = stored_run(keys, run)
        run.ordinal = ordinal
        -- Steps between may have been taken without a commit, so only what no path reaches is refused.
        if status and status ~= run.status and (FINAL[status] or run.status == 'pending') then
            return {'MOVE', run.id, status, run.status}
        end
    end
    return nil
end

-- The sums to write: by key, how much to add to which field; or nil and the reason.
local function sums_of(keys, fresh)
    local sums = {}
    local function add(key, field, delta)
        sums[key] = sums[key] or {fields = {}, by_field = {}}
        local of_key = sums[key]
        local sum = of_key.by_field[field]
        if not sum then
            sum = {about = 0, deltas = {}}
            of_key.by_field[field] = sum
            of_key.fields[#of_key.fields + 1] = field
        end
        sum.about = sum.about + tonumber(delta)
        sum.deltas[#sum.deltas + 1] = delta
    end
    for _, event in ipairs(fresh) do
        local usage = event.usage
        for _, counter in ipairs(usage and usage.counters or {}) do
            local field = 't:' .. counter.name .. ':' .. usage.cell
            add(keys.head, field, counter.count)
            add(keys.totals, field, counter.count)
            if usage.run ~= '' then add(keys.runs, 'u:' .. counter.name .. ':' .. usage.run, counter.count) end
        end
    end
    for key, of_key in pairs(sums) do
        for index, value in ipairs(fields_of(key, of_key.fields)) do
            local sum = of_key.by_field[of_key.fields[index]]
            sum.before = value or '0'
            if not string.match(sum.before, '^%d+$') then return nil, {'LOST', 'totals'} end
        end
    end
    return sums, nil
end

-- Writes

local function write_sums(sums)
    for key, of_key in pairs(sums) do
        for _, field in ipairs(of_key.fields) do
            local sum = of_key.by_field[field]
            if tonumber(sum.before) + sum.about < EXACT then
                redis.call('HINCRBY', key, field, text(sum.about))
            else
                local total = sum.before
                for _, delta in ipairs(sum.deltas) do total = plus(total, delta) end
                redis.call('HSET', key, field, total)
            end
        end
    end
end

local function write_events(head, keys, fresh, revision)
    local entries, fields = {}, {}
    for index, event in ipairs(fresh) do
        entries[index] = text(revision) .. ' ' .. event.data
        fields[#fields + 1] = 'e:' .. event.id
        fields[#fields + 1] = text(head.last_seq + index)
    end
    in_slices(#entries, function(first, last) redis.call('RPUSH', keys.log, unpack(entries, first, last)) end)
    set_fields(keys.ids, fields)
end

local function write_runs(head, keys, runs)
    for _, run in ipairs(runs) do
        local ordinal = run.ordinal or text(redis.call('HINCRBY', keys.runs, 'count', 1))
        redis.call('HSET', keys.runs, 'r:' .. run.id, ordinal .. ' ' .. run.status .. ' ' .. run.data,
            'o:' .. ordinal, run.id)
        if FINAL[run.status] then
            redis.call('ZREM', keys.unfinished, run.id)
        else
            redis.call('ZADD', keys.unfinished, ordinal, run.id)
        end
    end
    head.unfinished = redis.call('ZCARD', keys.unfinished)
end

local function write(head, keys, commit, fresh, newly, restored, sums, responses)
    if next(sums) then
        write_sums(sums)
        if sums[keys.totals] then redis.call('HSET', keys.tree, 'has_totals', '1') end
    end
    -- A retraction's place is after the events that were there before this commit.
    if #newly + #restored > 0 then write_hidden(head, keys, newly, restored, head.revision) end
    if #fresh > 0 then write_events(head, keys, fresh, head.revision) end
    set_fields(keys.ids, responses)
    if #commit.runs > 0 then write_runs(head, keys, commit.runs) end
    if #commit.runs > 0 or sums[keys.runs or ''] then head.has_runs = true end
    set_fields(keys.head, commit.values)
    in_slices(#commit.unset, function(first, last)
        redis.call('HDEL', keys.head, unpack(commit.unset, first, last))
    end)
    head.last_seq = head.last_seq + #fresh
    -- What a session is created with is not yet activity, and new properties are none: its times stay.
    local is_activity = #fresh > 0 or #newly > 0 or #restored > 0 or #commit.runs > 0 or commit.has_state
    if is_activity and head.revision > 1 then
        head.updated = text(math.max(tonumber(head.updated) + 1, tonumber(commit.written_at)))
    end
end

-- Writes the usage of a commit that is refused, as far as that is not stored; returns why it cannot be, or nil.
local function written_usage(head, keys, commit, committed)
    local alone, new = usage_alone(commit), {}
    for index, event in ipairs(alone.events) do alone.event_ids[index] = 'e:' .. event.id end
    for index, seq in ipairs(seqs_of(keys, alone.event_ids)) do
        if seq == 0 then new[#new + 1] = alone.events[index] end
    end
    alone.events, alone.event_ids = new, {}
    for index, event in ipairs(new) do alone.event_ids[index] = 'e:' .. event.id end
    local answer = #new > 0 and committed(head, keys, alone)
    return answer and type(answer[1]) == 'string' and answer or nil
end

-- Commits to the session whose head is `head`, and brings it on; returns the receipt or the reason.
local function committed(head, keys, commit)
    -- Before anything else: events that are there already are a retry, whoever came in between, and never stale.
    local fresh, seqs = number_events(head, keys, commit)
    if not fresh then return seqs end
    local lease, refusal = lease_change(keys, commit)
    if refusal then
        local answer = refusal[1] == 'LEASE' and written_usage(head, keys, commit, committed)
        return answer or refusal
    end
    if is_late(head, commit.guard) then return {'CONFLICT', head.revision} end
    local reason = check_runs(keys, commit)
    if reason then return reason end
    reason = check_summaries(head, keys, commit)
    if reason then return reason end
    local newly, restored, sums
    newly, reason = newly_hidden(head, keys, commit.parts)
    if reason then return reason end
    restored, reason = newly_restored(keys, commit.parts)
    if reason then return reason end
    local responses, is_recounted = count_once(keys, fresh, head.last_seq)
    if not responses then return is_recounted end
    sums, reason = sums_of(keys, fresh)
    if reason then return reason end
    local spent
    spent, reason = count_spent(keys.spending, fresh, commit.parts.settles)
    if reason then return reason end
    -- The creation of a session is a change even when it brings nothing.
    local is_change = head.revision == 0 or #fresh > 0 or #newly > 0 or #restored > 0
        or #commit.values > 0 or #commit.unset > 0 or #commit.runs > 0
    local last_seq = head.last_seq + #fresh
    if is_change then
        begin_revision(head, commit)
        write(head, keys, commit, fresh, newly, restored, sums, responses)
        if #newly + #restored > 0 or commit.parts.summaries then write_summaries(keys, commit, seqs, newly, restored) end
    end
    if spent then write_spent(keys, spent) end
    if lease then write_lease(keys, lease) end
    local result = {
        revision = head.revision, last_seq = last_seq, is_change = is_change, hidden = newly, restored = restored,
        is_pop = commit.parts.hide_last ~= nil, is_recounted = is_recounted
    }
    return noted(head, keys, commit, result, seqs)
end

local function write_head(head, keys)
    redis.call('HSET', keys.head, unpack(fields_of_head(head)))
end

-- Gives the keys that this commit made in a session that will expire the deadline of the others.
local function set_deadlines(head, keys, before)
    local is_new = {
        log = before.last_seq == keys.base,
        hidden = head.has_hidden_more, -- it is gone while nothing is hidden
        retractions = before.retractions == 0,
        runs = not before.has_runs,
        unfinished = before.unfinished == 0
    }
    for name, is_made in pairs(is_new) do
        if is_made and keys[name] then redis.call('PEXPIREAT', keys[name], text(head.deadline)) end
    end
end

-- Totals and budgets live as long as the tree, which lives as long as its root.
local function set_totals_deadline(keys)
    local deadline = redis.call('HGET', keys.tree, 'deadline')
    if deadline and keys.totals then redis.call('PEXPIREAT', keys.totals, deadline) end
end

-- The last thing a script does: a hint to followers, which may be lost without harm.
local function tell(keys, creation, what)
    if redis.call('EXISTS', keys.followers) == 1 then
        redis.pcall('PUBLISH', keys.followers .. ':' .. creation, what)
    end
end
