"""Whether a Redis user may do all that the scripts do, tried on a key that holds nothing, before it matters."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

from a2a_session_manager.exceptions import StoreUnavailable
from a2a_session_manager.storage.redis.script import Script, ScriptCall

# What follows the key in a harmless call of each command. A server checks the rights before all else.
# PUBLISH is not tried: without it, a follower of a session learns of news by looking.
ARGUMENTS: Final = {
    "DEL": "",
    "EXISTS": "",
    "EXPIRE": "60",
    "GET": "",
    "HDEL": "field",
    "HEXISTS": "field",
    "HGET": "field",
    "HGETALL": "",
    "HINCRBY": "field 0",
    "HKEYS": "",
    "HLEN": "",
    "HMGET": "field",
    "HSCAN": "0",
    "HSET": "field value",
    "HSETNX": "field value",
    "HVALS": "",
    "INCR": "",
    "INCRBY": "0",
    "LINDEX": "0",
    "LLEN": "",
    "LPOP": "",
    "LRANGE": "0 0",
    "LTRIM": "0 -1",
    "PERSIST": "",
    "PEXPIRE": "60000",
    "PEXPIREAT": "9999999999999",
    "PTTL": "",
    "RPUSH": "value",
    "SADD": "member",
    "SET": "value",
    "SMEMBERS": "",
    "SREM": "member",
    "TYPE": "",
    "UNLINK": "",
    "ZADD": "0 member",
    "ZCARD": "",
    "ZLEXCOUNT": "- +",
    "ZRANGE": "0 0",
    "ZRANGEBYLEX": "- + LIMIT 0 1",
    "ZRANGEBYSCORE": "0 0 LIMIT 0 1",
    "ZREM": "member",
    "ZREMRANGEBYSCORE": "0 0",
    "ZREVRANGEBYSCORE": "0 0 LIMIT 0 1",
    "ZREVRANGEBYLEX": "+ - LIMIT 0 1",
    "ZSCORE": "member",
}
# What is sent outside of scripts, by readers and by the index. A test holds the two together.
PLAIN: Final = frozenset(
    {"EXISTS", "GET", "HEXISTS", "HGET", "HGETALL", "HMGET", "LLEN", "LRANGE", "PTTL", "SET"}
    | {"ZLEXCOUNT", "ZRANGE", "ZRANGEBYLEX", "ZREM", "ZSCORE"}
)
_MARKS: Final = ("NOPERM", "no permission", "No permission", "can't run this command", "can't access")

# The key is made and removed by the script alone: if it exists before, it is somebody's, and nothing is tried on it.
# A replica refuses the first write; that answer goes on as the error that it is.
_TRY: Final = Script(
    "try_rights",
    """
if redis.pcall('EXISTS', KEYS[1]) == 1 then return {} end
local refused, is_replica = {}, false
local function try(line)
    local command = {}
    for word in string.gmatch(line, '%S+') do command[#command + 1] = word end
    table.insert(command, 2, KEYS[1])
    local answer = redis.pcall(unpack(command))
    if type(answer) ~= 'table' or not answer.err then return end
    is_replica = is_replica or string.find(tostring(answer.err), 'READONLY', 1, true) ~= nil
    refused[#refused + 1] = command[1] .. '|' .. tostring(answer.err)
end
try(ARGV[1])
if #refused == 0 then
    for index = 2, #ARGV do try(ARGV[index]) end
    redis.pcall(ARGV[1], KEYS[1])
end
if is_replica then return redis.error_reply("READONLY You can't write against a read only replica.") end
return refused
""",
)


def trial(scripts: Iterable[Script], key: bytes, plain: Iterable[str] = ()) -> ScriptCall:
    """Return the call that tries every command of `scripts`, and `plain` ones, on `key`, which must hold nothing."""
    commands = set(plain).union(*(script.commands() for script in scripts)) & ARGUMENTS.keys()
    removal = "DEL" if "DEL" in commands and "UNLINK" not in commands else "UNLINK"
    lines = [f"{command} {ARGUMENTS[command]}" for command in sorted(commands - {removal})]
    return ScriptCall(_TRY, [key], [removal, *lines])


def refuse_missing_rights(answer: Sequence[Any], key: bytes) -> None:
    """Raise StoreUnavailable, naming the commands, when the trial's answer tells of missing rights."""
    reasons = [text.decode(errors="replace").split("|", 1) for text in answer]
    missing = [(command, why) for command, why in reasons if any(mark in why for mark in _MARKS)]
    if missing:
        names = ", ".join(command for command, _ in missing)
        grants = " ".join(f"+{command.lower()}" for command, _ in missing)
        keys = key.decode(errors="replace")
        raise StoreUnavailable(
            f"the redis user may not run {names} on keys like {keys!r} ({missing[0][1]}): "
            f"grant them with ACL SETUSER … {grants}, and the keys of the prefix with ~PREFIX*"
        )
