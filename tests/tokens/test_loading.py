"""Vocabularies load once, in a thread, whoever asks; a download only when asked for, and nobody waits for ever."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import pytest
import tiktoken
import tiktoken.load

from a2a_session_manager import SessionManagerError
from a2a_session_manager.tokens import counting, loading
from a2a_session_manager.tokens.counting import DEFAULT_COUNTER, TiktokenCounter, count_tokens

TOY = tiktoken.Encoding(
    "toy", pat_str=r"\w+|\W", mergeable_ranks={bytes([byte]): byte for byte in range(256)}, special_tokens={}
)
OLD_MODEL = "text-davinci-003"
warm_up = DEFAULT_COUNTER.warm_up


@pytest.fixture(autouse=True)
def nothing_loaded_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading, "_ready", {})
    monkeypatch.setattr(loading, "_attempts", {})
    monkeypatch.setattr(counting, "DEFAULT_COUNTER", TiktokenCounter())  # it remembers nothing of another vocabulary


@pytest.fixture
def loads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Slow loads of a toy vocabulary: the names, as they were loaded."""
    names: list[str] = []

    def slowly(name: str) -> tiktoken.Encoding:
        names.append(name)
        time.sleep(0.05)
        return TOY

    monkeypatch.setattr(loading, "at_hand", slowly)
    return names


