-- The short script of steps, put before everything else, as `append.lua` is: it takes what is done for each request, as
-- to hold, renew, charge or release, where no window bounds it, and writes it if all that it rests on still holds.
-- Whatever is otherwise, it has only read, and `step_budget.lua` decides; that says what the arguments are, too.

if redis.replicate_commands then redis.replicate_commands() end

local function short_step()
    local call, match, text = redis.call, string.match, string.format
    if ARGV[4] == '1' or not ARGV[5] then return nil end
    local tree = call('HMGET', KEYS[1], 'n:' .. ARGV[1], 'has_budgets', 'has_totals')
    local head = call('HMGET', KEYS[2], 'v', 'creation', 'last_seq', 'segments')
    if not tree[1] or not tree[2] or head[1] ~= '3' or head[4] or head[2] ~= ARGV[5] then return nil end
    local creation, parent = match(tree[1], '^%d+ %d+ (%S+) (.*)$')
    if creation ~= head[2] or (ARGV[3] ~= '-' and ARGV[3] ~= creation) then return nil end
    if call('LLEN', KEYS[3]) ~= tonumber(head[3]) or call('HLEN', KEYS[4]) == 0 then return nil end
    if (tree[3] == '1') ~= (call('HLEN', KEYS[6]) > 0) then return nil end

    local at = 12
    local fields, most = {'v', ARGV[9] ~= '' and ARGV[9] or nil}, {}
    local before = #fields
    for _ = 1, tonumber(ARGV[11]) do
        local scope, bounds = match(ARGV[at], '^(%S+) %- 0 (.*)$')
        if not scope then return nil end
        fields[#fields + 1], most[#most + 1] = 's:' .. scope, bounds
        at = at + 1
    end
    if ARGV[at] ~= '0' then return nil end -- of windows
    local known = call('HMGET', KEYS[5], unpack(fields))
    if known[1] ~= ARGV[6] or (before == 2 and not known[2]) then return nil end
    for index, bounds in ipairs(most) do
        local sum = known[before + index]
        sum = sum and match(sum, '^%d+ %d+ %d+ %d+')
        if not sum or not is_within(sum, bounds) then return nil end
    end
    local put, stored, last = {}, {}, at + 1 + tonumber(ARGV[at + 1])
    for index = at + 2, last, 2 do
        local hold = match(ARGV[index], '^h:[^:]+:(.*)$')
        if not hold then return nil end
        put[#put + 1], put[#put + 2], stored[#stored + 1] = ARGV[index], ARGV[index + 1], 'e:' .. hold
    end
    local dropped = tonumber(ARGV[last + 1])
    if #fields + #put + dropped > 1000 then return nil end
    if #stored > 0 then
        for _, seq in ipairs(call('HMGET', KEYS[4], unpack(stored))) do
            if seq then return nil end
        end
    end
    local time = call('TIME')
    time = time[1] * 1000 + math.floor(time[2] / 1000)
    if math.abs(time - ARGV[7]) > tonumber(ARGV[8]) then return nil end
    local path = path_from(KEYS[1], creation, parent)
    if not path then return nil end

    if dropped > 0 then call('HDEL', KEYS[5], unpack(ARGV, last + 2, last + 1 + dropped)) end
    if ARGV[10] == '1' then put[#put + 1], put[#put + 2] = 'v', text('%.0f', ARGV[6] + 1) end
    if #put > 0 then call('HSET', KEYS[5], unpack(put)) end
    return {'DONE', text('%.0f', time), path, call('HGETALL', KEYS[5]), ''}
end

local stepped = short_step()
if stepped then return stepped end
