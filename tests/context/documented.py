"""The messages that each format's own tests have, from the documentation of its provider."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tests.context.examples import Json
from tests.shapes import (
    test_a2a,
    test_ag_ui,
    test_ai_sdk,
    test_ai_sdk_ui,
    test_anthropic,
    test_bedrock,
    test_gemini,
    test_langchain,
    test_openai_chat,
    test_otel,
    test_pydantic_ai,
    test_responses,
)


def documented() -> Iterator[Json]:
    """Yield the messages of all formats."""
    modules: Any = (test_a2a, test_ag_ui, test_ai_sdk, test_ai_sdk_ui, test_anthropic, test_bedrock, test_gemini)
    for module in (*modules, test_langchain, test_openai_chat, test_otel, test_pydantic_ai, test_responses):
        for row in module.ROWS:
            yield next(each for each in row if isinstance(each, dict))
