-- Refuses creations that were sent before and come later. It is put after `common.lua` where it is needed.

-- For the time in which they may come, or as long as the tree is there: it ends at `deadline`, nil for never.
local function refuse_creations(refused, creations, deadline)
    local time = now()
    redis.call('ZREMRANGEBYSCORE', refused, '-inf', '(' .. text(time - 1000 * REFUSED_SECONDS))
    for _, creation in ipairs(creations) do redis.call('ZADD', refused, text(time), 'd:' .. creation) end
    if deadline then
        redis.call('PEXPIREAT', refused, deadline)
    else
        redis.call('PERSIST', refused)
    end
end
