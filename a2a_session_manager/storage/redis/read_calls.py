"""The calls of the scripts that read one session: which keys they touch, and what they are told."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from a2a_session_manager.models.token_tally import COUNTERS
from a2a_session_manager.storage.heads import BOUNDED_RUNS
from a2a_session_manager.storage.redis import scripts
from a2a_session_manager.storage.redis.keys import SessionKeys
from a2a_session_manager.storage.redis.script import ScriptCall, Value

_COUNTER_NAMES: Final = " ".join(COUNTERS)


def load(keys: SessionKeys, *, last: int | None, whole_head: bool) -> ScriptCall:
    """Return the call that reads a head, with all its runs or few, and its newest `last` visible events."""
    touched = (*keys.core, keys.hidden, keys.runs, keys.unfinished, keys.children, keys.retractions)
    count = -1 if last is None else last
    arguments: list[Value] = [keys.key.id, int(keys.is_root), count, int(whole_head), _COUNTER_NAMES, BOUNDED_RUNS]
    return ScriptCall(scripts.LOAD, touched, arguments, keys.key.id)


def load_until(keys: SessionKeys, *, seq: int | None, last: int) -> ScriptCall:
    """Return the call that reads a head with all that is hidden, and the newest `last` visible events up to `seq`."""
    touched = (*keys.core, keys.hidden, keys.retractions)
    arguments: list[Value] = [keys.key.id, int(keys.is_root), "" if seq is None else seq, last]
    return ScriptCall(scripts.LOAD_UNTIL, touched, arguments, keys.key.id)


def tail(keys: SessionKeys, *, last: int | None) -> ScriptCall:
    """Return the call that reads the newest `last` visible events without the head, None for all."""
    touched = (*keys.core, keys.hidden, keys.retractions)
    arguments: list[Value] = [keys.key.id, int(keys.is_root), -1 if last is None else last]
    return ScriptCall(scripts.TAIL, touched, arguments, keys.key.id)


def compacted(keys: SessionKeys, *, last: int | None) -> ScriptCall:
    """Return the call that reads what a view is made of that is to hold the newest `last` events, None for all."""
    return tail(keys, last=last)._replace(script=scripts.COMPACTED)


def read_log(keys: SessionKeys, *, after: int, limit: int, max_bytes: int) -> ScriptCall:
    """Return the call that reads a page of the log after the seq `after`."""
    touched = (*keys.core, keys.hidden, keys.retractions)
    arguments: list[Value] = [keys.key.id, int(keys.is_root), after, limit, max_bytes]
    return ScriptCall(scripts.READ_LOG, touched, arguments, keys.key.id)


def find_events(keys: SessionKeys, *, event_ids: Sequence[str], max_bytes: int) -> ScriptCall:
    """Return the call that reads events by their ids."""
    arguments: list[Value] = [keys.key.id, int(keys.is_root), max_bytes, *event_ids]
    return ScriptCall(scripts.FIND_EVENTS, (*keys.core, keys.hidden), arguments, keys.key.id)
