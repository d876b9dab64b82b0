"""A Redis Cluster of three primaries, made by commands alone."""

from __future__ import annotations

import time
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.redis_servers.server import APPEND_ONLY, START_SECONDS, RedisServer

_SLOTS = 16_384
_OPTIONS = (
    ("cluster-enabled", "yes"),
    ("cluster-node-timeout", "2000"),
    # A node that is away must not stop the others.
    ("cluster-require-full-coverage", "no"),
    *APPEND_ONLY,
    ("save", '""'),
)


class RedisCluster:
    """Three nodes with a third of the slots each; a node that is killed and started again comes back whole."""

    def __init__(self, directory: Path, *options: tuple[str, ...]) -> None:
        self.nodes = [RedisServer(directory / f"node{number}", *_OPTIONS, *options) for number in range(3)]

    @property
    def url(self) -> str:
        hosts = ",".join(f"127.0.0.1:{node.port}" for node in self.nodes)
        return f"redis+cluster://{hosts}"

    def start(self) -> None:
        """Start all nodes and wait until each of them serves its slots."""
        for node in self.nodes:
            node.start()
        share = _SLOTS // len(self.nodes) + 1
        for number, node in enumerate(self.nodes):
            node.call("CLUSTER", "ADDSLOTS", *range(number * share, min((number + 1) * share, _SLOTS)))
            node.call("CLUSTER", "SET-CONFIG-EPOCH", number + 1)
        for node in self.nodes[1:]:
            self.nodes[0].call("CLUSTER", "MEET", "127.0.0.1", node.port)
        self.wait_until_whole()

    def stop(self) -> None:
        """End all nodes."""
        for node in self.nodes:
            node.stop()

    def wait_until_whole(self) -> None:
        """Wait until every node knows that every slot is served."""
        deadline = time.monotonic() + START_SECONDS
        while not all(self._is_whole(node) for node in self.nodes):
            assert time.monotonic() < deadline, "the cluster did not come together"
            time.sleep(0.05)

    def _is_whole(self, node: RedisServer) -> bool:
        info: dict[str, str] = node.call("CLUSTER INFO")
        return (
            info["cluster_state"] == "ok"
            and info["cluster_slots_ok"] == str(_SLOTS)
            and info["cluster_known_nodes"] == str(len(self.nodes))
        )

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()
