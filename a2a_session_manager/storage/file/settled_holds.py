"""Holds that logs say are settled go out of the file of holds, before such a log goes."""

from __future__ import annotations

from collections.abc import Sequence

from a2a_session_manager.storage.file.log import LogFile
from a2a_session_manager.storage.file.tree import TreeEntry, TreeFile


def drop_settled(tree: TreeFile, purged: Sequence[tuple[TreeEntry, LogFile]]) -> None:
    """Forget the settled holds of sessions whose logs are about to go; the others count until they are voided.

    The tree and the logs are held. A root that is gone takes all budgets with it.
    """
    if not tree.budgets:
        return
    root_creation_id = tree.sessions[tree.root.id].creation_id
    holds = tree.holds.stored(root_creation_id)
    over = set()
    for entry, log in purged:
        own = [hold for hold in holds.values() if hold.creation_id == entry.creation_id]
        settled = log.settled({hold.id: hold.made_at for hold in own})
        over |= {hold.key for hold in own if hold.id in settled}
    if over:
        tree.holds.put({key: hold for key, hold in holds.items() if key not in over})
