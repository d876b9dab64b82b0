"""Real conversations, and the budgets that windows of them are given."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from a2a_session_manager import (
    ChatMessage,
)
from tests.context.spoken import tokens

EXAMPLES = Path(__file__).parents[2] / "examples" / "data" / "conversations.jsonl"
# A larger set that some machines have beside the checkout; nobody else needs it.
AIRLINE = Path(__file__).parents[3] / "shared" / "data" / "airline_transcripts.jsonl"


def transcripts(path: Path) -> list[list[ChatMessage]]:
    with path.open(encoding="utf-8") as lines:
        return [json.loads(line)["messages"] for line in lines]


async def budgets(messages: Sequence[ChatMessage], count: int) -> list[int]:
    """Return so many budgets, from the least that holds the instructions and a word to more than everything."""
    least = await tokens([each for each in messages[:1] if each["role"] == "system"])
    most = await tokens(messages) + 10
    return [least + (most - least) * step // (count - 1) for step in range(count)]
