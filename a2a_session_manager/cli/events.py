"""An event as a line of JSON, and as a paragraph for people."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from rich.console import Console
from rich.text import Text

from a2a_session_manager.cli.writing import cost_of, on_one_line, plain, short_id
from a2a_session_manager.context.messages import message_from_event
from a2a_session_manager.models.session_event import SessionEvent
from a2a_session_manager.shapes.normal_form import Call, Instruction, Media, Part, Reasoning, Result
from a2a_session_manager.shapes.normal_form import Text as SaidText
from a2a_session_manager.shapes.recognition import read_message

_STYLES: Final = {"user": "green", "assistant": "cyan", "system": "magenta", "tool": "yellow"}
_CHARACTERS: Final = 2_000


def event_row(event: SessionEvent[Any]) -> dict[str, Any]:
    """Return an event as JSON values: as it is stored, with its seq and whether it is retracted."""
    row: dict[str, Any] = event.model_dump(mode="json", exclude={"is_repeat"})
    return row


def print_event(out: Console, event: SessionEvent[Any]) -> None:
    """Print who said what, and when."""
    message = message_from_event(event)
    read = None if message is None else read_message(message)
    speaker = event.source.value if read is None else read.role
    head = Text()
    head.append(f"{event.seq or '':>5} ", style="dim")
    head.append(f"{event.timestamp:%Y-%m-%d %H:%M:%S} ", style="dim")
    head.append(speaker, style=_STYLES.get(speaker, "bold"))
    if event.task_id is not None:
        head.append(f" in run {short_id(event.task_id)}", style="dim")
    if event.token_usage is not None:
        head.append(f" {on_one_line(event.token_usage.model)} {cost_of(event.token_usage)}", style="dim")
    if event.retracted:
        head.append(" retracted", style="red")
    out.print(head)
    lines = _other_lines(event) if read is None else _said(read.parts)
    for line in lines:
        out.print(Text(_cut(plain(line))), style="strike" if event.retracted else "")


def _said(parts: tuple[Part, ...]) -> Iterator[str]:
    for part in parts:
        match part:
            case SaidText() | Instruction():
                yield part.text
            case Reasoning():
                yield f"(thinks) {part.text}"
            case Media():
                yield f"[{part.kind} {part.mime_type or ''} {part.name or ''}]"
            case Call():
                yield f"→ {part.name}({'' if part.arguments is None else part.arguments})"
            case Result():
                yield "← " + " ".join(_said(part.content))
            case _:
                yield f"[{type(part).__name__.lower()}] {part.raw}"


def _other_lines(event: SessionEvent[Any]) -> Iterator[str]:
    yield f"[{event.type}] {event.message}"


def _cut(text: str) -> str:
    """Return text, cut where it is very long, with how much was left out."""
    left_out = len(text) - _CHARACTERS
    return text if left_out <= 0 else f"{text[:_CHARACTERS]} … {left_out} more characters: --json has all"
