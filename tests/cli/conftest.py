"""Fixtures that call the command line."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator

import pytest

from a2a_session_manager.cli.app import run
from tests.cli.calling import Answer, Call, call_in_process


@pytest.fixture
def called(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Call:
    """The command line without a process of its own, where what matters is what it prints."""

    def call(url: str, *arguments: str) -> Answer:
        monkeypatch.setattr(sys, "argv", ["a2a-sessions", *arguments, "--store", url])
        with pytest.raises(SystemExit) as left:
            run()
        status = left.value.code
        assert isinstance(status, int)
        return Answer(status, *capsys.readouterr())

    return call


@pytest.fixture(params=["here", pytest.param("in a process", marks=pytest.mark.soak)])
def answer_of(request: pytest.FixtureRequest, called: Call) -> Call:
    """The command line, here and as users run it."""
    return called if request.param == "here" else call_in_process


@pytest.fixture
def heeds_ctrl_c() -> Iterator[None]:
    """Let processes that are started now end on Ctrl-C, also where a shell has started the tests in the background."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)
