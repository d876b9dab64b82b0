-- Removes lines from a shard of the index; never the last one while a mark says that the shard holds lines.
-- KEYS: shard. ARGV: "1" if its marks are gone, the lines.

for index = 2, #ARGV do
    local is_last = redis.call('ZCARD', KEYS[1]) == 1 and redis.call('ZSCORE', KEYS[1], ARGV[index])
    if is_last and ARGV[1] ~= '1' then return {'LAST'} end
    redis.call('ZREM', KEYS[1], ARGV[index])
end
local remaining = redis.call('PTTL', KEYS[1])
return {'OK', redis.call('ZCARD', KEYS[1]), remaining == -1 and '+inf' or text(now() + remaining)}
