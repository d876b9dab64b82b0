"""What the frameworks' own suites run on: stores of each engine, and the list of their tests that are left out."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from uuid import uuid4

import pytest

# Which store the suites run on: "memory", "file" or the URL of a Redis.
ENGINE = os.environ.get("BRIDGES_STORE", "memory")

_WAITS = "counts turns of the loop, and so fails with any store that waits for something"
# Every test of theirs that is left out: the engines or event loops where it is, and why.
LEFT_OUT: dict[str, tuple[Sequence[str], str]] = {
    "test_load_concurrency_is_bounded": (("file", "redis", "trio"), _WAITS),
    "test_cancelled_after_mkdtemp_cleans_temp_dir": (("file", "redis", "trio"), _WAITS),
    "test_eager_flush_mode_appends_per_frame_before_result": (("file", "redis", "trio"), _WAITS),
    "test_gap_fill_bounded_concurrency": (("file", "redis", "trio"), _WAITS),
}


@contextmanager
def store_urls() -> Iterator[Iterator[str]]:
    """Yield the URLs of empty stores of the engine, as many as are asked for."""
    with tempfile.TemporaryDirectory() as directory:
        yield _urls(directory)


def _urls(directory: str) -> Iterator[str]:
    while True:
        if ENGINE == "memory":
            yield "memory:"
        elif ENGINE == "file":
            yield f"file:{directory}/{uuid4().hex}"
        else:
            yield f"{ENGINE}?key_prefix={uuid4().hex[:12]}:"


def leave_out(items: Sequence[pytest.Item]) -> None:
    """Mark the tests that are left out on this engine as skipped."""
    engine = "redis" if ENGINE.startswith("redis") else ENGINE
    for item in items:
        name = getattr(item, "originalname", item.name)
        where, reason = LEFT_OUT.get(name, ((), ""))
        if engine in where or ("trio" in where and "trio" in item.name):
            item.add_marker(pytest.mark.skip(reason=reason))
