"""EventType: what kind of thing an event records."""

from __future__ import annotations

from enum import StrEnum


class EventType(StrEnum):
    """The types of events that the library knows; `SessionEvent.type` keeps any other string as it is."""

    MESSAGE = "message"
    TOOL_CALL = "tool_call"
    TOOL_RESULT = "tool_result"
    SUMMARY = "summary"
    REFERENCE = "reference"
    CONTEXT_BRIDGE = "context_bridge"
    # The usage of an event that was refused: its run had another owner by then, or had ended, or what a summary stood
    # for was not as it had been.
    USAGE = "usage"
    # What became of a budget: a part of it that was spent, or a hold that was voided.
    BUDGET = "budget"
