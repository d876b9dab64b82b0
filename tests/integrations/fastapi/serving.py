"""An app served by uvicorn in a process of its own, on a free port of this machine, over a file store.

As a script it is that process: FILE_DESCRIPTOR APP [SECONDS a graceful shutdown may take].
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Self

import uvicorn

from a2a_session_manager.testing import blocking_calls_refused

ROOT = Path(__file__).parents[3]
ADMIN_TOKEN = "of-the-tests"


class Served:
    """A server process: `url` may be asked at once, the connection waits until the server is up.

    `log` is what it has written to stderr, complete once it has stopped.
    """

    def __init__(
        self, app: str, directory: Path, *, shutdown_seconds: int | None = None, token_seconds: float = 0.001
    ) -> None:
        self.directory = directory
        self.log = ""
        listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
        self.port: int = listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        command = [sys.executable, "-W", "error", __file__, str(listener.fileno()), app]
        environment = {
            **os.environ,
            "ADMIN_TOKEN": ADMIN_TOKEN,
            "SESSIONS_URL": f"file:{directory}",
            "TOKEN_SECONDS": str(token_seconds),
            "PYTHONPATH": os.pathsep.join([str(ROOT / "examples"), str(ROOT)]),
        }
        self._process = subprocess.Popen(
            command if shutdown_seconds is None else [*command, str(shutdown_seconds)],
            pass_fds=[listener.fileno()],
            env=environment,
            stderr=subprocess.PIPE,
            text=True,
        )
        # The other process has the socket now. When it ends, connections are refused, so that no client waits.
        listener.close()

    def stop(self) -> None:
        """Ask it to shut down, and wait until it has."""
        if self._process.returncode is None:
            self._process.send_signal(signal.SIGTERM)
            self._end()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def _end(self) -> None:
        try:
            _, self.log = self._process.communicate(timeout=30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            _, self.log = self._process.communicate()
            raise


def main(descriptor: str, app: str, shutdown_seconds: str | None = None) -> None:
    listener = socket.socket(fileno=int(descriptor))
    config = uvicorn.Config(
        app,
        log_level="warning",
        timeout_keep_alive=600,  # a slow machine's client would use a connection that has just been closed
        timeout_graceful_shutdown=None if shutdown_seconds is None else int(shutdown_seconds),
    )
    config.load()  # imports the app, which reads files
    with blocking_calls_refused() as guard:
        # Not our doing: uvicorn logs to stderr.
        for name in ("io.TextIOWrapper.write", "io.BufferedWriter.write"):
            guard.functions[name].deactivate()
        uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    main(*sys.argv[1:])
