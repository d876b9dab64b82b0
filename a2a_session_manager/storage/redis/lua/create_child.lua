-- Makes a session below its parent. The id was claimed before, on its own slot.
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
local commit = take_commit()
return answer_before(keys, session, place, commit) or create_child(keys, session, place, fork, commit)
