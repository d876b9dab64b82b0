"""Helpers for tests: conversations made and compared, deterministic ids and times, and the contract of stores.

pytest finds the fixtures of `a2a_session_manager.testing.plugin` wherever the package is installed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from a2a_session_manager.exceptions import MissingDependency
from a2a_session_manager.lazy import lazy_names

try:
    import pytest
except ModuleNotFoundError as error:
    raise MissingDependency("pytest", "testing") from error

if TYPE_CHECKING:
    from a2a_session_manager.testing.blocking import blocking_calls_refused
    from a2a_session_manager.testing.contract import StoreContract
    from a2a_session_manager.testing.determinism import SessionClock, ids_numbered
    from a2a_session_manager.testing.transcript import Said, assert_transcript, make_session

__all__ = [
    "Said",
    "SessionClock",
    "StoreContract",
    "assert_transcript",
    "blocking_calls_refused",
    "ids_numbered",
    "make_session",
]

# This comes before the import of the contract, so that a failing assertion in it shows its values.
pytest.register_assert_rewrite(f"{__name__}.contract")

# These are imported when they are asked for: the plugin must load quickly, and StoreContract needs the `testing` extra.
_LAZY = {
    "Said": "a2a_session_manager.testing.transcript",
    "SessionClock": "a2a_session_manager.testing.determinism",
    "StoreContract": "a2a_session_manager.testing.contract",
    "assert_transcript": "a2a_session_manager.testing.transcript",
    "blocking_calls_refused": "a2a_session_manager.testing.blocking",
    "ids_numbered": "a2a_session_manager.testing.determinism",
    "make_session": "a2a_session_manager.testing.transcript",
}

_OF_THE_EXTRA = {"blockbuster", "pytest_asyncio"}


if not TYPE_CHECKING:  # so that type checkers report a name that is not there
    _find, __dir__ = lazy_names(__name__, _LAZY, __all__)
    del __all__

    def __getattr__(name: str) -> Any:
        try:
            return _find(name)
        except ModuleNotFoundError as error:
            if error.name not in _OF_THE_EXTRA:
                raise
            raise MissingDependency(error.name, "testing") from error
