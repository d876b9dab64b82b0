-- Which scopes of budgets a session is in, and what counts there. It is put before everything else: the short scripts
-- need it, too.

-- Compares whole numbers of any length, as texts.
local function is_more(one, other)
    if #one ~= #other then return #one > #other end
    return one > other
end

-- Which of the four numbers of a sum a counter of usage goes to; nil for one that no budget asks for.
local function place_of(counter)
    if counter == 'prompt_tokens' or counter == 'completion_tokens' then return 2 end
    if counter == 'cost_pico_usd' then return 1 end
    if counter == 'requests' then return 3 end
    if counter == 'unpriced_requests' then return 4 end
end

-- Whether a sum is within bounds, each the most of one number or "-" for any.
local function is_within(sum, most)
    local bounds = string.gmatch(most, '%S+')
    for number in string.gmatch(sum, '%d+') do
        local bound = bounds()
        if bound ~= '-' and is_more(number, bound) then return false end
    end
    return true
end

local function entry_of(line)
    local ordinal, ttl, creation, parent = string.match(line, '^(%d+) (%d+) (%S+) (.*)$')
    return {ordinal = ordinal, ttl = tonumber(ttl), creation = creation, parent = parent}
end

local function entry_in(tree, id)
    local line = redis.call('HGET', tree, 'n:' .. id)
    return line and entry_of(line) or nil
end

-- The creation ids from a session, whose parent is given by its id, up to the root; nil where the tree lost one.
local function path_from(tree, creation, parent)
    local path = {creation}
    while parent ~= '' do
        local entry = entry_in(tree, parent)
        if not entry then return nil end
        path[#path + 1] = entry.creation
        parent = entry.parent
    end
    return path
end
