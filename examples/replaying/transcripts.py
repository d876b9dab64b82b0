"""Transcripts from a file of JSON lines: which conversations there are, with ids that derive from the input."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from a2a_session_manager import ChatMessage


class UnreadableTranscripts(Exception):
    """The input is not what it should be; nothing was replayed."""


@dataclass(frozen=True)
class Conversation:
    """One conversation of the input, with the id that its session gets."""

    session_id: str
    messages: Sequence[ChatMessage]

    def event_id(self, index: int) -> str:
        return f"message-{index + 1}"

    def turns(self) -> list[tuple[str | None, range]]:
        """Return (run id, indexes of its messages) in order; None for what precedes the first user message."""
        starts = [index for index, message in enumerate(self.messages) if message["role"] == "user"]
        ends = [*starts[1:], len(self.messages)]
        turns = [(f"turn-{number}", range(*turn)) for number, turn in enumerate(zip(starts, ends, strict=False), 1)]
        return [(None, range(starts[0] if starts else len(self.messages))), *turns]


@dataclass(frozen=True)
class Transcripts:
    """The input; its id is a digest of the file, so that other content never meets it in a store."""

    id: str
    conversations: Sequence[Conversation]


def read_transcripts(path: Path) -> Transcripts:
    """Return the conversations of a file. Raises UnreadableTranscripts, naming file and line."""
    try:
        data = path.read_bytes()
        lines = data.decode("utf-8-sig").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise UnreadableTranscripts(f"{path} cannot be read: {error}") from error
    batch_id = f"replay-{hashlib.sha256(data).hexdigest()[:16]}"
    places: dict[str, int] = {}
    conversations: list[Conversation] = []
    for number, line in enumerate(lines, 1):
        if line.strip():
            conversation_id, messages = parse_line(line, f"{path}, line {number}")
            if conversation_id in places:
                raise UnreadableTranscripts(
                    f"{path}, line {number}: the id {conversation_id!r} is taken by line {places[conversation_id]}"
                )
            places[conversation_id] = number
            conversations.append(Conversation(f"{batch_id}/{conversation_id}", messages))
    if not conversations:
        raise UnreadableTranscripts(f"{path} holds no conversations")
    return Transcripts(batch_id, conversations)


def parse_line(line: str, place: str) -> tuple[str, list[ChatMessage]]:
    """Return the id and the messages of one line. Raises UnreadableTranscripts, naming `place`."""
    try:
        document = json.loads(line, parse_constant=refuse_constant)
    except (ValueError, RecursionError) as error:
        raise UnreadableTranscripts(f"{place} is not JSON: {error}") from error
    match document:
        case {"id": str(conversation_id), "messages": [*messages]} if conversation_id:
            for index, message in enumerate(messages, 1):
                match message:
                    case {"role": str(role)} if role:
                        continue
                    case _:
                        what = f"{place}: message {index} is no object with a role"
                        raise UnreadableTranscripts(f"{what}: {message!r:.80}")
            return conversation_id, messages
        case _:
            raise UnreadableTranscripts(f'{place} is not {{"id": text, "messages": [...]}}: {line:.80}')


def refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON value")
