-- Lets the locator of a session that will expire live twice as long as the session, if it still leads to that
-- root: an id must not become free before its session is gone.
-- KEYS: locator. ARGV: root id, deadline of the session, "1" right after it was made.

local claim = redis.call('GET', KEYS[1])
if not claim or string.match(claim, '^%S+ (.*)$') ~= ARGV[1] then return {'OK'} end
local time, remaining = now(), redis.call('PTTL', KEYS[1])
local deadline = 2 * tonumber(ARGV[2]) - time
if ARGV[3] == '1' or (remaining >= 0 and time + remaining < deadline) then
    redis.call('PEXPIREAT', KEYS[1], text(deadline))
end
return {'OK'}
