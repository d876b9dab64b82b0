-- Commits to one session, one or several that waited together, each for itself.
-- KEYS: tree head log ids hidden followers budgets; totals for usage; runs, unfinished for runs; retractions.
-- ARGV: session id; "1" for a root, TTL of the store in ms or 0, number of commits, the run whose lease the first one
-- claims if it does, as one; the commits.

local keys = {
    tree = KEYS[1], head = KEYS[2], log = KEYS[3], ids = KEYS[4], hidden = KEYS[5], followers = KEYS[6],
    budgets = KEYS[7], totals = KEYS[8], runs = KEYS[9], unfinished = KEYS[10], retractions = KEYS[11]
}
local id = take()
local root, ttl, count = string.match(take(), '^(%d) (%d+) (%d+)')
local is_root = root == '1'
ttl = tonumber(ttl)

local entry, head, absent = find_session(keys, id, is_root)
if absent then return absent end
if keys.totals then
    local has_totals = redis.call('HEXISTS', keys.tree, 'has_totals') == 1
    if has_totals ~= (redis.call('HLEN', keys.totals) > 0) then return {'LOST', 'totals'} end
end
local spending, damage = spending_of(keys, head.creation, entry.parent)
if damage then return damage end
keys.spending = spending
local before = {}
for name, value in pairs(head) do before[name] = value end
local commits = {}
for index = 1, tonumber(count) do commits[index] = take_commit() end

local answers = {}
for index, commit in ipairs(commits) do
    if commit.creation ~= '-' and commit.creation ~= head.creation then
        answers[index] = {'OTHER'}
    else
        answers[index] = repeated(keys, commit, head) or committed(head, keys, commit)
    end
end

local due = 0
if head.is_changed then write_head(head, keys) end
if head.ttl > 0 then
    local remaining = redis.call('PTTL', keys.head)
    if remaining >= 0 then
        if head.is_changed then set_deadlines(head, keys, before) end
        ttl = math.max(ttl, head.ttl)
        local time = now()
        if head.deadline - time < 0.9 * ttl then due = time + ttl end
    end
end
if head.is_changed then
    if keys.totals then set_totals_deadline(keys) end
    tell(keys, head.creation, text(head.revision))
end
return {'OK', due, answers}
