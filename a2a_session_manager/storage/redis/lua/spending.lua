-- What stands against the budgets of a tree, and how commits move it: the rules are those of `budgets/settling.py`. It is
-- put after `common.lua`. The hash of budgets has a field for each session that has, or had, a budget, 's:' and its
-- creation id: what it and all below it have spent, in lines. The first line is a sum. Each other one is a block, what
-- was spent in one window of one budget: "w", or "x" while it counts for none, NAME, when the window begins and ends,
-- from when on and in which steps times are told apart after its end, sum; or it is "q", NAME, the begin of such a
-- step, 0, 0, 0, sum: what was spent after the end of the newest window that a client has told. Times are milliseconds.
-- A sum is four whole numbers of any length: pico-dollars, tokens, requests, and requests of unknown price.

local NOTHING = '0 0 0 0'

-- The sum of two whole numbers of any length, as texts: neither Lua nor HINCRBY counts so far.
local function plus(one, other)
    if #one < 15 and #other < 15 then return text(tonumber(one) + tonumber(other)) end
    local sum, carry = '', 0
    while one ~= '' or other ~= '' or carry > 0 do
        local digits = (tonumber(string.sub(one, -14)) or 0) + (tonumber(string.sub(other, -14)) or 0) + carry
        carry = math.floor(digits / 1e14)
        sum = string.format('%014.0f', digits - carry * 1e14) .. sum
        one, other = string.sub(one, 1, -15), string.sub(other, 1, -15)
    end
    return string.match(sum, '^0*(%d+)$')
end

local function sum_of(one, other)
    local sums, others = {}, string.gmatch(other, '%d+')
    for number in string.gmatch(one, '%d+') do sums[#sums + 1] = plus(number, others()) end
    return table.concat(sums, ' ')
end

-- Adds a counter of usage to four numbers.
local function add_counter(sums, name, count)
    local place = place_of(name)
    if not place then return end
    if string.match(count, '^%d+$') then sums[place] = plus(sums[place], count) else sums.is_damaged = true end
end

local function value_of(scope)
    local lines = {scope.sum}
    for _, block in ipairs(scope.blocks) do
        lines[#lines + 1] = table.concat({
            block.kind, block.name, text(block.first), text(block.last), text(block.origin), text(block.step), block.sum
        }, ' ')
    end
    return table.concat(lines, '\n')
end

-- Adds a sum to what waits after the end of a block.
local function add_pending(scope, block, moment, sum)
    local first = moment - (moment - block.origin) % block.step
    for _, other in ipairs(scope.blocks) do
        if other.kind == 'q' and other.name == block.name and other.first == first then
            other.sum = sum_of(other.sum, sum)
            return
        end
    end
    scope.blocks[#scope.blocks + 1] = {
        kind = 'q', name = block.name, first = first, last = 0, origin = 0, step = 0, sum = sum
    }
end

-- Counts what was spent now, or for a hold that was made at a moment, in a scope and its windows; tells whether that was
-- after the end of one.
local function count_in(scope, sum, made_at)
    local is_after = false
    scope.sum = sum_of(scope.sum, sum)
    for index = 1, #scope.blocks do
        local block = scope.blocks[index]
        if block.kind == 'w' then
            -- A window that was seen is never left for an earlier one, whatever the clock says.
            local moment = made_at or math.max(now(), block.first)
            if moment >= block.last then
                add_pending(scope, block, moment, sum)
                is_after = true
            elseif moment >= block.first then
                block.sum = sum_of(block.sum, sum)
            end
        end
    end
    return is_after
end

