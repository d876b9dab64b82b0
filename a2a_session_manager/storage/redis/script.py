"""A Lua script and a call of it, as they travel to the server."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from hashlib import sha1
from typing import NamedTuple

Value = bytes | str | int
Command = tuple[Value, ...]

_CALL = re.compile(r"redis\.p?call\(\s*['\"](\w+)['\"]")


@dataclass(frozen=True, slots=True)
class Script:
    """A Lua script; `sha` is the name by which a server that has seen it knows it."""

    name: str
    source: str
    sha: str = field(init=False)

    def __post_init__(self) -> None:
        digest = sha1(self.source.encode(), usedforsecurity=False).hexdigest()
        object.__setattr__(self, "sha", digest)

    def commands(self) -> set[str]:
        """Return the names of the commands that the script calls."""
        return {name.upper() for name in _CALL.findall(self.source)}


class ScriptCall(NamedTuple):
    """One run of a script; `session_id` is for the error that says which session is damaged.

    `note_sent_again` is called before another try, when the outcome of the one before is not known.
    """

    script: Script
    keys: Sequence[bytes]
    args: Sequence[Value]
    session_id: str = ""
    note_sent_again: Callable[[], object] | None = None

    def by_sha(self) -> Command:
        """Return the command for a server that knows the script."""
        return ("EVALSHA", self.script.sha, len(self.keys), *self.keys, *self.args)

    def by_source(self) -> Command:
        """Return the command for any server; it knows the script afterwards."""
        return ("EVAL", self.script.source, len(self.keys), *self.keys, *self.args)


class PlainCall(NamedTuple):
    """A plain command that is sent along with scripts: on the server it costs a tenth of what a script does."""

    command: Command
    script: None = None
    session_id: str = ""
    note_sent_again: Callable[[], object] | None = None

    def by_sha(self) -> Command:
        """Return the command: every server knows it."""
        return self.command

    def by_source(self) -> Command:
        """Return the same."""
        return self.command


Call = ScriptCall | PlainCall


@dataclass(frozen=True, slots=True)
class PackedCommands:
    """Commands as they travel, packed once for as often as they are sent."""

    data: bytes
    count: int


def packed(commands: Sequence[Command]) -> PackedCommands:
    """Pack commands, as each connection of redis-py would."""
    return PackedCommands(b"".join(map(_packed_one, commands)), len(commands))


def encoded(command: Command) -> Command:
    """Return a command whose texts, but for its name, are bytes: a client may have an encoding of its own."""
    name, *values = command
    return (name, *[value.encode() if isinstance(value, str) else value for value in values])


def first_by_source(calls: Sequence[Call]) -> list[Command]:
    """Return calls of which the first of each script brings its source."""
    first = {_sha(call): call for call in reversed(calls)}
    return [call.by_source() if first[_sha(call)] is call else call.by_sha() for call in calls]


def by_source(calls: Sequence[Call]) -> list[Command]:
    """Return calls that bring their sources, each for itself."""
    return [call.by_source() for call in calls]


def _packed_one(command: Command) -> bytes:
    # In one go, which takes two thirds of the time. hiredis would take less, but redis-py runs without it, too.
    lengths_and_values: list[bytes | int] = []
    for value in command:
        data = value if isinstance(value, bytes) else str(value).encode()
        lengths_and_values.append(len(data))
        lengths_and_values.append(data)
    return (b"*%d\r\n" + b"$%d\r\n%b\r\n" * len(command)) % (len(command), *lengths_and_values)


def _sha(call: Call) -> str:
    return "" if call.script is None else call.script.sha
