-- Reads a session's ancestors and itself, the root first. KEYS: tree. ARGV: session id.

local found, id = {}, ARGV[1]
while id ~= '' do
    local entry = entry_in(KEYS[1], id)
    if not entry then break end
    table.insert(found, 1, id)
    id = entry.parent
end
return {'OK', found}
