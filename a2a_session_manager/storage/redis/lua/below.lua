-- Tells below which roots the index lists an id, and how many of the keys of its shard are there.
-- KEYS: shard, its marks. ARGV: bounds, the most lines to tell.

local lines = redis.call('ZRANGEBYLEX', KEYS[1], ARGV[1], ARGV[2], 'LIMIT', '0', ARGV[3])
return {'OK', redis.call('EXISTS', unpack(KEYS)), lines}