@pytest.fixture
def black_hole(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """A network that never answers, until the event is set; set it is at the end."""
    answered = threading.Event()

    def read_file(url: str) -> bytes:
        answered.wait()
        raise OSError("no answer")

    monkeypatch.setattr(tiktoken.load, "read_file", read_file)
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", "")
    yield answered
    answered.set()


async def test_racing_first_counts_load_once(loads: list[str]) -> None:
    counts = await asyncio.gather(*(count_tokens("hello", "gpt-4o") for _ in range(64)))

    assert (set(counts), loads) == ({5}, ["o200k_base"])


async def test_racing_threads_and_tasks_load_once(loads: list[str]) -> None:
    counter = TiktokenCounter()
    counts = await asyncio.gather(
        *(asyncio.to_thread(counter.count, "hello", "gpt-4") for _ in range(8)),
        *(count_tokens("hello", "gpt-4", counter=counter) for _ in range(8)),
    )

    assert (set(counts), loads) == ({5}, ["cl100k_base"])


async def test_two_loops_may_wait_for_the_same_load(loads: list[str]) -> None:
    await asyncio.gather(
        asyncio.to_thread(asyncio.run, warm_up("gpt-4o")), asyncio.to_thread(asyncio.run, warm_up("gpt-4o"))
    )

    assert loads == ["o200k_base"]


async def test_who_stops_waiting_stops_nobody_else(loads: list[str]) -> None:
    impatient, patient = asyncio.create_task(warm_up("gpt-4o")), asyncio.create_task(warm_up("gpt-4o"))
    await asyncio.sleep(0)
    impatient.cancel()

    assert await patient == ["o200k_base"]
    assert impatient.cancelled()


async def test_loading_happens_in_a_thread_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    threads: list[threading.Thread] = []

    def at_hand(name: str) -> tiktoken.Encoding:
        threads.append(threading.current_thread())
        return TOY

    monkeypatch.setattr(loading, "at_hand", at_hand)

    await count_tokens("hello", "gpt-4o")

    assert threads[0] is not threading.current_thread()
    assert not threads[0].daemon


async def test_the_thread_of_the_loop_is_the_first_to_use_a_vocabulary(monkeypatch: pytest.MonkeyPatch) -> None:
    """tiktoken is a third slower in every other thread."""
    users: list[threading.Thread] = []

    class Spy:
        def encode_ordinary(self, text: str) -> list[int]:
            users.append(threading.current_thread())
            return []

    monkeypatch.setattr(loading, "at_hand", lambda name: Spy())
    await count_tokens("long " * 10_000, "gpt-4o", counter=TiktokenCounter())

    assert users[0] is threading.current_thread()
    assert users[1] is not users[0]


async def test_the_first_use_of_a_real_vocabulary_needs_nothing_but_our_files() -> None:
    """BlockBuster and the refused sockets of every test are looking."""
    count = await count_tokens("hello world", "gpt-4o")

    assert (count, count.basis) == (2, "counted")


async def test_warm_up_names_what_it_loaded(loads: list[str]) -> None:
    assert await warm_up() == ["o200k_base", "cl100k_base"]
    assert await warm_up(["gpt-5", "gpt-4", "claude-x"]) == ["o200k_base", "cl100k_base"]
    assert await warm_up([]) == []
    assert loads == ["o200k_base", "cl100k_base"]


async def test_a_damaged_vocabulary_is_an_error_of_warm_up_and_an_estimate_of_counting(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def damaged(name: str) -> None:
        raise SessionManagerError(f"{name} is damaged")

    monkeypatch.setattr(loading, "at_hand", damaged)

    with pytest.raises(SessionManagerError, match="o200k_base is damaged"):
        await warm_up()
    count = await count_tokens("12345678", "gpt-4o")
    assert (count, count.basis, count.encoding) == (2, "estimated", None)


async def test_an_old_model_is_estimated_by_its_bytes_and_never_downloaded(
    monkeypatch: pytest.MonkeyPatch, black_hole: threading.Event
) -> None:
    monkeypatch.setattr(loading, "downloaded", lambda name: pytest.fail("nobody asked for it"))

    assert repr(await count_tokens("お誕生日おめでとう", OLD_MODEL)) == "TokenCount(6, 'estimated', None)"
    assert repr(await count_tokens("a", OLD_MODEL)) == "TokenCount(1, 'estimated', None)"
    assert repr(await count_tokens("", OLD_MODEL)) == "TokenCount(0, 'estimated', None)"
    assert await warm_up(OLD_MODEL) == []


async def test_a_download_into_a_black_hole_is_waited_for_once_and_not_for_long(black_hole: threading.Event) -> None:
    counter = TiktokenCounter(allow_download=True, download_timeout=0.2)
    async with asyncio.timeout(5):
        first = await asyncio.gather(*(count_tokens("12345678", OLD_MODEL, counter=counter) for _ in range(20)))
        # As many waits as before, one after the other, would not fit.
        later = [await count_tokens("12345678", OLD_MODEL, counter=counter) for _ in range(100)]

    assert {count.basis for count in [*first, *later]} == {"estimated"}
    assert [thread.daemon for thread in threading.enumerate() if thread.name.endswith("p50k_base")] == [True]
    # Other users of tiktoken are not held up: its lock is free.
    assert tiktoken.registry._lock.acquire(timeout=1)
    tiktoken.registry._lock.release()


async def test_a_black_hole_holds_up_no_other_vocabulary(black_hole: threading.Event) -> None:
    counter = TiktokenCounter(allow_download=True, download_timeout=60)
    waiting = asyncio.create_task(count_tokens("hello", OLD_MODEL, counter=counter))

    assert (await count_tokens("hello world", "gpt-4o", counter=counter)).basis == "counted"
    assert not waiting.done()
    waiting.cancel()


def test_plain_code_does_not_wait_for_ever_either(black_hole: threading.Event) -> None:
    counter = TiktokenCounter(allow_download=True, download_timeout=0.1)

    assert counter.count("12345678", OLD_MODEL).basis == "estimated"


async def test_a_download_that_was_asked_for_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading, "downloaded", lambda name: TOY)
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", "")
    counter = TiktokenCounter(allow_download=True)

    assert repr(await count_tokens("hello", OLD_MODEL, counter=counter)) == "TokenCount(5, 'counted', 'p50k_base')"
    assert await counter.warm_up([OLD_MODEL]) == ["p50k_base"]


async def test_a_download_that_failed_is_an_error_of_warm_up_and_an_estimate_of_counting(
    black_hole: threading.Event,
) -> None:
    black_hole.set()
    counter = TiktokenCounter(allow_download=True)

    assert (await count_tokens("12345678", OLD_MODEL, counter=counter)).basis == "estimated"
    with pytest.raises(SessionManagerError, match="p50k_base could not be loaded: OSError: no answer") as raised:
        await counter.warm_up(OLD_MODEL)
    assert isinstance(raised.value.__cause__, OSError)


async def test_what_was_not_found_is_looked_for_again_but_not_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    finds: list[tiktoken.Encoding | None] = [None, TOY]
    monkeypatch.setattr(loading, "at_hand", lambda name: finds.pop(0))

    estimated = [(await count_tokens("hello", OLD_MODEL)).basis for _ in range(3)]
    monkeypatch.setattr(loading, "RETRY_SECONDS", -1.0)
    found = await count_tokens("hello", OLD_MODEL)

    assert (estimated, found.basis) == (["estimated"] * 3, "counted")


def test_importing_brings_in_neither_tiktoken_nor_a_network_and_sets_nothing() -> None:
    code = """
import os, sys
before = dict(os.environ)
import a2a_session_manager.tokens.counting
assert not {"tiktoken", "regex", "requests", "genai_prices"} & sys.modules.keys(), sorted(sys.modules)
assert dict(os.environ) == before
"""
    subprocess.run([sys.executable, "-c", code], check=True)
