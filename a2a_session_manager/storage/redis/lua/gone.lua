-- Forgets sessions that a cascade took along and of which nothing is left, and tells which others there are.
-- KEYS: gone. ARGV: session id, creation id or "" for any, session id, creation id …

for index = 1, #ARGV, 2 do
    local creation = redis.call('HGET', KEYS[1], ARGV[index])
    if creation and (ARGV[index + 1] == '' or ARGV[index + 1] == creation) then redis.call('HDEL', KEYS[1], ARGV[index]) end
end
return {'OK', redis.call('HGETALL', KEYS[1])}
