-- Answers a creation of a session that exists: with its first result, if the write id is known.
-- KEYS: tree head log ids hidden.
-- ARGV: session id, "1" for a root, the commit.

local keys = {tree = KEYS[1], head = KEYS[2], log = KEYS[3], ids = KEYS[4], hidden = KEYS[5]}
local id, is_root = take(), take() == '1'
local commit = take_commit()

local _, head, absent = find_session(keys, id, is_root)
if absent then return absent end
local answer = repeated(keys, commit, head)
if answer then return {'OK', head.deadline, {answer}, is_for_ever(keys.tree)} end
return {'EXISTS'}
