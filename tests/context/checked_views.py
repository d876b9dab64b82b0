"""Logs in every format, and what a view of them has to be."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, get_args

import pytest

from a2a_session_manager import event_from_message
from a2a_session_manager.context.conversion import MessageFormat
from a2a_session_manager.context.prompt import prompt_of, said_in, view_of
from a2a_session_manager.context.view import MessageView
from a2a_session_manager.models.event_message import MessageColumns, message_of
from tests.context.logs import Entry
from tests.context.makers import MAKERS
from tests.context.rules import faults, pair_faults

FORMATS: tuple[MessageFormat | None, ...] = (None, *get_args(MessageFormat))
# Without a format, nobody knows what the messages are sent to, so a greeting before the user speaks stays. Messages are
# given as they are stored: a model that gave two calls of a message the same id is shown that.
AS_STORED = (
    "the first message must",
    "please ensure that multiturn",
    "a conversation must start",
    "tool_use ids must be unique",
)


def view_of_log(entries: Sequence[Entry], format: MessageFormat | None = None, *, repair: bool = True) -> MessageView:
    """Return the view that `messages()` gives of a log."""
    return view_of_columns(columns_of(entries), format, repair=repair)


def columns_of(entries: Sequence[Entry]) -> MessageColumns:
    events = [event_from_message(each.message, task_id=each.run_id) for each in entries]
    return MessageColumns.of(message_of(event)._replace(seq=seq) for seq, event in enumerate(events, 1))


def view_of_columns(columns: MessageColumns, format: MessageFormat | None, *, repair: bool = True) -> MessageView:
    return view_of(prompt_of(said_in(columns), format, repair=repair), format, "chat")


def is_odd(message: dict[str, Any]) -> bool:
    """Tell whether a message is of no format: it is given to the model as it is, wherever it goes."""
    return "verdict" in message or "payload" in message


def refused(view: MessageView, shape: str | None, format: str | None) -> list[str]:
    """Return what a provider would refuse in a view of a log that is of a shape, None for several."""
    if format is not None:
        return faults(format, view)
    if shape is None or any(map(is_odd, view)):  # nobody takes several formats at once: only pairs are promised
        return pair_faults(view)
    found = faults(shape.removesuffix(" without ids"), view)
    return [each for each in found if not any(allowed in each for allowed in AS_STORED)]


SHAPES = [*MAKERS, None]


def bytes_of(view: MessageView) -> str:
    return json.dumps([view.system, *view])


every_shape = pytest.mark.parametrize("shape", SHAPES)
