"""A primary, its replica, and a Sentinel that promotes the replica when the primary fails."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.redis_servers.server import RedisServer
from tests.redis_servers.startable import Startable, wait_until

SERVICE = "sessions"


class SentinelSetup(Startable):
    """`primary` and `replica` are named by their roles at the start; after a failover, `replica` is the primary."""

    def __init__(self, directory: Path) -> None:
        options = (("save", '""'), ("repl-diskless-sync", "yes"), ("repl-diskless-sync-delay", "0"))
        self.primary = RedisServer(directory / "primary", *options)
        self.replica = RedisServer(directory / "replica", *options, ("replicaof", "127.0.0.1", str(self.primary.port)))
        self.sentinel = RedisServer(
            directory / "sentinel",
            ("sentinel", "monitor", SERVICE, "127.0.0.1", str(self.primary.port), "1"),
            ("sentinel", "down-after-milliseconds", SERVICE, "500"),
            ("sentinel", "failover-timeout", SERVICE, "2000"),
            is_sentinel=True,
        )

    @property
    def url(self) -> str:
        return f"redis+sentinel://127.0.0.1:{self.sentinel.port}/{SERVICE}"

    def start(self) -> None:
        """Start all three and wait until the replica is in step and the Sentinel knows it."""
        for server in (self.primary, self.replica, self.sentinel):
            server.start()
        wait_until(self._is_in_step, "the replica did not come into step")
        wait_until(self._is_watched, "the Sentinel did not find the replica")

    def stop(self) -> None:
        """End all three."""
        for server in (self.sentinel, self.replica, self.primary):
            server.stop()

    def wait_until_in_step(self) -> None:
        """Wait until the replica has all that the primary has."""
        # WAIT would not do: it only waits for writes of its own connection.
        written = self._replication(self.primary)["master_repl_offset"]
        wait_until(
            lambda: self._replication(self.replica)["slave_repl_offset"] >= written,
            "the replica did not come into step",
        )

    def _is_in_step(self) -> bool:
        return bool(self._replication(self.replica)["master_link_status"] == "up")

    def _is_watched(self) -> bool:
        services: dict[str, dict[str, int]] = self.sentinel.call("SENTINEL MASTERS")
        return services[SERVICE]["num-slaves"] == 1

    def _replication(self, server: RedisServer) -> dict[str, Any]:
        replication: dict[str, Any] = server.call("INFO", "replication")
        return replication