-- What a commit of new events moves, for `write_spent`; nil where the tree has no budgets.
local function count_spent(spending, fresh, settles)
    if not spending then return nil, nil end
    local sums, ended = {'0', '0', '0', '0'}, {}
    if settles then ended[1] = 'h:' .. spending.creation .. ':' .. settles[1] end
    for _, event in ipairs(fresh) do
        ended[#ended + 1] = 'h:' .. spending.creation .. ':' .. event.id
        for _, counter in ipairs(event.usage and event.usage.counters or {}) do
            add_counter(sums, counter.name, counter.count)
        end
    end
    return {sum = table.concat(sums, ' '), ended = ended, made_at = settles and tonumber(settles[2])}, nil
end

local function write_spent(keys, spent)
    in_slices(#spent.ended, function(first, last)
        redis.call('HDEL', keys.budgets, unpack(spent.ended, first, last))
    end)
    if spent.sum == NOTHING then return end
    local fields, is_after = {}, false
    for _, scope in ipairs(keys.spending.scopes) do
        is_after = count_in(scope, spent.sum, spent.made_at) or is_after
        fields[#fields + 1], fields[#fields + 2] = scope.field, value_of(scope)
    end
    set_fields(keys.budgets, fields)
    if is_after then redis.call('HINCRBY', keys.budgets, 'v', 1) end
end

-- The budgets of sessions that end count no more: what a grant holds is free. What was spent stays, above them.
local function end_budgets(keys, creations)
    if redis.call('HEXISTS', keys.tree, 'has_budgets') == 0 then return end
    local is_ended, fields = {}, {}
    for _, creation in ipairs(creations) do is_ended[creation] = true end
    local lines = redis.call('HGETALL', keys.budgets)
    for index = 1, #lines, 2 do
        local creation = string.match(lines[index], '^b:([^:]+):')
        if creation and is_ended[creation] then
            fields[#fields + 1] = lines[index]
            -- Whether it was removed is the last thing that a record says.
            fields[#fields + 1] = string.gsub(lines[index + 1], 'false%]$', 'true]')
        end
    end
    if #fields == 0 then return end
    set_fields(keys.budgets, fields)
    redis.call('HINCRBY', keys.budgets, 'v', 1)
end

-- Sessions of a tree

-- The key of the head of another session of the tree: it is in the same slot.
local function head_of_session(keys, id, is_root)
    local start = string.sub(keys.tree, 1, -5) .. 'head'
    if is_root then return start end
    return start .. ':' .. string.gsub(id, '[^%w_.~-]', function(char)
        return string.format('%%%02X', string.byte(char))
    end)
end

-- The sessions of the tree: by id their creation id and parent, and by id the ids of those below it.
local function sessions_in(keys)
    local found, children = {}, {}
    local lines = redis.call('HGETALL', keys.tree)
    for index = 1, #lines, 2 do
        local id = string.match(lines[index], '^n:(.*)$')
        if id then
            local _, _, creation, parent = string.match(lines[index + 1], '^(%d+) (%d+) (%S+) (.*)$')
            found[id] = {creation = creation, parent = parent}
            children[parent] = children[parent] or {}
            table.insert(children[parent], id)
        end
    end
    return found, children
end

-- Adds to four numbers what a session has spent, and what those below it had that were deleted.
local function add_session(keys, sums, id, session)
    local lines = redis.call('HGETALL', head_of_session(keys, id, session.parent == ''))
    local left, creation, counted = NOTHING, nil, {'0', '0', '0', '0'}
    for index = 1, #lines, 2 do
        local name, value = lines[index], lines[index + 1]
        if string.sub(name, 1, 2) == 't:' then
            add_counter(counted, string.match(name, '^t:([^:]+):') or '', value)
        elseif name == 'creation' then
            creation = value
        elseif name == 'left' then
            left = value
        end
    end
    if creation ~= session.creation then return end
    local numbers = string.gmatch(left, '%d+')
    sums.is_damaged = sums.is_damaged or counted.is_damaged
    for place, number in ipairs(counted) do sums[place] = plus(plus(sums[place], number), numbers()) end
end

-- What a session and all that are below it have spent, also those that were deleted; nil where that cannot be read.
local function measured(keys, id)
    local sums = {'0', '0', '0', '0'}
    local sessions, children = sessions_in(keys)
    if sessions[id].parent == '' then
        local totals = redis.call('HGETALL', keys.totals)
        for index = 1, #totals, 2 do
            add_counter(sums, string.match(totals[index], '^t:([^:]+):') or '', totals[index + 1])
        end
        return not sums.is_damaged and table.concat(sums, ' ') or nil
    end
    local waiting = {id}
    while #waiting > 0 do
        local each = table.remove(waiting)
        add_session(keys, sums, each, sessions[each])
        for _, child in ipairs(children[each] or {}) do waiting[#waiting + 1] = child end
    end
    return not sums.is_damaged and table.concat(sums, ' ') or nil
end

-- What a session, and all that are deleted with it, have spent. Its parent's head keeps that, but for the root's: the
-- totals tell of all that its tree ever spent. `gone` has the ids and creation ids of those below it.
local function left_by(keys, id, entry, gone)
    local parent = entry.parent ~= '' and entry_in(keys.tree, entry.parent)
    if not parent or parent.parent == '' then return NOTHING end
    local sums = {'0', '0', '0', '0'}
    add_session(keys, sums, id, entry)
    for index = 1, #gone, 2 do add_session(keys, sums, gone[index], {creation = gone[index + 1]}) end
    return table.concat(sums, ' ')
end

local function keep_left(keys, left)
    if left == NOTHING or redis.call('EXISTS', keys.parent_head) == 0 then return end
    redis.call('HSET', keys.parent_head, 'left', sum_of(redis.call('HGET', keys.parent_head, 'left') or NOTHING, left))
end
