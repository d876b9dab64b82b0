"""A Redis Cluster of three primaries, which is made by commands alone."""

from __future__ import annotations

from pathlib import Path

from tests.redis_servers.server import APPEND_ONLY, RedisServer
from tests.redis_servers.startable import Startable, wait_until

_SLOTS = 16_384
_OPTIONS = (
    ("cluster-enabled", "yes"),
    ("cluster-node-timeout", "2000"),
    # With this, the other nodes go on serving when one of them is down.
    ("cluster-require-full-coverage", "no"),
    *APPEND_ONLY,
    ("save", '""'),
)


class RedisCluster(Startable):
    """Three nodes with a third of the slots each. A node that is killed and started again has all its data."""

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
        wait_until(lambda: all(map(self._is_whole, self.nodes)), "the cluster did not come together")

    def _is_whole(self, node: RedisServer) -> bool:
        info: dict[str, str] = node.call("CLUSTER INFO")
        return (
            info["cluster_state"] == "ok"
            and info["cluster_slots_ok"] == str(_SLOTS)
            and info["cluster_known_nodes"] == str(len(self.nodes))
        )
