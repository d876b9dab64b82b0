-- Says for a while that somebody follows a session of the tree. KEYS: followers, head. ARGV: seconds.

redis.call('SET', KEYS[1], '1', 'EX', ARGV[1])
return redis.call('HMGET', KEYS[2], 'creation', 'revision')
