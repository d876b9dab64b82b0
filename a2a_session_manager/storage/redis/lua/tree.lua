-- Reads a whole tree. KEYS: tree head log ids. ARGV: session id, "1" for a root.

local keys = {tree = KEYS[1], head = KEYS[2], log = KEYS[3], ids = KEYS[4]}

local _, _, absent = find_session(keys, ARGV[1], ARGV[2] == '1')
if absent then return absent end
return {'OK', redis.call('HGETALL', keys.tree)}
