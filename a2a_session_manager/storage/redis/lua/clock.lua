-- What all scripts need, and all that those of the index do: Redis runs a script's definitions at each call.

-- Redis before 7 must be told that it shall replicate what a script did, not the script.
if redis.replicate_commands then redis.replicate_commands() end

local function text(number)
    return string.format('%.0f', number)
end

-- Milliseconds by the server's clock.
local function now()
    local time = redis.call('TIME')
    return tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
end
