"""Turns of a conversation that is summarised, and what summarises them."""

from __future__ import annotations

import json
from typing import Any

from a2a_session_manager.context.summaries import Summarizer
from a2a_session_manager.context.view import MessageView

SYSTEM = {"role": "system", "content": "You plan trips."}
# Of the newest turns, one fits, and two do not.
ONE_TURN = 90


def asked(text: str) -> dict[str, Any]:
    """Return what a user asks."""
    return {"role": "user", "content": f"{text}? " * 10}


def answered(text: str) -> dict[str, Any]:
    """Return what an assistant answers."""
    return {"role": "assistant", "content": f"{text}. " * 10}


def turns(first: int, last: int) -> list[dict[str, Any]]:
    """Return the turns from the first to the last, a question and an answer each."""
    return [each for turn in range(first, last + 1) for each in (asked(f"q{turn}"), answered(f"a{turn}"))]


def summarise(view: MessageView) -> str:
    """Summarise a view, saying of how many messages it was."""
    return f"summary of {len(view)}"


def saying(answer: object) -> Summarizer:
    """Return a summariser that says the same of all."""
    return lambda _: answer


def summary_of(count: int) -> dict[str, Any]:
    """Return the message that `summarise` leaves in the place of as many messages."""
    return {"role": "user", "content": f"summary of {count}"}


def bytes_of(view: MessageView) -> str:
    """Return all that a model would be sent."""
    return json.dumps([view.system, *view])
