-- Tells what cascades took along and is not removed yet; or forgets sessions of which nothing is left.
-- KEYS: gone. ARGV: session id, creation id, session id, creation id …

if #ARGV == 0 then return {'OK', redis.call('HGETALL', KEYS[1])} end
for index = 1, #ARGV, 2 do
    if redis.call('HGET', KEYS[1], ARGV[index]) == ARGV[index + 1] then redis.call('HDEL', KEYS[1], ARGV[index]) end
end
return {'OK'}
