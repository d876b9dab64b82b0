"""The Lua scripts, one for each primitive; their texts lie in the folder `lua`, with what they share."""

from __future__ import annotations

from pkgutil import get_data
from typing import Final

from a2a_session_manager.storage.redis.script import Script


def _text(part: str) -> str:
    # By the loader, as modules are read: whoever opens a store on an event loop imports this there.
    data = get_data(__package__ or "", f"lua/{part}.lua")
    assert data is not None, f"lua/{part}.lua is missing: install the package again"
    return data.decode()


def _script(*parts: str, quick: tuple[str, ...] = ()) -> Script:
    return _joined("scopes", *quick, "clock", "common", *parts)


def _short_script(*parts: str) -> Script:
    """Return a script that works on no session, only on the index."""
    return _joined("clock", *parts)


def _joined(*parts: str) -> Script:
    return Script(parts[-1], "\n".join(map(_text, parts)))


# What creations need whose commit brings values alone; and what every script needs that makes all kinds of commits.
_FIRST_COMMIT: Final = ("first_commit", "budget_scopes")
_ALL_RULES: Final = ("hiding", "leases", "compactions", "responses", "spending", "commit_rules")
COMMIT_RULES: Final = (*_FIRST_COMMIT, *_ALL_RULES)
STEP_RULES: Final = ("responses", "budget_scopes", "spending")

COMMIT: Final = _script(*COMMIT_RULES, "commit", quick=("append",))
RECALL: Final = _script(*COMMIT_RULES, "recall")
CREATE_ROOT: Final = _script(*_FIRST_COMMIT, "creation", "root_of_values", *_ALL_RULES, "create_root")
CREATE_CHILD: Final = _script(
    *_FIRST_COMMIT, "creation", "child_creation", "child_of_values", *_ALL_RULES, "create_child"
)
FORK: Final = _script(*_FIRST_COMMIT, "pages", "creation", "child_creation", "fork")
CLAIM: Final = _script("claim")
FORBID: Final = _script("refusing", "forbid")
RELEASE: Final = _script("release")
LOAD: Final = _script("pages", "load")
LOAD_UNTIL: Final = _script("pages", "load_until")
TAIL: Final = _script("pages", "tail")
COMPACTED: Final = _script("pages", "compactions", "compacted")
EVENTS: Final = _script("pages", "events")
FIND_EVENTS: Final = _script("pages", "find_events")
READ_LOG: Final = _script("pages", "read_log")
CHILDREN: Final = _script("children")
TREE: Final = _script("tree")
TOTALS: Final = _script("totals")
LINEAGE: Final = _script("lineage")
DELETE: Final = _script(*COMMIT_RULES, "refusing", "delete")
REMOVE_KEYS: Final = _script("remove_keys")
REMOVE_EXPIRED: Final = _script("refusing", "budget_scopes", "spending", "remove_expired")
STEP_BUDGET: Final = _script(*STEP_RULES, "step_budget", quick=("short_step",))
REFRESH: Final = _script("refresh")
TOUCH_LOCATOR: Final = _script("touch_locator")
KEEP: Final = _short_script("keep")
UNLIST: Final = _script("entries", "unlist")
LIST: Final = _short_script("entries", "list")
MOVE: Final = _short_script("entries", "move")
PUT_BACK: Final = _short_script("entries", "put_back")
SETTLE: Final = _short_script("entries", "settle")
COMPLETE: Final = _short_script("entries", "complete")
PAGE: Final = _short_script("entries", "page")
KEEP_LEASES: Final = _joined("clock", "leases", "keep_leases")
LISTEN: Final = _script("listen")

ALL: Final = tuple(value for value in list(globals().values()) if isinstance(value, Script))
# Not one of those whose rights are tried before the first write: who may not run MEMORY is told no sizes, and that is
# all.
SIZES: Final = _short_script("sizes")
