-- Reads events by their ids, as many as make a page.
-- KEYS: tree head log ids hidden. ARGV: session id, "1" for a root, how many bytes of them, then event ids.
-- It answers with the seq of each id, 0 for one that is not stored; the entries of those that are, as far as they fit;
-- the seqs of those entries that are hidden; and the last seq that a fork has inherited.

local keys = {tree = KEYS[1], head = KEYS[2], log = KEYS[3], ids = KEYS[4], hidden = KEYS[5]}
local _, head, absent = find_session(keys, ARGV[1], ARGV[2] == '1')
if absent then return absent end

local most_bytes, fields = tonumber(ARGV[3]), {}
for index = 4, #ARGV do fields[#fields + 1] = 'e:' .. ARGV[index] end
local seqs, entries, hidden, bytes = seqs_of(keys, fields), {}, {}, 0
for _, seq in ipairs(seqs) do
    if seq > 0 then
        local found, damage = page_of(keys, {{seq, seq}}, 1, most_bytes)
        if damage then return damage end
        bytes = bytes + #found[1]
        if #entries > 0 and bytes > most_bytes then break end
        entries[#entries + 1] = found[1]
        if head.hidden > 0 and is_hidden(keys.hidden, seq) then hidden[#hidden + 1] = seq end
    end
end
return {'OK', head.creation, seqs, entries, hidden, keys.base}
