"""A usage is found wherever its provider or framework puts it, and what is none of one request is refused by name."""

from __future__ import annotations

import re
from typing import Any

import pytest

from a2a_session_manager import InvalidEvent
from a2a_session_manager.usage.provider_usage import usage_from
from tests.usage.further_rows import HOLDERS, REFUSED


@pytest.mark.parametrize(
    ("whole", "model", "processing"), [row[1:] for row in HOLDERS], ids=[row[0] for row in HOLDERS]
)
def test_a_usage_is_found_in_what_holds_it(whole: dict[str, Any], model: str, processing: str | None) -> None:
    usage = usage_from(whole)

    assert (usage.prompt_tokens, usage.completion_tokens, usage.requests) == (1000, 300, 1)
    assert (usage.model, usage.processing, usage.unread_keys) == (model, processing, ())


def test_the_ai_sdks_total_is_that_of_all_steps() -> None:
    last, total = {"inputTokens": 1, "outputTokens": 1}, {"inputTokens": 9000, "outputTokens": 300}

    usage = usage_from({"usage": last, "totalUsage": total, "steps": [{}, {}]})

    assert (usage.prompt_tokens, usage.requests, usage.context_size) == (9000, 2, None)


@pytest.mark.parametrize(("whole", "reason"), REFUSED)
def test_what_is_no_usage_of_a_request_is_refused_by_its_name(whole: dict[str, Any], reason: str) -> None:
    with pytest.raises(InvalidEvent, match=re.escape(reason)):
        usage_from(whole)
