"""Scripts and commands to the servers of a store, by the client of whichever event loop is running."""

from __future__ import annotations

import asyncio
from collections.abc import Hashable, Iterable, Sequence
from typing import Any

from redis.asyncio import RedisCluster

from a2a_session_manager.exceptions import SessionManagerError
from a2a_session_manager.storage.observer import QueueObserver
from a2a_session_manager.storage.redis import clients
from a2a_session_manager.storage.redis.address import RedisAddress
from a2a_session_manager.storage.redis.clients import AnyClient
from a2a_session_manager.storage.redis.errors import translated
from a2a_session_manager.storage.redis.loop_clients import LoopClients, OpenClient
from a2a_session_manager.storage.redis.options import check_options
from a2a_session_manager.storage.redis.pings import ping_primaries
from a2a_session_manager.storage.redis.retry_policy import RetryPolicy
from a2a_session_manager.storage.redis.rights import refuse_missing_rights, trial
from a2a_session_manager.storage.redis.script import Call, Command, PackedCommands, Script, ScriptCall
from a2a_session_manager.storage.redis.wire import Sent


class Connections:
    """Runs scripts and reads, on whichever event loop is running. Errors are those of `exceptions`.

    A client that was handed in is used as it is and stays open; those built for `address` are closed.
    """

    def __init__(
        self,
        address: RedisAddress | None,
        client: AnyClient | None,
        *,
        scripts: Sequence[Script],
        probe_key: bytes,
        plain_commands: Iterable[str] = (),
        retry_policy: RetryPolicy | None = None,
    ) -> None:
        if address is not None:
            check_options(address)
        if client is not None:
            clients.check_client(client)
        self._address = address
        self._handed_in = client
        self.has_nodes = isinstance(client, RedisCluster) or (address is not None and address.kind == "cluster")
        self._trial = trial(scripts, probe_key, plain_commands)
        self._has_rights = False
        self._loop_clients = LoopClients(address, client, retry_policy or clients.retry_policy_for(address, client))
        self._open_now = self._loop_clients.open_now

    @property
    def place(self) -> object:
        """What is equal for two connections to the same data; another client may be one to other servers."""
        return self._handed_in if self._address is None else self._address.place

    @property
    def shown_place(self) -> str:
        """Where the servers are, as a URL without the login."""
        return clients.shown_place(self._handed_in) if self._address is None else self._address.url

    @property
    def open_connections(self) -> int:
        """How many connections are open, as far as the clients tell."""
        return sum(clients.open_connections(opened.client) for opened in list(self._open_now.values()))

    @property
    def retries(self) -> int:
        """How many round trips were made again."""
        return self._loop_clients.retries

    def observe(self, observer: QueueObserver) -> None:
        """Tell `observer` of round trips that are made again."""
        self._loop_clients.observer = observer

    def node_of(self, key: bytes) -> Hashable:
        """Return which node of a cluster serves `key`, as far as is known; `has_nodes` says whether it is one."""
        opened = self._open_now.get(asyncio.get_running_loop())
        return "" if opened is None or opened.cluster is None else clients.node_name(opened.cluster, key)

    async def client(self) -> AnyClient:
        """Return the running loop's client."""
        return (await self._loop_clients.opened()).client

    async def run(self, call: ScriptCall) -> Any:
        """Run a script, which must be harmless to run twice, and return its answer."""
        [answer] = await self.run_many([call])
        if isinstance(answer, Exception):
            raise answer
        return answer

    def send_now(self, calls: Sequence[Call]) -> Sent | None:
        """Send scripts if that takes no waiting: the server runs them while the loop gets to `run_many`."""
        opened = self._ready_now()
        return opened.executor.send_now(calls) if opened is not None else None

    async def run_many(
        self, calls: Sequence[Call], sent: Sent | None = None, *, skips_moving: bool = False
    ) -> list[Any]:
        """Run scripts in one round trip and return, for each, its answer or the error it failed with.

        `sent`: what `send_now` returned for them. `skips_moving`: a call whose slot a cluster is moving is not waited
        for; SlotMoving is its answer.
        """
        if not calls:
            return []
        try:
            opened = self._ready_now() or await self._ready()
            answers = await opened.executor.run(calls, sent, skips_moving=skips_moving)
        except SessionManagerError as error:
            return [error] * len(calls)
        return [
            translated(answer, call.session_id) if isinstance(answer, Exception) else answer
            for call, answer in zip(calls, answers, strict=True)
        ]

    async def read_many(self, commands: Sequence[Command]) -> list[Any]:
        """Send commands that only read, in one round trip, and return their answers; raises the first error.

        What they are, bytes and integers, is what the server says; a client that was handed in may make more of it.
        """
        if not commands:
            return []
        opened = self._ready_now() or await self._ready()
        answers = await opened.executor.read(commands)
        for answer in answers:
            if isinstance(answer, Exception):
                raise translated(answer)
        return answers

    async def read_at_once(self, commands: Sequence[Command]) -> list[Any] | None:
        """Send commands that only read and are run in one step; None where this cannot be, or is refused."""
        answer = await (await self._ready()).executor.read_at_once(commands)
        if isinstance(answer, Exception):
            raise translated(answer)
        answers: list[Any] | None = answer
        return answers

    def send_ahead(self, commands: PackedCommands) -> Sent | None:
        """Send commands if that takes no waiting: the server runs them while the loop gets to `read_in_order`."""
        opened = self._ready_now()
        return opened.executor.send_ahead(commands) if opened is not None else None

    async def read_in_order(self, commands: PackedCommands, sent: Sent | None = None) -> list[Any] | None:
        """Send commands that only read and are run one after the other, among those of others; None if this cannot be.

        `sent`: what `send_ahead` returned for them. The server's errors are among the answers.
        """
        opened = self._ready_now() or await self._ready()
        answer = await opened.executor.read_in_order(commands, sent)
        if isinstance(answer, Exception):
            raise translated(answer)
        answers: list[Any] | None = answer
        return answers

    async def wait(self, channel: bytes, seen: int, seconds: float) -> None:
        """Return when a number above `seen` is published on `channel`, or after `seconds`; early is possible."""
        await (await self._loop_clients.opened()).listener.wait(channel, seen, seconds)

    async def doubtful(self, channel: bytes, seen: int) -> float | None:
        """Return the number above `seen` that `wait` has told of before, and that may be lost, if any."""
        return (await self._loop_clients.opened()).listener.doubtful(channel, seen)

    async def correct(self, channel: bytes, heard: float, current: int) -> None:
        """Take note that there was nothing above `current` after `heard` was published."""
        (await self._loop_clients.opened()).listener.correct(channel, heard, current)

    async def ping(self) -> None:
        """Try the server, as before the first write, and a cluster's every primary.

        Raises StoreUnavailable for one that does not answer, is a replica, or lets us write no more.
        """
        opened = await self._loop_clients.opened()
        await self._check_rights(opened)
        if opened.cluster is not None:
            await ping_primaries(opened.cluster)

    async def aclose(self, *, waits: bool = True) -> None:
        """Stop listening, and close the running loop's client if we built it, within seconds.

        What is asked is answered before, or fails when the server takes its time; at once where `waits` is false.
        """
        await self._loop_clients.aclose(waits=waits)

    def _ready_now(self) -> OpenClient | None:
        """Return what `_ready` would, if that takes no waiting."""
        return self._open_now.get(asyncio.get_running_loop()) if self._has_rights else None

    async def _ready(self) -> OpenClient:
        """Return what belongs to the running loop, once it is known that the server takes our writes.

        Before the first read, too: a replica would answer it, and with what the primary had a while ago.
        """
        opened = await self._loop_clients.opened()
        if not self._has_rights:
            await self._check_rights(opened)
        return opened

    async def _check_rights(self, opened: OpenClient) -> None:
        [answer] = await opened.executor.run([self._trial])
        if isinstance(answer, Exception):
            raise translated(answer)
        refuse_missing_rights(answer, self._trial.keys[0])
        self._has_rights = True
