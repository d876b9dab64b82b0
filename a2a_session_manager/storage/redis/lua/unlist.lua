-- Removes lines from a shard of the index, and with the last one its marks. ARGV: the lines.
-- KEYS: shard, its marks; where pages of heads are found by it, its entries and their rows.
-- A shard that is not there although it is marked was lost: its marks go on saying so.

local was_there = redis.call('EXISTS', KEYS[1]) == 1
in_slices(#ARGV, function(first, last) redis.call('ZREM', KEYS[1], unpack(ARGV, first, last)) end)
if KEYS[5] and found(KEYS[5], KEYS[6], '') then
    for _, line in ipairs(ARGV) do
        local entry = redis.call('HGET', KEYS[5], line)
        if entry then put(KEYS[5], KEYS[6], line, entry, nil) end
    end
end
if was_there and redis.call('EXISTS', KEYS[1]) == 0 then
    if KEYS[5] then redis.call('UNLINK', KEYS[5], KEYS[6]) end
    if redis.call('EXISTS', KEYS[4]) == 1 then
        -- Readers count the first mark, which may be lost itself.
        local remaining = redis.call('PTTL', KEYS[4])
        redis.call('SET', KEYS[2], 'lost')
        if remaining >= 0 then redis.call('PEXPIREAT', KEYS[2], text(now() + remaining)) end
    elseif redis.call('GET', KEYS[2]) ~= 'lost' then
        redis.call('UNLINK', KEYS[2], KEYS[3])
    end
end
return {'OK'}
