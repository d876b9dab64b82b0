"""A redis-py that lacks one of its private parts, as a later release may when it has renamed it."""

from __future__ import annotations

import inspect
import sys
from typing import Any

import pytest
import redis.client
from redis.asyncio import Connection, ConnectionPool

OURS = "a2a_session_manager."
NEVER_DECODE = "NEVER_DECODE"
# The private parts that `storage/redis/private.py` looks for in the clients that we build.
PARTS = [
    "Connection._writer",
    "Connection._connect",
    "Connection._parser",
    "Connection.is_connected",
    "Connection.can_read",
    "Connection.next_health_check",
    "Connection.health_check_interval",
    "Connection.send_packed_command",
    "Connection.disconnect",
    "ConnectionPool.ensure_connection",
    "ConnectionPool.connection_kwargs",
    "ConnectionPool.connection_class",
    "read_response(disable_decoding=)",
    "get_connection()",
]


def take_away(patch: pytest.MonkeyPatch, part: str) -> None:
    """Hide `Class.name` from the store; redis-py itself still uses it, as if it had renamed it."""
    if part == NEVER_DECODE:
        patch.delattr(redis.client, part)
    elif part == "read_response(disable_decoding=)":
        _refuse_the_option(patch)
    elif part == "get_connection()":
        _want_a_command(patch)
    else:
        owner, _, name = part.partition(".")
        _hide(patch, {"Connection": Connection, "ConnectionPool": ConnectionPool}[owner], name)


def _hide(patch: pytest.MonkeyPatch, owner: Any, hidden: str) -> None:
    usual = owner.__getattribute__

    def found(self: Any, name: str) -> Any:
        if name == hidden and sys._getframe(1).f_globals["__name__"].startswith(OURS):
            raise AttributeError(name)
        return usual(self, name)

    patch.setattr(owner, "__getattribute__", found)


def _refuse_the_option(patch: pytest.MonkeyPatch) -> None:
    usual = Connection.read_response

    async def read_response(self: Any, **options: Any) -> Any:
        if sys._getframe(1).f_globals["__name__"].startswith(OURS):
            assert "disable_decoding" not in options
        return await usual(self, **options)

    patch.setattr(Connection, "read_response", read_response)


def _want_a_command(patch: pytest.MonkeyPatch) -> None:
    """Let a pool require the command that a connection is for, as the one of redis-py 5.2 does."""
    usual: Any = ConnectionPool.get_connection
    is_wanted_already = inspect.signature(usual).parameters["command_name"].default is inspect.Parameter.empty

    async def get_connection(self: Any, command_name: str, *keys: Any, **options: Any) -> Any:
        return await (usual(self, command_name) if is_wanted_already else usual(self))

    def needs_it(self: Any, command_name: str | None = None, *keys: Any, **options: Any) -> Any:
        ours = sys._getframe(1).f_globals["__name__"].startswith(OURS)
        assert command_name is not None or not ours
        return get_connection(self, command_name or "")

    needs_it.__signature__ = inspect.signature(get_connection)  # type: ignore[attr-defined]  # what the store looks at
    patch.setattr(ConnectionPool, "get_connection", needs_it)
