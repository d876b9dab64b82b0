-- Gives an id free, if it is still claimed as it was.
-- KEYS: locator. ARGV: claim.

if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('UNLINK', KEYS[1]) end
return {'OK'}
