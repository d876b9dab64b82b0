"""Trees that were lost: what is left of their sessions tells of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from a2a_session_manager.storage.redis.keys import SessionKeys
from a2a_session_manager.storage.redis.script import Command

COUNT_OF_COMMANDS: Final = 5


def commands(keys: SessionKeys) -> list[Command]:
    """Return the commands, for one round trip, whose answers `is_lost` takes.

    In this order: a tree goes before the word that a cascade took a session along, and that one before the session's
    keys. The last tells of a tree that was made meanwhile.
    """
    return [
        ("EXISTS", keys.tree),
        ("EXISTS", *keys.of_root),
        ("HEXISTS", keys.gone, keys.key.id),
        ("EXISTS", *keys.all_of_session),
        ("EXISTS", keys.tree),
    ]


def is_lost(keys: SessionKeys, answers: Sequence[int]) -> bool:
    """Tell whether the session's tree was lost: its root is there, or what is below it and no cascade took along."""
    had_tree, has_root, was_taken, remains, has_tree = answers
    return not had_tree and not has_tree and bool(has_root or (remains and not was_taken and not keys.is_root))
