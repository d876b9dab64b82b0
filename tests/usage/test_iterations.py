"""Anthropic's iterations: all of them are paid for, and the last one is what the context holds."""

from __future__ import annotations

from typing import Any

from a2a_session_manager.usage.provider_usage import usage_from


def iteration(kind: str, tokens_in: int, tokens_out: int, **more: Any) -> dict[str, Any]:
    counts = {"cache_read_input_tokens": 0, "cache_creation_input_tokens": 0, **more}
    return {"type": kind, "input_tokens": tokens_in, "output_tokens": tokens_out, **counts}


TOP = {"input_tokens": 23, "output_tokens": 10, "cache_read_input_tokens": 5, "cache_creation_input_tokens": 0}
MESSAGE = iteration("message", 23, 10, cache_read_input_tokens=5)
COMPACTION = iteration("compaction", 180, 3, cache_creation_input_tokens=7)


def test_compactions_are_summed_and_the_last_iteration_is_the_context() -> None:
    usage = usage_from({**TOP, "iterations": [COMPACTION, MESSAGE]})

    assert (usage.prompt_tokens, usage.completion_tokens, usage.requests) == (23 + 5 + 180 + 7, 13, 1)
    assert (usage.cache_read_tokens, usage.cache_write_tokens) == (5, 7)
    assert (usage.context_size, usage.unread_keys) == (23 + 5 + 10, ())


def test_what_iterations_do_not_say_the_top_says() -> None:
    top = {**TOP, "output_tokens_details": {"thinking_tokens": 4}}

    assert usage_from({**top, "iterations": [MESSAGE]}).reasoning_tokens == 4
    assert usage_from({**TOP, "iterations": []}).prompt_tokens == usage_from({**TOP, "iterations": None}).prompt_tokens


def test_another_models_iterations_are_flagged_and_not_summed() -> None:
    advice = iteration("advisor_message", 900, 50, model="claude-opus-5")

    usage = usage_from({**TOP, "iterations": [MESSAGE, advice]})

    assert (usage.prompt_tokens, usage.completion_tokens, usage.context_size) == (28, 10, 38)
    assert {"iterations[].input_tokens", "iterations[].output_tokens"} <= set(usage.unread_keys)
