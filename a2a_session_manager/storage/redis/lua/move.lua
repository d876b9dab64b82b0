-- Moves the entry of a session ahead of a commit that needs it: by the time of the last activity that it will have, and
-- to facets of properties that it will set. An entry that is not there is begun, and its session looked at by readers.
-- KEYS: shard, its entries, their rows.
-- ARGV: the line, which properties sessions are found by, the time or "" for one that stays, "1" if the facets that
-- come next are those of all properties, facets.
-- It answers with the entry, and what it was before or ""; UNLISTED where the shard has no such line; or PROPERTIES, as `list.lua` does.

local shard, facts, order = KEYS[1], KEYS[2], KEYS[3]
local line, properties, updated = ARGV[1], ARGV[2], ARGV[3]
if not redis.call('ZSCORE', shard, line) then return {'UNLISTED'} end
local index = found(facts, order, line) or begin(facts, order, 'building', properties)
if ARGV[4] == '1' and index.properties ~= properties then return {'PROPERTIES', index.properties} end

local before = index.entry
local entry = before or NOTHING
local generation, stands_at, created, touched, facets = string.match(entry, '^(%d+) (%d+) (%d+) (%d+)(.*)$')
if updated ~= '' then
    -- Also where the time stays: nobody must move back an entry that another one's commit needs, too.
    entry = table.concat({generation, updated > stands_at and updated or stands_at, created, micros()}, ' ') .. facets
end
if #ARGV > 4 then entry = with_pending(entry, {unpack(ARGV, 5)}) end
if not before then
    begin_entry(facts, order, line, index, entry)
elseif entry ~= before then
    put(facts, order, line, before, entry)
end
if index.is_begun then end_with(shard, facts, order) end
return {'OK', entry, before or ''}
