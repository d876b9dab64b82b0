-- Makes a session below its parent. The id was claimed before, on its own slot. It is put after `child_creation.lua`, and
-- before the rules of commits: what is created with values alone, or with nothing, needs none of them.
-- KEYS: tree head log ids hidden followers budgets totals runs unfinished retractions children refused
-- parent's head, parent's children; where one server has all keys, and the id is claimed here and now: its locator; the
-- tree, head and ids that it has if it is a root; the shard of the index where it was listed just before, and its marks.
-- ARGV: session id, TTL in ms, 0 for none or -1 for none ever, creation id, times of creation and of the last activity, depth, parent id, parent's creation id,
-- claim; what the locator is to hold, "" where it does already, and the bounds of the id's lines in the shard;
-- how many values tell of a fork, those values, the first commit. They are: where it comes from; the segments of
-- its log, as `segments_in` reads them; the ranges hidden in them; compactions and placed summaries, as heads have them.

local keys, session, place = take_child()
local told, fork = take_many(tonumber(take())), nil
if #told > 0 then
    fork = {source = told[1], segments = told[2], hidden = read_ranges(told[3]), compactions = told[4], placed = told[5]}
end
local header, counts = take_header()

local function create_here(commit, make)
    local found = look_in_tree(keys, session)
    local answer = answer_before(keys, session, place, commit, found)
    if answer then return answer end
    local parent = head_at(keys.parent_head)
    if parent then parent.children = tonumber(redis.call('HGET', keys.parent_head, 'children') or 0) end
    local reply = create_child(keys, session, place, found, parent, fork, commit, make)
    return reply
end

local of_values = take_values_alone(header, counts)
if of_values then return create_here(of_values) end
