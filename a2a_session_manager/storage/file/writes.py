"""Every write of the file store: queued, and done in worker threads, the commits of one session together."""

from __future__ import annotations

import logging
from collections.abc import Callable, Hashable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

from a2a_session_manager.concurrency.cancellation import QueuedWrite
from a2a_session_manager.exceptions import SessionManagerError, StoreUnavailable
from a2a_session_manager.identifiers import shown
from a2a_session_manager.statistics import StoreStatistics
from a2a_session_manager.storage.batching import CommitQueue, Unsettled
from a2a_session_manager.storage.busy_keys import BUSY, BusyKeys
from a2a_session_manager.storage.commit_records import EncodedCommit, Receipt
from a2a_session_manager.storage.file.committing import commit
from a2a_session_manager.storage.file.existence import MOST_AT_ONCE
from a2a_session_manager.storage.file.handles import BusyError
from a2a_session_manager.storage.file.long_works import LONG, LongWorks
from a2a_session_manager.storage.file.restoring import prepare
from a2a_session_manager.storage.file.store_directory import StoreDirectory
from a2a_session_manager.storage.file.syncing import Syncer, Unsynced
from a2a_session_manager.storage.file.workers import Work, Workers
from a2a_session_manager.storage.observer import QueueObserver
from a2a_session_manager.storage.queued_jobs import QueuedJob
from a2a_session_manager.storage.records import SessionKey

_log = logging.getLogger("a2a_session_manager.storage.file")

BUSY_SECONDS = 5.0
_THREADS = 8
_LONG_THREADS = 32
_MOST_EVENTS_AT_ONCE = 256

# By the session, or by what its work is ordered with.
Answers = dict[Hashable, Sequence[Any]]


class TreeWork(NamedTuple):
    """What is done to a whole session, or to its tree."""

    do: Callable[[], Any]
    is_long: bool


class FileWrites:
    """Two queues, so that making a session holds up no commit: of commits, and of works on whole sessions."""

    def __init__(self, directory: StoreDirectory) -> None:
        self._directory = directory
        self._workers = Workers(_THREADS, name="a2a-session-writes")
        self._long_workers = Workers(_LONG_THREADS, name="a2a-session-long")
        self._syncer = Syncer()
        self._commits = self._new_queue(_is_long_commit)
        self._trees = self._new_queue(_is_long_work)

    def commit(self, key: SessionKey, commit: EncodedCommit) -> QueuedWrite[Receipt]:
        """Queue a commit."""
        return self._commits.put(key, commit, commit.size)

    def change_tree(
        self, ordering_key: tuple[str, SessionKey], do: Callable[[], Any], *, size: int = 0, is_long: bool = False
    ) -> QueuedWrite[Any]:
        """Queue what is done to a whole session or its tree, in the order of those with the same key."""
        return self._trees.put(ordering_key, TreeWork(do, is_long), size)

    def statistics(self) -> StoreStatistics:
        """Return what the queue of commits has done and holds."""
        return self._commits.statistics()

    def observe(self, observer: QueueObserver) -> None:
        """Tell `observer` what the queue of commits does."""
        self._commits.observer = observer

    async def settled(self) -> None:
        """Wait until all that was queued on this loop is done."""
        await self._commits.aclose()
        await self._trees.aclose()

    def close(self) -> None:
        """End the threads; what they have begun is finished."""
        self._workers.close()
        self._long_workers.close()
        self._syncer.close()

    def _new_queue(self, is_long: Callable[[QueuedJob], bool]) -> CommitQueue:
        busy = BusyKeys(
            seconds=BUSY_SECONDS, message=f"{self._directory.path}: another process held the file", log=_log_busy
        )
        return CommitQueue(self._start, keys=LongWorks(self._start_long, busy, is_long))

    def _start(self, batch: Mapping[Hashable, Sequence[Any]]) -> Work[Answers]:
        if _log.isEnabledFor(logging.DEBUG):
            _log.debug("a batch: %d writes to %d files", sum(map(len, batch.values())), len(batch))
        return self._workers.start(partial(self._answers, batch, at_once=True))

    def _start_long(self, batch: Mapping[Hashable, Sequence[Any]]) -> Work[Answers]:
        return self._long_workers.start(partial(self._answers, batch, at_once=False))

    def _answers(self, batch: Mapping[Hashable, Sequence[Any]], *, at_once: bool) -> Answers:
        """Do the works of a batch, in a thread, and return the answers to those of each key."""
        answers: Answers = {}
        try:
            prepare(self._directory)
        except SessionManagerError as error:
            return {key: [error] * len(works) for key, works in batch.items()}
        unsynced = Unsynced(self._syncer, most=self._directory.pool.most)
        for key, works in batch.items():
            unsynced.make_room()
            if isinstance(key, SessionKey):
                do = partial(commit, self._directory, key, works, unsynced, at_once=at_once)
                answer = _answer(do, LONG if at_once else BUSY)
                answers[key] = [answer] * len(works) if isinstance(answer, Exception | Unsettled) else answer
            else:
                answers[key] = [_answer(work.do, BUSY) for work in works]
        unsynced.sync()
        for failed, failure in unsynced.failures.items():
            answers[failed] = [failure] * len(batch[failed])
        return answers


def _is_long_commit(job: QueuedJob) -> bool:
    return job.size > MOST_AT_ONCE or len(job.work.events) > _MOST_EVENTS_AT_ONCE


def _is_long_work(job: QueuedJob) -> bool:
    return bool(job.work.is_long)


def _answer(do: Callable[[], Any], busy: Unsettled) -> Any:
    """Return what a work comes to: a result, or an error, or `busy` when somebody is in its way."""
    try:
        return do()
    except BusyError:
        return busy
    except SessionManagerError as error:
        return error
    except Exception as error:
        unknown = StoreUnavailable(f"the write failed in an unforeseen way ({error!r}): report it, and write again")
        unknown.__cause__ = error
        return unknown


def _log_busy(ordering_key: Any, seconds: float) -> None:
    key = ordering_key if isinstance(ordering_key, SessionKey) else ordering_key[1]
    _log.warning(
        "session %s has waited for %.1f s: a file of it is held elsewhere; after %g s its writes fail",
        shown(key.id), seconds, BUSY_SECONDS,
    )  # fmt: skip
