-- Reads a part of a page: the first rows of one shard between two bounds, in their order.
-- KEYS: shard, its first two marks, its entries, their rows.
-- ARGV: which properties the entries must have facets of, lowest and highest row, "1" for the highest first, how many;
-- the server's time after which a session must not have been active, or ""; where in a row its line begins.
-- It answers with the server's time and the rows; LOST where lines of the shard may be missing, or INCOMPLETE where
-- only its entries may.

local shard, facts, order = KEYS[1], KEYS[4], KEYS[5]
local wanted, lowest, highest, is_reverse, limit, until_time =
    ARGV[1], ARGV[2], ARGV[3], ARGV[4] == '1', tonumber(ARGV[5]), ARGV[6]
local count = redis.call('EXISTS', shard, KEYS[2], KEYS[3])
if count == 0 then return {'OK', micros(), {}} end
if count ~= 3 then return {'LOST'} end
local index = found(facts, order, '')
if not index or index.state ~= 'whole' then return {'INCOMPLETE'} end
if index.lines ~= redis.call('ZCARD', shard) then return {'INCOMPLETE'} end
for name in string.gmatch(wanted, '%S+') do
    if not string.find(' ' .. index.properties .. ' ', ' ' .. name .. ' ', 1, true) then return {'INCOMPLETE'} end
end

local rows = {}
while #rows < limit do
    local more = limit - #rows
    local some = is_reverse
        and redis.call('ZREVRANGEBYLEX', order, highest, lowest, 'LIMIT', '0', text(more))
        or redis.call('ZRANGEBYLEX', order, lowest, highest, 'LIMIT', '0', text(more))
    for _, row in ipairs(some) do
        local touched = ''
        if until_time ~= '' then
            local entry = redis.call('HGET', facts, string.sub(row, tonumber(ARGV[7])))
            touched = string.match(entry or '', '^%d+ %d+ %d+ (%d+)') or ''
        end
        if touched <= until_time then
            rows[#rows + 1] = row
        end
    end
    if #some < more then break end
    if is_reverse then highest = '(' .. some[#some] else lowest = '(' .. some[#some] end
end
return {'OK', micros(), rows}
