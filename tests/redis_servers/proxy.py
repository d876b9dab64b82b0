"""A TCP proxy before a redis-server: it counts what passes, and loses, delays, cuts or swallows it on demand."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Awaitable, Callable
from contextlib import suppress
from types import TracebackType
from typing import Self

Between = Callable[[], Awaitable[None]]
_CHUNK = 65_536


async def _nothing_between() -> None:
    return


class FaultyProxy:
    """Lives on the running event loop, between its `async with` and the end of it.

    Attributes:
        bytes_sent: by clients, handshakes included.
        round_trips: how often a client sent something after it had received a reply, or for the first time.
        dropped: how many replies were lost so far.
        is_black_hole: whether everything that either side sends is swallowed; connections stay open.
        delay: how many seconds everything takes longer, in each direction.
        target_port: where new connections lead to; old ones keep theirs.
    """

    def __init__(self, target_port: int) -> None:
        self.port = 0
        self.bytes_sent = 0
        self.round_trips = 0
        self.dropped = 0
        self.is_black_hole = False
        self.delay = 0.0
        self.target_port = target_port
        self._to_drop = 0
        self._marks: tuple[bytes, ...] = ()
        self._between: Between = _nothing_between
        self._server: asyncio.Server | None = None
        self._lines: dict[_Line, asyncio.Future[None]] = {}

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def open_lines(self) -> int:
        """How many connections of clients are open."""
        return len(self._lines)

    def drop_replies(self, count: int, *marks: bytes, between: Between = _nothing_between) -> None:
        """Lose the next `count` replies to requests that contain one of `marks`; without marks, to scripts.

        The server has executed such a request; `between` runs before the client's connection is closed.
        """
        self._to_drop = count
        self._marks = marks or (b"EVALSHA", b"EVAL\r\n")
        self._between = between

    def cut(self) -> None:
        """Cut all connections."""
        for line in list(self._lines):
            line.cut()

    def half_close(self) -> None:
        """Close the direction to all clients; what they send is still forwarded."""
        for line in list(self._lines):
            line.half_close()

    def reset(self) -> None:
        """Reset all connections (RST)."""
        for line in list(self._lines):
            line.reset()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()
        self.cut()
        await asyncio.gather(*self._lines.values())
        await self._server.wait_closed()

    async def takes_drop(self, request: bytes) -> bool:
        """Tell whether the reply to `request` is to be lost; if so, run `between` first."""
        if self._to_drop == 0 or not any(mark in request for mark in self._marks):
            return False
        self._to_drop -= 1
        self.dropped += 1
        await self._between()
        return True

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        line = _Line(self, writer)
        self._lines[line] = asyncio.get_running_loop().create_future()
        try:
            with suppress(OSError):
                await line.carry(reader, self.target_port)
        finally:
            line.cut()
            self._lines.pop(line).set_result(None)


class _Line:
    """One client's connection and its counterpart to the server."""

    def __init__(self, proxy: FaultyProxy, client: asyncio.StreamWriter) -> None:
        self._proxy = proxy
        self._client = client
        self._server: asyncio.StreamWriter | None = None
        self._request = b""
        self._was_answered = True

    async def carry(self, from_client: asyncio.StreamReader, port: int) -> None:
        from_server, self._server = await asyncio.open_connection("127.0.0.1", port)
        async with asyncio.TaskGroup() as directions:
            directions.create_task(self._requests(from_client, self._server))
            directions.create_task(self._replies(from_server))

    def cut(self) -> None:
        for writer in (self._client, self._server):
            if writer is not None:
                writer.transport.abort()

    def half_close(self) -> None:
        with suppress(OSError, RuntimeError):  # it is gone already
            self._client.write_eof()

    def reset(self) -> None:
        with suppress(OSError, AttributeError):
            linger = struct.pack("ii", 1, 0)
            self._client.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.cut()

    async def _requests(self, reader: asyncio.StreamReader, server: asyncio.StreamWriter) -> None:
        while data := await self._heard(reader):
            if self._was_answered:
                self._proxy.round_trips += 1
                self._request = b""
                self._was_answered = False
            self._proxy.bytes_sent += len(data)
            self._request += data
            if not self._proxy.is_black_hole:
                server.write(data)
        self.cut()

    async def _replies(self, reader: asyncio.StreamReader) -> None:
        while data := await self._heard(reader):
            if await self._proxy.takes_drop(self._request):
                break
            self._was_answered = True
            if not self._proxy.is_black_hole:
                self._client.write(data)
        self.cut()

    async def _heard(self, reader: asyncio.StreamReader) -> bytes:
        with suppress(ConnectionError):
            data = await reader.read(_CHUNK)
            if self._proxy.delay:
                await asyncio.sleep(self._proxy.delay)
            return data
        return b""
