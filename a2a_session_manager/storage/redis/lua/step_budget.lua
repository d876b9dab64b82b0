-- Does what a client has decided about the budgets of a tree, if all is still as it was decided about; and tells how
-- things stand now. Nothing is decided here: that is `budgets/step_rules.py`.
-- KEYS: tree head log ids budgets totals.
-- ARGV: session id, "1" for a root, the incarnation that is meant or "-", "1" to tell also what the session's scope has
-- spent while it has no budget. That is all, to read. Then: the creation id and the version that were decided about, the
-- client's time and by how many ms it may be wrong, the field that must be there or "", "1" where the version moves;
-- then lists, each after its length: what bounds the decision; scopes, each as its creation id and its windows in one
-- text; fields and values to put; fields to drop.
-- It answers READ, DONE or STALE; the time, creation ids from the session up to the root, the hash, and what was asked for.

local at = 0
local function take()
    at = at + 1
    return ARGV[at]
end

local function take_list()
    local list = {}
    for index = 1, tonumber(take()) do list[index] = take() end
    return list
end

local keys = {tree = KEYS[1], head = KEYS[2], log = KEYS[3], ids = KEYS[4], budgets = KEYS[5], totals = KEYS[6]}
local id, is_root, meant, measures = take(), take() == '1', take(), take() == '1'

local entry, head, absent = find_session(keys, id, is_root)
if absent then return absent end
if meant ~= '-' and meant ~= head.creation then return {'NOSESSION'} end
local path = path_from(keys.tree, head.creation, entry.parent)
if not path then return {'LOST', 'tree'} end
local has_budgets = redis.call('HEXISTS', keys.tree, 'has_budgets') == 1
local version = '0'
if has_budgets then
    version = redis.call('HGET', keys.budgets, 'v')
    if not version then return {'LOST', 'budgets'} end
end
local has_totals = redis.call('HEXISTS', keys.tree, 'has_totals') == 1
if has_totals ~= (redis.call('HLEN', keys.totals) > 0) then return {'LOST', 'totals'} end

local function scope_of(creation)
    local value = has_budgets and redis.call('HGET', keys.budgets, 's:' .. creation)
    return value and scope_in(value)
end

-- A bound is a creation id, the name of a window or "-", when that begins, and the most of each axis, "-" for any.
local function holds(bound)
    local creation, name, first, most = string.match(bound, '^(%S+) (%S+) (%d+) (.*)$')
    local scope = scope_of(creation)
    if not scope then return false end
    if name == '-' then return is_within(scope.sum, most) end
    for _, block in ipairs(scope.blocks) do
        if block.kind == 'w' and block.name == name then
            return block.first == tonumber(first) and is_within(block.sum, most)
        end
    end
    return false
end

-- What the session's scope has spent that nobody has counted yet; looked up once.
local uncounted = measures and not scope_of(head.creation) and measured(keys, id)
if uncounted == nil then return {'LOST', 'totals'} end

-- Gives a scope the windows that count from now on. Each is a name, its begin and end, origin and step, and either what
-- was spent in it or "-": what is known of it, if it is the same one.
local function set_windows(scope, lines)
    local blocks, known, given = {}, {}, {}
    for _, block in ipairs(scope.blocks) do
        if block.kind ~= 'q' then known[block.name] = block end
    end
    for line in string.gmatch(lines, '[^\n]+') do
        local name, first, last, origin, step, sum = string.match(line, '^(%S+) (%d+) (%d+) (%d+) (%d+) (.+)$')
        local block, before = block_in(table.concat({'w', name, first, last, origin, step, NOTHING}, ' ')), known[name]
        if before and before.first > block.first then
            block = before
            block.kind = 'w'
        elseif sum ~= '-' then
            block.sum = sum
        elseif before and before.first == block.first then
            block.sum = before.sum
        end
        given[name] = block
        blocks[#blocks + 1] = block
    end
    for _, block in ipairs(scope.blocks) do
        local now_there = given[block.name]
        if block.kind == 'q' then
            if now_there and block.first >= now_there.last then blocks[#blocks + 1] = block end
        elseif not now_there then
            block.kind = 'x'
            blocks[#blocks + 1] = block
        end
    end
    scope.blocks = blocks
end

-- The first budget of a tree: releases that know of none must refuse each of its sessions.
local function begin()
    redis.call('UNLINK', keys.budgets)
    for session_id, session in pairs(sessions_in(keys)) do
        local name = head_of_session(keys, session_id, session.parent == '')
        if redis.call('HGET', name, 'creation') == session.creation then redis.call('HSET', name, 'v', '3') end
    end
    redis.call('HSET', keys.tree, 'has_budgets', '1')
    redis.call('HSET', keys.budgets, 'v', '0')
    local deadline = redis.call('HGET', keys.tree, 'deadline')
    if deadline then redis.call('PEXPIREAT', keys.budgets, deadline) end
end

-- Without the holds whose usage is stored already: nobody would ever settle them.
local function without_settled(put)
    local left = {}
    for index = 1, #put, 2 do
        local hold = string.match(put[index], '^h:[^:]+:(.*)$')
        if not hold or redis.call('HEXISTS', keys.ids, 'e:' .. hold) == 0 then
            left[#left + 1], left[#left + 2] = put[index], put[index + 1]
        end
    end
    return left
end

local function step()
    local creation, seen, time, tolerance, there, moves = take(), take(), take(), take(), take(), take() == '1'
    local bounds, scopes, put, dropped = take_list(), take_list(), take_list(), take_list()
    if creation ~= head.creation or seen ~= version then return 'STALE' end
    if math.abs(now() - tonumber(time)) > tonumber(tolerance) then return 'STALE' end
    if there ~= '' and redis.call('HEXISTS', keys.budgets, there) == 0 then return 'STALE' end
    for _, bound in ipairs(bounds) do
        if not holds(bound) then return 'STALE' end
    end
    local fields = {}
    put = without_settled(put)
    for index = 1, #scopes, 2 do
        local scope = scope_of(scopes[index])
        -- Of one that has its first budget, nobody has counted yet; that is always the session's own.
        if not scope then scope = {sum = uncounted, blocks = {}} end
        set_windows(scope, scopes[index + 1])
        fields[#fields + 1], fields[#fields + 2] = 's:' .. scopes[index], value_of(scope)
    end
    if #put > 0 and not has_budgets then begin() end
    in_slices(#dropped, function(first, last) redis.call('HDEL', keys.budgets, unpack(dropped, first, last)) end)
    set_fields(keys.budgets, fields)
    set_fields(keys.budgets, put)
    if moves then redis.call('HINCRBY', keys.budgets, 'v', 1) end
    has_budgets = has_budgets or #put > 0
    return 'DONE'
end

local status = 'READ'
if #ARGV > at then status = step() end
local spent = ''
if measures and not scope_of(head.creation) then spent = uncounted end
return {status, text(now()), path, has_budgets and redis.call('HGETALL', keys.budgets) or {}, spent}
