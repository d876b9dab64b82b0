-- Removes lines from a shard of the index, and with the last one its marks. KEYS: shard, its marks. ARGV: the lines.

in_slices(#ARGV, function(first, last) redis.call('ZREM', KEYS[1], unpack(ARGV, first, last)) end)
if redis.call('EXISTS', KEYS[1]) == 0 and redis.call('GET', KEYS[2]) ~= 'lost' then
    redis.call('UNLINK', KEYS[2], KEYS[3])
end
return {'OK'}
