"""Waiting for news of sessions: one poll of the files of all that are followed, for any number of followers.

Other processes cannot wake us, so somebody has to poll. A poll costs two `stat` for each session that is followed;
a session is read when its files have changed, or when somebody has begun to wait for it since the last poll.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from typing import Any, TypeAlias

from a2a_session_manager.exceptions import SessionManagerError
from a2a_session_manager.storage.file.session_reader import SessionReader
from a2a_session_manager.storage.file.store_directory import StoreDirectory
from a2a_session_manager.storage.records import SessionKey

# A creation id and a revision; None for a session that is gone, or cannot be read.
_State: TypeAlias = "tuple[str, int] | None"
_Signature: TypeAlias = "tuple[tuple[int, int, int, int] | None, ...]"

_PAUSE_SECONDS = 0.25
# However many are followed, other processes' events are promised within a second.
_LONGEST_PAUSE_SECONDS = 0.7
_REST = 30  # a pause is at least so many times as long as the poll before it


class Watch:
    """A session that is followed, and what each of those who wait for news has seen of it."""

    __slots__ = ("is_new", "key", "paths", "signature", "waiting")

    def __init__(self, key: SessionKey) -> None:
        self.key = key
        self.waiting: dict[asyncio.Future[None], _State] = {}
        self.is_new = True
        self.paths: Sequence[str] = ()
        self.signature: _Signature = ()

    def has_changed(self) -> bool:
        """Tell whether the session must be read."""
        return self.is_new or _signature(self.paths) != self.signature

    def read(self, directory: StoreDirectory, reader: SessionReader) -> _State:
        """Return how the session stands."""
        self.is_new = False
        log = directory.log(self.key)
        with log:
            root_id = self.key.id if log.creation is None else log.creation.root_id
        tree = directory.tree(SessionKey(self.key.namespace, root_id))
        self.paths = (str(log.path), str(tree.path))
        # It is taken before the session is read: what is written meanwhile shows in the next poll.
        self.signature = _signature(self.paths)
        with suppress(SessionManagerError), reader.existing(self.key) as found:
            if found is not None and found.head is not None:
                return found.head.creation_id, found.head.revision
        return None

    def wake(self, state: _State = None) -> None:
        """Wake those who have seen another state."""
        for news, seen in self.waiting.items():
            if seen != state and not news.done():
                news.set_result(None)


class Watcher:
    """The sessions that are followed on one event loop; a task polls them while there are any."""

    def __init__(
        self,
        directory: StoreDirectory,
        reader: SessionReader,
        hop: Callable[..., Coroutine[Any, Any, Any]],
    ) -> None:
        self._directory = directory
        self._reader = reader
        self._hop = hop
        self._watches: dict[SessionKey, Watch] = {}
        self._task: asyncio.Task[None] | None = None

    async def wait(self, key: SessionKey, creation_id: str, revision: int) -> None:
        """Return when there may be news of a session that was seen in this incarnation, at this revision."""
        watch = self._watches.setdefault(key, Watch(key))
        news: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        watch.waiting[news] = creation_id, revision
        watch.is_new = True
        if self._task is None:
            self._task = asyncio.create_task(self._poll())
        try:
            await news
        finally:
            del watch.waiting[news]
            if not watch.waiting:
                del self._watches[key]
            if not self._watches:
                self._task.cancel()
                self._task = None

    def is_followed(self, key: SessionKey) -> bool:
        return key in self._watches

    def wake(self, key: SessionKey) -> None:
        """Wake those who follow a session that was written to here."""
        if (watch := self._watches.get(key)) is not None:
            watch.wake()

    def wake_all(self) -> None:
        for watch in self._watches.values():
            watch.wake()

    async def _poll(self) -> None:
        pause = _PAUSE_SECONDS
        while True:
            await asyncio.sleep(pause)
            watches = list(self._watches.values())
            try:
                states, seconds = await self._hop(self._poll_once, watches)
            except SessionManagerError:
                self.wake_all()  # the store is closed, or cannot be reached: whoever reads is told
                continue
            for watch, state in states:
                watch.wake(state)
            pause = min(max(_PAUSE_SECONDS, _REST * seconds), _LONGEST_PAUSE_SECONDS)

    def _poll_once(self, watches: Sequence[Watch]) -> tuple[list[tuple[Watch, _State]], float]:
        start = time.thread_time()
        states = [(watch, watch.read(self._directory, self._reader)) for watch in watches if watch.has_changed()]
        return states, time.thread_time() - start


def _signature(paths: Sequence[str]) -> _Signature:
    return tuple(map(_status, paths))


def _status(path: str) -> tuple[int, int, int, int] | None:
    try:
        status = os.stat(path, follow_symlinks=False)
    except OSError:
        return None
    return status.st_dev, status.st_ino, status.st_size, status.st_ctime_ns
