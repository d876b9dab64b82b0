-- The short script of appends, put before everything else: Redis runs a script's definitions at each call, and they
-- cost as much as a plain append. It takes commits of new events to a session that is whole and never expires, no
-- guard and no write id among them, with what they spend, those of one run that is held, and those that settle a hold,
-- where no budget has a window. Whatever is otherwise, it has only read, and `commit.lua` decides.

if redis.replicate_commands then redis.replicate_commands() end

-- What the scopes with budgets have spent that a session is in: by field, four numbers below 2^53; or nil.
local function short_scopes(tree, budgets, creation, parent)
    local path = path_from(tree, creation, parent)
    if not path or #path > 500 then return nil end
    local fields, scopes = {'v'}, {}
    for index, each in ipairs(path) do fields[index + 1] = 's:' .. each end
    local values = redis.call('HMGET', budgets, unpack(fields))
    if not values[1] then return nil end
    for index = 2, #fields do
        if values[index] then
            local pico_usd, tokens, requests, unpriced = string.match(values[index], '^(%d+) (%d+) (%d+) (%d+)$')
            if not pico_usd then return nil end
            scopes[#scopes + 1] =
                {fields[index], tonumber(pico_usd), tonumber(tokens), tonumber(requests), tonumber(unpriced)}
        end
    end
    return scopes
end

-- The fields and values of scopes in which four more numbers are spent; nil for what numbers do not tell exactly.
local function short_sums(scopes, spent)
    local fields = {}
    for _, scope in ipairs(scopes) do
        local line = ''
        for place = 1, 4 do
            local sum = scope[place + 1] + spent[place]
            if sum >= 9007199254740992 then return nil end
            line = line .. (place == 1 and '' or ' ') .. string.format('%.0f', sum)
        end
        fields[#fields + 1], fields[#fields + 2] = scope[1], line
    end
    return fields
end

local function append()
    local call, text, match = redis.call, string.format, string.match
    local count, run_held = match(ARGV[2], '^%d %d+ (%d+) ?(.*)$')
    local log, ids, totals, runs = KEYS[3], KEYS[4], KEYS[8], KEYS[9]
    if KEYS[11] then return nil end
    local tree = call('HMGET', KEYS[1], 'n:' .. ARGV[1], 'has_totals', 'deadline', 'has_budgets')
    local head
    if run_held == '' then
        head = call('HMGET', KEYS[2], 'v', 'creation', 'revision', 'last_seq', 'ttl', 'hidden',
            'has_runs', 'unfinished', 'updated')
    else
        head = call('HMGET', KEYS[2], 'v', 'creation', 'revision', 'last_seq', 'ttl', 'hidden',
            'has_runs', 'unfinished', 'updated', 'l:' .. run_held)
    end
    if not tree[1] or tree[3] or (head[5] or '0') ~= '0' or not head[9] then return nil end
    local creation, parent = match(tree[1], '^%d+ %d+ (%S+) (.*)$')
    if creation ~= head[2] then return nil end
    local scopes = tree[4] and short_scopes(KEYS[1], KEYS[7], creation, parent)
    if tree[4] and not scopes then return nil end
    local revision, last_seq, base, inherited = tonumber(head[3]), tonumber(head[4]), 0, nil
    local segments = head[1] ~= '1' and call('HGET', KEYS[2], 'segments')
    if segments then
        -- A fork, whose segments are found as `segments_in` in `common.lua` does.
        local start, parts = string.sub(KEYS[1], 1, -5), {}
        inherited = {}
        for last, suffix in string.gmatch(segments, '%S+ (%d+) ([^;]*);') do
            base = tonumber(last)
            inherited[#inherited + 1] = start .. 'ids' .. suffix
            parts[#parts + 1], parts[#parts + 2] = start .. 'ids' .. suffix, start .. 'log' .. suffix
        end
        if #parts == 0 or call('EXISTS', unpack(parts)) < #parts then return nil end
    end
    if head[1] ~= '3' and head[1] ~= (segments and '2' or '1') then return nil end
    if call('LLEN', log) ~= last_seq - base or call('HLEN', ids) == 0 then return nil end
    local is_followed, has_hidden = false, (head[6] or '0') ~= '0'
    if has_hidden or call('EXISTS', KEYS[5], KEYS[6]) > 0 then
        if (call('ZCARD', KEYS[5]) > 0) ~= has_hidden then return nil end
        is_followed = call('EXISTS', KEYS[6]) == 1
    end
    if runs and ((head[7] == '1') ~= (call('HLEN', runs) > 0) or call('ZCARD', KEYS[10]) ~= tonumber(head[8] or 0)) then
        return nil
    end
    if totals and ((tree[2] == '1') ~= (call('HLEN', totals) > 0)) then return nil end

    local names, entries, fields, seen = {}, {}, {}, {}
    local sums, sum_names, run_sums, run_names = {}, {}, {}, {}
    local spent, ended = {0, 0, 0, 0}, {}
    local at, seq, updated, tag = 3, last_seq, tonumber(head[9]), nil
    for number = 1, tonumber(count) do
        local written_at, events, parts, has_usage, meant
        written_at, tag, events, parts, has_usage, meant =
            match(ARGV[at], '^(%d+) (%x+) %- (%d+) 0 0 0 ([012]) (%d) (%S+) $')
        if not written_at or events == '0' or (meant ~= '-' and meant ~= creation) then return nil end
        updated = math.max(updated + 1, tonumber(written_at))
        at = at + 1
        local mark = text('%d ', revision + number)
        for _ = 1, tonumber(events) do
            local name = 'e:' .. ARGV[at]
            if seen[name] then return nil end
            seen[name] = true
            seq = seq + 1
            names[#names + 1] = name
            fields[#fields + 1], fields[#fields + 2] = name, seq
            entries[#entries + 1] = mark .. ARGV[at + 1]
            if scopes then ended[#ended + 1] = 'h:' .. creation .. ':' .. ARGV[at] end
            at = at + 2
            if has_usage ~= '0' then
                local counters = ARGV[at]
                at = at + 1
                if counters ~= '' then
                    if ARGV[at] == '' then return nil end -- it was spent elsewhere
                    if has_usage == '2' and ARGV[at + 2] ~= '' then
                        -- One that was counted before goes the long way; `responses.lua` says what the field holds.
                        name = 'u:' .. ARGV[at + 2]
                        if seen[name] then return nil end
                        seen[name] = true
                        names[#names + 1] = name
                        fields[#fields + 1], fields[#fields + 2] = name, counters .. ' @ ' .. seq .. '\n' .. ARGV[at + 3]
                    end
                    local cell, run = ':' .. ARGV[at], ARGV[at + 1]
                    for counter, delta in string.gmatch(counters, '(%S+) (%d+)') do
                        local field = 't:' .. counter .. cell
                        local place = scopes and place_of(counter)
                        if place then spent[place] = spent[place] + tonumber(delta) end
                        if not sums[field] then sum_names[#sum_names + 1] = field end
                        sums[field] = (sums[field] or 0) + tonumber(delta)
                        if run ~= '' then
                            field = 'u:' .. counter .. ':' .. run
                            if not run_sums[field] then run_names[#run_names + 1] = field end
                            run_sums[field] = (run_sums[field] or 0) + tonumber(delta)
                        end
                    end
                    at = at + 2 * tonumber(has_usage)
                end
            end
        end
        for _ = 1, tonumber(parts) do
            local part, count_of_part = match(ARGV[at], '^(%a+) (%d+)$')
            if part == 'settles' then
                if scopes then ended[#ended + 1] = 'h:' .. creation .. ':' .. ARGV[at + 1] end
            else
                -- The lease of a run that is held, and of which less than a quarter is over: nothing is to be written.
                if part ~= 'lease' or ARGV[at + 1] ~= run_held or not head[10] then return nil end
                local token, ends, lasts = match(head[10], '^(%S+) (%d+) (%d+) ')
                local time = call('TIME')
                time = time[1] * 1000 + time[2] / 1000
                if token ~= match(ARGV[at + 2], '^(%S+) hold ') or (ends - time) * 4 <= lasts * 3 then return nil end
            end
            at = at + 1 + count_of_part
        end
    end
    if #names > 500 or #sum_names > 500 or #run_names > 500 then return nil end
    for _, known in ipairs(call('HMGET', ids, unpack(names))) do
        if known then return nil end
    end
    if inherited then
        for _, ids_of_segment in ipairs(inherited) do
            for _, known in ipairs(call('HMGET', ids_of_segment, unpack(names))) do
                if known then return nil end
            end
        end
    end

    -- Below 2^53 Lua's numbers are exact; above, every delta must go its way as a string.
    local in_scopes = scopes and #sum_names > 0 and short_sums(scopes, spent)
    if in_scopes == nil then return nil end
    local in_head, in_totals, in_runs = {}, {}, {}
    if #run_names > 0 then
        for index, sum in ipairs(call('HMGET', runs, unpack(run_names))) do
            local field = run_names[index]
            sum = tonumber(sum or 0)
            if not sum or sum + run_sums[field] >= 9007199254740992 then return nil end
            in_runs[2 * index - 1], in_runs[2 * index] = field, text('%d', sum + run_sums[field])
        end
    end
    if #sum_names > 0 then
        local mine, all = call('HMGET', KEYS[2], unpack(sum_names)), call('HMGET', totals, unpack(sum_names))
        for index, field in ipairs(sum_names) do
            local own, sum = tonumber(mine[index] or 0), tonumber(all[index] or 0)
            if not own or not sum or math.max(own, sum) + sums[field] >= 9007199254740992 then return nil end
            in_head[2 * index - 1], in_head[2 * index] = field, text('%d', own + sums[field])
            in_totals[2 * index - 1], in_totals[2 * index] = field, text('%d', sum + sums[field])
        end
        if #run_names > 0 then
            call('HSET', runs, unpack(in_runs))
            in_head[#in_head + 1], in_head[#in_head + 2] = 'has_runs', '1'
        end
        call('HSET', totals, unpack(in_totals))
        if not tree[2] then call('HSET', KEYS[1], 'has_totals', '1') end
    end
    if in_scopes and #in_scopes > 0 then call('HSET', KEYS[7], unpack(in_scopes)) end
    if #ended > 0 then call('HDEL', KEYS[7], unpack(ended)) end
    revision = text('%d', revision + count)
    call('HSET', KEYS[2], 'revision', revision, 'last_seq', text('%d', seq), 'updated', text('%.0f', updated),
        'tag', tag, unpack(in_head))
    call('RPUSH', log, unpack(entries))
    call('HSET', ids, unpack(fields))
    if is_followed then redis.pcall('PUBLISH', KEYS[6] .. ':' .. head[2], revision) end
    -- One string: Redis before 7 writes a table to the connection piece by piece.
    return 'OK ' .. head[3] .. ' ' .. head[4] .. ' ' .. head[9]
end

local appended = append()
if appended then return appended end
