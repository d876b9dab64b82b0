"""Finding: something in a conversation that a model would not be given as it is stored."""

from __future__ import annotations

from typing import Final, Literal, NamedTuple, TypeAlias

FindingCode: TypeAlias = Literal[
    "closed_call",
    "moved_result",
    "moved_thought",
    "orphan_result",
    "repeated_result",
    "repeated_call",
    "empty_message",
    "empty_part",
    "opening",
    "shortened_turn",
    "left_out_words",
    "joined_results",
    "joined_messages",
    "unknown_shape",
    "unknown_part",
    "not_converted",
    "unfinished_run",
    "repeated_usage",
    "damaged",
]

# What is given to a model in place of a result that never came.
INTERRUPTED: Final = "interrupted: this call has no result"


class Finding(NamedTuple):
    """What a view does with messages, or what `check` has found.

    Args:
        code: what it is; see the table in the README.
        seqs: the events that it is about, by their seq.
        text: a sentence for people, with the names and ids.
    """

    code: FindingCode
    seqs: tuple[int, ...]
    text: str
