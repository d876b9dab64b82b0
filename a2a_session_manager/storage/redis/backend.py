"""RedisBackend: the primitives over Redis; commits that wait together leave in one round trip."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Hashable, Mapping, Sequence, Set
from contextvars import Context
from functools import partial
from typing import Any, Final, TypeVar

from a2a_session_manager.concurrency.cancellation import QueuedWrite
from a2a_session_manager.exceptions import CorruptSession, SessionManagerError, SessionNotFound
from a2a_session_manager.identifiers import shown
from a2a_session_manager.protocols import SessionPage
from a2a_session_manager.storage import paging
from a2a_session_manager.storage.backend import Backend
from a2a_session_manager.storage.batching import BUSY, CommitQueue
from a2a_session_manager.storage.records import (
    Creation,
    EncodedCommit,
    EventsKnown,
    Guard,
    LoadedSession,
    LogPage,
    Receipt,
    SessionKey,
    TreeNode,
    TreeTotals,
)
from a2a_session_manager.storage.redis import scripts
from a2a_session_manager.storage.redis.commits import (
    commit_args,
    commit_keys,
    receipt_of,
    receipts_of_appends,
)
from a2a_session_manager.storage.redis.connections import Connections
from a2a_session_manager.storage.redis.creating import Creator
from a2a_session_manager.storage.redis.deleting import Deleter
from a2a_session_manager.storage.redis.errors import SlotMoving
from a2a_session_manager.storage.redis.expiry import Expiry
from a2a_session_manager.storage.redis.following import Followers
from a2a_session_manager.storage.redis.heads import creation_of
from a2a_session_manager.storage.redis.index import Index
from a2a_session_manager.storage.redis.keys import SessionKeys
from a2a_session_manager.storage.redis.listing import Listing
from a2a_session_manager.storage.redis.locating import Answer, CallAt, Found, Locator, LookupAttempt
from a2a_session_manager.storage.redis.reaper import Reaper
from a2a_session_manager.storage.redis.script import ScriptCall, Value
from a2a_session_manager.storage.redis.session_reader import Reader
from a2a_session_manager.storage.redis.wire import Sent

_log = logging.getLogger("a2a_session_manager.storage.redis")

ResultT = TypeVar("ResultT")
# Receipts and errors of each session's commits, in their order.
Answers = dict[SessionKey, Sequence[Any]]

# How long a store that is closed waits for what was asked for before: a server may hang.
_CLOSE_SECONDS: Final = 2.5

# How long a session waits for a cluster that moves its slot, beside the others; a server that does not answer is an
# error of the commit at once.
_SLOT_SECONDS: Final = 10.0
_SLOT_MOVES: Final = "the redis cluster was moving the slot of this session"


class RedisBackend(Backend):
    """Sessions on Redis, for any number of processes and machines."""

    def __init__(self, connections: Connections, *, prefix: str, ttl: int) -> None:
        self._connections = connections
        self._prefix = prefix
        self._ttl = ttl  # milliseconds, 0 for ever
        self._tasks: set[asyncio.Task[Any]] = set()
        index = Index(connections, prefix, ttl)
        self._locator = Locator(connections, prefix, index)
        self._reaper = reaper = Reaper(connections, index, self._begun)
        self._expiry = Expiry(connections, index, ttl)
        self._reader = Reader(connections, self._locator, reaper)
        self._creator = Creator(connections, self._locator, index, self._expiry, reaper)
        self._deleter = Deleter(connections, self._locator, index, self._reader, reaper)
        self._listing = Listing(index, reaper)
        self._followers = Followers(connections, self._locator)
        self._queues: dict[Hashable, CommitQueue] = {}  # by node: one that is away holds up no other

    @property
    def place(self) -> object:
        """Servers, database and prefix, or the client that was handed in and the prefix."""
        return RedisBackend, self._connections.place, self._prefix

    @property
    def shown_place(self) -> str:
        return f"{self._connections.shown_place} key_prefix={shown(self._prefix)}"

    def create(self, key: SessionKey, creation: Creation, commit: EncodedCommit) -> asyncio.Task[Receipt]:
        return self._begun(self._creator.create(key, creation, commit))

    def commit(self, key: SessionKey, commit: EncodedCommit) -> QueuedWrite[Receipt]:
        node = self._connections.node_of(self._locator.keys_of(key).tree) if self._connections.has_nodes else ""
        queue = self._queues.get(node)
        if queue is None:
            queue = self._queues[node] = CommitQueue(
                self._start_batch, busy_seconds=_SLOT_SECONDS, busy_message=_SLOT_MOVES, overlaps=True
            )
        return queue.put(key, commit, commit.size)

    def delete(self, key: SessionKey, creation_id: str, *, cascade: bool, guard: Guard | None) -> asyncio.Task[None]:
        deleting = self._deleter.delete(key, creation_id, cascade=cascade, guard=guard)
        return self._begun(deleting)

    async def creation_id_of(self, key: SessionKey) -> str | None:
        try:
            return await super().creation_id_of(key)
        except CorruptSession:
            # What has lost a part can be deleted; what is of a newer release is somebody's good session.
            keys, line = await self._reader.line(key)
            [version] = await self._connections.read_many([("HGET", keys.head, "v")])
            if line is None or version not in (None, b"1"):
                raise
            return creation_of(line)

    async def load(
        self, keys: Sequence[SessionKey], *, last: int | None, whole_head: bool
    ) -> list[LoadedSession | None]:
        return await self._reader.load(keys, last=last, whole_head=whole_head)

    async def read_log(self, key: SessionKey, *, after: int, limit: int, max_bytes: int) -> LogPage | None:
        return await self._reader.read_log(key, after=after, limit=limit, max_bytes=max_bytes)

    async def children(self, key: SessionKey, *, cursor: str | None, limit: int) -> SessionPage | None:
        return await self._reader.children(key, after=paging.ordinal_of(cursor), limit=limit)

    async def tree(self, key: SessionKey) -> list[TreeNode] | None:
        return await self._reader.tree(key)

    async def tree_totals(self, key: SessionKey) -> TreeTotals | None:
        return await self._reader.tree_totals(key)

    async def list_page(
        self, namespace: str, *, prefix: str, cursor: str | None, limit: int, roots_only: bool
    ) -> SessionPage:
        return await self._listing.page(namespace, prefix=prefix, cursor=cursor, limit=limit, roots_only=roots_only)

    async def wait(self, key: SessionKey, creation_id: str, revision: int) -> None:
        await self._followers.wait(key, creation_id, revision)

    async def aclose(self) -> None:
        self.is_closed = True
        try:
            async with asyncio.timeout(_CLOSE_SECONDS):
                await self._settled()
        except TimeoutError:
            _log.warning("redis did not answer within %g s of closing: what is under way fails", _CLOSE_SECONDS)
            await self._connections.aclose(waits=False)  # what is left fails at once
            await self._settled()
        await self._connections.aclose()

    async def _settled(self) -> None:
        """Wait until all that was asked for on this loop is answered."""
        for queue in list(self._queues.values()):
            await queue.aclose()
        loop = asyncio.get_running_loop()
        while under_way := {task for task in self._tasks if task.get_loop() is loop}:
            await asyncio.wait(under_way)

    def _begun(self, work: Coroutine[Any, Any, ResultT], sent: Sent | None = None) -> asyncio.Task[ResultT]:
        """Begin what `aclose` waits for; `sent`: what it is to hear, which is dropped if it ends before."""
        # In an empty context: what a caller has set in its own must not stick to everybody's writes.
        task = asyncio.get_running_loop().create_task(work, context=Context())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard if sent is None else partial(self._ended, sent))
        return task

    def _ended(self, sent: Sent, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        sent.drop()  # cancelled before it began, as when a loop ends

    def _start_batch(self, batch: Mapping[SessionKey, Sequence[EncodedCommit]]) -> asyncio.Task[Answers]:
        """Send a batch, the commits of one session in one call; the task returns the answers of each."""
        if _log.isEnabledFor(logging.DEBUG):
            _log.debug("a batch: %d commits to %d sessions", sum(map(len, batch.values())), len(batch))
        sent_again: set[SessionKey] = set()
        calls_at = [
            partial(_commit_call, commits=commits, ttl=self._ttl, note_sent_again=partial(sent_again.add, key))
            for key, commits in batch.items()
        ]
        # Here, and not in the task: until that runs, the server has done the work, and nobody waited for it.
        look = self._locator.begin(list(batch), calls_at)
        return self._begun(self._answers(batch, calls_at, look, sent_again), look.sent)

    async def _answers(
        self,
        batch: Mapping[SessionKey, Sequence[EncodedCommit]],
        calls_at: Sequence[CallAt],
        look: LookupAttempt,
        sent_again: Set[SessionKey],
    ) -> Answers:
        found = await self._locator.ask_many(list(batch), calls_at, look, is_write=True)
        answers: Answers = {}
        for (key, commits), answer in zip(batch.items(), found, strict=True):
            if isinstance(answer, Found) and not isinstance(answer.reply, bytes) and answer.reply[1]:
                answer = await self._refreshed(answer, answer.reply[1])
            answers[key] = _lane_answers(key, commits, answer)
            if key in sent_again:
                answers[key] = list(map(_sent_before, answers[key]))
        return answers

    async def _refreshed(self, found: Found, deadline: int) -> Answer:
        try:
            self._reaper.look_after(await self._expiry.refresh(found.keys, deadline))
        except SessionManagerError as error:
            return error
        return found


def _lane_answers(key: SessionKey, commits: Sequence[EncodedCommit], answer: Answer) -> Sequence[Any]:
    if answer is None:
        return [SessionNotFound(key.id) for _ in commits]
    if isinstance(answer, SlotMoving):
        return [BUSY] * len(commits)
    if isinstance(answer, SessionManagerError):
        return [answer] * len(commits)
    if isinstance(answer.reply, bytes):
        return receipts_of_appends(answer.reply, commits)
    return [receipt_of(receipt, key, commit) for receipt, commit in zip(answer.reply[2], commits, strict=True)]


def _sent_before(answer: Any) -> Any:
    """Return the answer to a commit that an earlier try, whose answer was lost, may have made."""
    if isinstance(answer, EventsKnown):
        answer.was_sent_before = True
    return answer._replace(was_sent_before=True) if isinstance(answer, Receipt) else answer


def _commit_call(
    keys: SessionKeys, *, commits: Sequence[EncodedCommit], ttl: int, note_sent_again: Callable[[], object]
) -> ScriptCall:
    arguments: list[Value] = [keys.key.id, f"{keys.is_root:d} {ttl} {len(commits)}"]
    for commit in commits:
        arguments += commit_args(commit)
    return ScriptCall(scripts.COMMIT, commit_keys(keys, commits), arguments, keys.key.id, note_sent_again)
