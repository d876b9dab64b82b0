-- What the budgets of a tree have counted, as it is read; `spending.lua` says what the lines are. It is put after
-- `common.lua`, where nothing is spent, too.

-- What of a scope a line says, or nil for one that says nothing.
local function block_in(line)
    local kind, name, first, last, origin, step, sum =
        string.match(line, '^([wxq]) (%S+) (%d+) (%d+) (%d+) (%d+) (%d+ %d+ %d+ %d+)$')
    if not kind then return nil end
    return {
        kind = kind, name = name, first = tonumber(first), last = tonumber(last), origin = tonumber(origin),
        step = tonumber(step), sum = sum
    }
end

-- What a scope has spent, with its blocks; nil where it cannot be read.
local function scope_in(value)
    local scope = nil
    for line in string.gmatch(value .. '\n', '([^\n]*)\n') do
        if not scope then
            if not string.match(line, '^%d+ %d+ %d+ %d+$') then return nil end
            scope = {sum = line, blocks = {}}
        else
            local block = block_in(line)
            if not block then return nil end
            scope.blocks[#scope.blocks + 1] = block
        end
    end
    return scope
end

-- The scopes with budgets that a session is in; nil where its tree has none; or nil and the reason.
local function spending_of(keys, creation, parent)
    if redis.call('HEXISTS', keys.tree, 'has_budgets') == 0 then return nil end
    if redis.call('HEXISTS', keys.budgets, 'v') == 0 then return nil, {'LOST', 'budgets'} end
    local path = path_from(keys.tree, creation, parent)
    if not path then return nil, {'LOST', 'tree'} end
    local fields, scopes = {}, {}
    for index, each in ipairs(path) do fields[index] = 's:' .. each end
    for index, value in ipairs(fields_of(keys.budgets, fields)) do
        if value then
            local scope = scope_in(value)
            if not scope then return nil, {'LOST', 'count of what was spent'} end
            scope.field = fields[index]
            scopes[#scopes + 1] = scope
        end
    end
    return {creation = creation, scopes = scopes}, nil
end
