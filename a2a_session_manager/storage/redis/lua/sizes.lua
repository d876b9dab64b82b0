-- Sums up what a session takes in memory, as the server estimates it. KEYS: its head, and its other keys.
-- It answers UNKNOWN where the server does not tell.

if redis.call('EXISTS', KEYS[1]) == 0 then return {'NOSESSION'} end
local total = 0
for _, key in ipairs(KEYS) do
    local size = redis.pcall('MEMORY', 'USAGE', key)
    if type(size) == 'table' then return {'UNKNOWN'} end
    total = total + (size or 0)
end
return {'OK', total}
