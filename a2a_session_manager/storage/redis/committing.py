"""Commits on their way: from the queue in one batch to the servers, and their replies back as receipts."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Hashable, Mapping, Sequence, Set
from functools import partial
from typing import Any, Final

from a2a_session_manager.concurrency.cancellation import QueuedWrite
from a2a_session_manager.exceptions import SessionManagerError, SessionNotFound
from a2a_session_manager.identifiers import shown
from a2a_session_manager.statistics import StoreStatistics
from a2a_session_manager.storage.batching import CommitQueue
from a2a_session_manager.storage.busy_keys import BUSY, BusyKeys
from a2a_session_manager.storage.commit_records import EncodedCommit, EventsKnown, Receipt
from a2a_session_manager.storage.observer import QueueObserver
from a2a_session_manager.storage.records import SessionKey
from a2a_session_manager.storage.redis.activity_entries import ActivityEntries, EntryMove, Moved
from a2a_session_manager.storage.redis.commit_calls import commit_call
from a2a_session_manager.storage.redis.connections import Connections
from a2a_session_manager.storage.redis.errors import SlotMoving
from a2a_session_manager.storage.redis.expiry import Expiry
from a2a_session_manager.storage.redis.halves import Halves
from a2a_session_manager.storage.redis.keys import SessionKeys
from a2a_session_manager.storage.redis.locating import Answer, CallAt, Found, Locator
from a2a_session_manager.storage.redis.reaper import Reaper
from a2a_session_manager.storage.redis.receipts import receipt_of, receipts_of_appends
from a2a_session_manager.storage.redis.script import Call, ScriptCall
from a2a_session_manager.storage.redis.wire import Sent

_log = logging.getLogger("a2a_session_manager.storage.redis")

# The commits of each session, in their order.
Batch = Mapping[SessionKey, Sequence[EncodedCommit]]
# The receipts and errors of each session's commits, in their order.
Answers = dict[SessionKey, Sequence[Any]]
# Begins a task that ends before the store is closed.
Begun = Callable[[Coroutine[Any, Any, Answers]], asyncio.Task[Answers]]

# How long a session waits for a cluster that moves its slot, beside the others; a server that does not answer is an
# error of the commit at once.
_SLOT_SECONDS: Final = 10.0
_SLOT_MOVES: Final = "the redis cluster was moving the slot of this session"


class Committer:
    """Sends commits that wait together in one round trip, those of one session in one call of the script."""

    def __init__(
        self,
        connections: Connections,
        locator: Locator,
        activity: ActivityEntries,
        expiry: Expiry,
        reaper: Reaper,
        begun: Begun,
    ) -> None:
        self._connections = connections
        self._activity = activity
        self._locator = locator
        self._expiry = expiry
        self._ttl = expiry.ttl
        self._reaper = reaper
        self._begun = begun
        self._queues: dict[Hashable, CommitQueue] = {}  # by node: one that is away holds up no other
        self._observer: QueueObserver | None = None

    def commit(self, key: SessionKey, commit: EncodedCommit) -> QueuedWrite[Receipt]:
        """Queue a commit; see `Backend.commit`."""
        node = self._connections.node_of(self._locator.keys_of(key).tree) if self._connections.has_nodes else ""
        queue = self._queues.get(node)
        if queue is None:
            busy = BusyKeys(seconds=_SLOT_SECONDS, message=_SLOT_MOVES, log=_log_busy)
            queue = self._queues[node] = CommitQueue(self.send, keys=busy, policy=Halves())
            queue.observer = self._observer
        return queue.put(key, commit, commit.size)

    def observe(self, observer: QueueObserver) -> None:
        """Tell `observer` what the queues of all nodes do."""
        self._observer = observer
        for queue in self._queues.values():
            queue.observer = observer

    def statistics(self) -> StoreStatistics:
        """Return what the queues of all nodes have done and hold."""
        parts = [queue.statistics() for queue in list(self._queues.values())]
        return StoreStatistics(
            commits=sum(part.commits for part in parts),
            batches=sum(part.batches for part in parts),
            largest_batch=max((part.largest_batch for part in parts), default=0),
            retries=sum(part.retries for part in parts),
            commits_waiting=sum(part.commits_waiting for part in parts),
            commits_in_flight=sum(part.commits_in_flight for part in parts),
        )

    def send(self, batch: Batch) -> asyncio.Task[Answers]:
        """Send a batch; the task returns what each session's commits came to."""
        if _log.isEnabledFor(logging.DEBUG):
            _log.debug("a batch: %d commits to %d sessions", sum(map(len, batch.values())), len(batch))
        sent_again: set[SessionKey] = set()

        def call_at(keys: SessionKeys) -> ScriptCall:
            return commit_call(keys, batch[keys.key], self._ttl, partial(sent_again.add, keys.key))

        sessions = list(map(self._locator.keys_of, batch))
        moves = self._activity.moves(sessions, batch)
        calls: list[Call] = [*self._activity.calls(moves), *map(call_at, sessions)]
        # Here, and not in the task: until that runs, the server has done the work, and nobody waited for it.
        sent = None if moves and self._connections.has_nodes else self._connections.send_now(calls)
        task = self._begun(self._answers(batch, sessions, call_at, moves, calls, sent, sent_again))
        if sent is not None:
            task.add_done_callback(sent.drop)  # the task may be cancelled before it begins, as when a loop ends
        return task

    async def settled(self) -> None:
        """Wait until all commits that were queued on this loop are answered."""
        for queue in list(self._queues.values()):
            await queue.aclose()

    async def _answers(
        self,
        batch: Batch,
        sessions: Sequence[SessionKeys],
        call_at: CallAt,
        moves: Sequence[EntryMove],
        calls: Sequence[Call],
        sent: Sent | None,
        sent_again: Set[SessionKey],
    ) -> Answers:
        moved, replies = await self._replies(moves, calls, sent)
        if all(type(reply) is bytes for reply in replies):
            answers: Answers = {
                key: receipts_of_appends(reply, commits)
                for (key, commits), reply in zip(batch.items(), replies, strict=True)
            }
        else:
            found = await self._locator.follow(sessions, call_at, replies, is_write=True)
            if moves:
                await self._activity.move_elsewhere(moves, [each.keys for each in found if isinstance(each, Found)])
            answers = {
                key: await self._answers_of_session(key, commits, answer)
                for (key, commits), answer in zip(batch.items(), found, strict=True)
            }
        if moved:
            await self._activity.move_back(moved, answers)
        for key in sent_again:
            answers[key] = list(map(_sent_before, answers[key]))
        return answers

    async def _replies(
        self, moves: Sequence[EntryMove], calls: Sequence[Call], sent: Sent | None
    ) -> tuple[Sequence[Moved], Sequence[Any]]:
        """Run the calls of a batch, the first of which make `moves`; return what was moved, and the other replies.

        One server runs them in their order. In a cluster, entries of the index have other nodes.
        """
        if moves and self._connections.has_nodes:
            moved = await self._activity.move(moves)
            return moved, await self._connections.run_many(calls[len(moves) :], skips_moving=True)
        replies = await self._connections.run_many(calls, sent, skips_moving=True)
        return self._activity.take(moves, replies[: len(moves)]), replies[len(moves) :]

    async def _answers_of_session(
        self, key: SessionKey, commits: Sequence[EncodedCommit], answer: Answer
    ) -> Sequence[Any]:
        if answer is None:
            return [SessionNotFound(key.id) for _ in commits]
        if isinstance(answer, SlotMoving):
            return [BUSY] * len(commits)
        if isinstance(answer, SessionManagerError):
            return [answer] * len(commits)
        if isinstance(answer.reply, bytes):
            return receipts_of_appends(answer.reply, commits)
        _, deadline, receipts = answer.reply
        if deadline:
            try:
                self._reaper.look_after(await self._expiry.refresh(answer.keys, deadline))
            except SessionManagerError as error:
                return [error] * len(commits)
        return [receipt_of(receipt, key, commit) for receipt, commit in zip(receipts, commits, strict=True)]


def _log_busy(key: SessionKey, seconds: float) -> None:
    _log.warning("session %s has waited for %.1f s: the cluster moves its slot", shown(key.id), seconds)


def _sent_before(answer: Any) -> Any:
    """Return the answer to a commit that an earlier try, whose answer was lost, may have made."""
    if isinstance(answer, EventsKnown):
        answer.was_sent_before = True
    return answer._replace(was_sent_before=True) if isinstance(answer, Receipt) else answer
