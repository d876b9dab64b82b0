"""The Lua scripts, one for each primitive; their texts lie in the folder `lua`, with what they share."""

from __future__ import annotations

from importlib.resources import files
from typing import Final

from a2a_session_manager.storage.redis.script import Script

_FOLDER = files("a2a_session_manager.storage.redis") / "lua"


def _script(*parts: str, quick: tuple[str, ...] = ()) -> Script:
    return Script(parts[-1], "\n".join((_FOLDER / f"{part}.lua").read_text() for part in (*quick, "common", *parts)))


COMMIT: Final = _script("ledger", "commit", quick=("append",))
RECALL: Final = _script("ledger", "recall")
CREATE_ROOT: Final = _script("ledger", "birth", "create_root")
CREATE_CHILD: Final = _script("ledger", "birth", "create_child")
CLAIM: Final = _script("claim")
FORBID: Final = _script("forbid")
RELEASE: Final = _script("release")
LOAD: Final = _script("load")
EVENTS: Final = _script("events")
READ_LOG: Final = _script("read_log")
CHILDREN: Final = _script("children")
TREE: Final = _script("tree")
TOTALS: Final = _script("totals")
LINEAGE: Final = _script("lineage")
DELETE: Final = _script("ledger", "delete")
SWEEP: Final = _script("sweep")
BURY: Final = _script("bury")
REFRESH: Final = _script("refresh")
TOUCH_LOCATOR: Final = _script("touch_locator")
LISTEN: Final = _script("listen")

ALL: Final = tuple(value for value in list(globals().values()) if isinstance(value, Script))
