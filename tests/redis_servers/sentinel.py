"""A primary, its replica and a Sentinel that puts one in the place of the other."""

from __future__ import annotations

from pathlib import Path

from tests.redis_servers.server import RedisServer
from tests.redis_servers.startable import Startable, wait_until

SERVICE = "sessions"


class SentinelSetup(Startable):
    """`primary` and `replica` are what they were at the start; after a failover the replica is the primary."""

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
        assert self.primary.call("WAIT", 1, 5000) == 1

    def _is_in_step(self) -> bool:
        replication: dict[str, str] = self.replica.call("INFO", "replication")
        return replication["master_link_status"] == "up"

    def _is_watched(self) -> bool:
        services: dict[str, dict[str, int]] = self.sentinel.call("SENTINEL MASTERS")
        return services[SERVICE]["num-slaves"] == 1
