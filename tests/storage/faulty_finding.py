"""Stores over memory with one planted fault each, in what people find sessions and events by."""

from __future__ import annotations

from tests.storage.faulty import IgnoresTheGuard


class LosesTheUsersTitle(IgnoresTheGuard):
    """What was allowed at a revision is written at a later one."""
