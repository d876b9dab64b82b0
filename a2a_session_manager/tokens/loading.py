"""Vocabularies are loaded once per process, by a thread of their own, however many ask at once and from where."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from a2a_session_manager.exceptions import SessionManagerError
from a2a_session_manager.tokens.vocabulary import BUNDLED, at_hand, downloaded

if TYPE_CHECKING:
    from tiktoken import Encoding

# After a vocabulary was found nowhere, it is not looked for again for so long: it may yet come into tiktoken's cache.
RETRY_SECONDS = 60.0


@dataclass(frozen=True)
class LoadOutcome:
    """What a load came to: an encoding, an error, or neither where this machine has no such vocabulary."""

    encoding: Encoding | None = None
    error: SessionManagerError | None = None


@dataclass(frozen=True)
class _Attempt:
    result: Future[LoadOutcome] = field(default_factory=Future)
    began: float = field(default_factory=time.monotonic)


_NOT_IN_TIME = LoadOutcome()
# This text has something for every part of a pattern.
_SAMPLE = "Hello don't 123 \n\n  x!?\r\n\t y"
_ready: dict[str, Encoding] = {}
_attempts: dict[tuple[str, bool], _Attempt] = {}
# The lock is held for a few dict operations only, never while anything loads, so that the event loop may take it too.
_lock = threading.Lock()


def ready(name: str) -> Encoding | None:
    """Return the encoding if it has been loaded; this never waits."""
    return _ready.get(name)


def load(name: str, *, download_timeout: float | None = None) -> LoadOutcome:
    """Return the encoding, loading it first when nobody has. This blocks, so it is not for the event loop.

    The encoding is downloaded only with a `download_timeout`, which is in seconds, and only when this machine has it
    nowhere.
    """
    outcome = _attempt(name).result.result()
    if download_timeout is None or outcome.encoding:
        return outcome
    attempt = _attempt(name, download=True)
    try:
        return attempt.result.result(_left(attempt, download_timeout))
    except TimeoutError:
        return _NOT_IN_TIME


async def load_async(name: str, *, download_timeout: float | None = None) -> LoadOutcome:
    """Return what `load` returns, without blocking and without a thread of the loop's executor."""
    outcome = await _awaited(_attempt(name), None)
    if download_timeout is not None and outcome.encoding is None:
        attempt = _attempt(name, download=True)
        outcome = await _awaited(attempt, _left(attempt, download_timeout))
    if outcome.encoding is not None:
        # A pattern runs a third faster in the thread that used it first, so the event loop's thread uses it here.
        outcome.encoding.encode_ordinary(_SAMPLE)
    return outcome


async def _awaited(attempt: _Attempt, timeout: float | None) -> LoadOutcome:  # noqa: ASYNC109 - the future must go on
    if not attempt.result.done():
        await asyncio.wait([asyncio.wrap_future(attempt.result)], timeout=timeout)
    return attempt.result.result() if attempt.result.done() else _NOT_IN_TIME


def _left(attempt: _Attempt, timeout: float) -> float:
    # The time counts from the beginning of the download: one that hangs holds up its first callers and nobody later.
    return max(0.0, attempt.began + timeout - time.monotonic())


def _attempt(name: str, *, download: bool = False) -> _Attempt:
    with _lock:
        known = _attempts.get((name, download))
        if known is not None and not _is_worth_repeating(name, known):
            return known
        attempt = _attempts[name, download] = _Attempt()
    # A caller that stops waiting must not cancel the load for the others.
    attempt.result.set_running_or_notify_cancel()
    threading.Thread(
        target=_run,
        args=(name, downloaded if download else at_hand, attempt.result),
        name=f"a2a_session_manager {name}",
        daemon=download,  # a download that hangs must not hold up the end of the process
    ).start()
    return attempt


def _is_worth_repeating(name: str, attempt: _Attempt) -> bool:
    if name in BUNDLED or name in _ready or not attempt.result.done():
        return False
    return attempt.began + RETRY_SECONDS < time.monotonic()


def _run(name: str, source: Callable[[str], Encoding | None], result: Future[LoadOutcome]) -> None:
    try:
        encoding = source(name)
    except SessionManagerError as error:
        result.set_result(LoadOutcome(error=error))
        return
    except Exception as error:  # nothing stands above a thread, so every failure is handed to those who wait
        failed = SessionManagerError(f"the vocabulary {name} could not be loaded: {type(error).__name__}: {error}")
        failed.__cause__ = error
        result.set_result(LoadOutcome(error=failed))
        return
    if encoding is not None:
        _ready[name] = encoding
    result.set_result(LoadOutcome(encoding))
