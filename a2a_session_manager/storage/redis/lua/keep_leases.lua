-- Renews leases of runs of one session, or tells of them; no revision moves.
-- KEYS: head. ARGV: "renew", then the creation id, the run and the token of each lease; or "tell", then runs.

local creation = redis.call('HGET', KEYS[1], 'creation')
if not creation then return {'NOSESSION'} end
local answers, time = {}, now()
if ARGV[1] == 'tell' then
    for index = 2, #ARGV do
        local lease = lease_in(KEYS[1], ARGV[index])
        local is_held = lease and lease.ends > time
        answers[#answers + 1] = is_held and lease.holder or ''
        answers[#answers + 1] = is_held and lease.ends - time or 0
    end
    return {'OK', answers}
end
for index = 2, #ARGV, 3 do
    local run_id, token = ARGV[index + 1], ARGV[index + 2]
    local lease = creation == ARGV[index] and lease_in(KEYS[1], run_id)
    local is_held = lease and lease.token == token and lease.ends > time
    if is_held then
        redis.call('HSET', KEYS[1], 'l:' .. run_id, line_of_lease(token, lease.milliseconds, lease.holder, time))
    end
    answers[#answers + 1] = is_held and 1 or 0
end
return {'OK', answers}
