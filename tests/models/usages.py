"""Usages of any numbers."""

from __future__ import annotations

from hypothesis import strategies as st

from a2a_session_manager import TokenUsage


@st.composite
def usages(draw: st.DrawFn) -> TokenUsage:
    prompt, completion = draw(st.integers(0, 10**9)), draw(st.integers(0, 10**9))
    cached = draw(st.integers(0, prompt))
    written = draw(st.integers(0, prompt - cached))
    return TokenUsage(
        prompt_tokens=prompt,
        completion_tokens=completion,
        cache_read_tokens=cached,
        cache_write_tokens=written,
        cache_write_1h_tokens=draw(st.integers(0, written)),
        reasoning_tokens=draw(st.integers(0, completion)),
        input_audio_tokens=draw(st.integers(0, prompt)),
        output_audio_tokens=draw(st.integers(0, completion)),
        web_searches=draw(st.just(0) | st.integers(0, 50)),
        other_tool_uses=draw(st.just(0) | st.integers(0, 50)),
        requests=draw(st.integers(0, 3)),
        model=draw(st.sampled_from(["", "gpt-4o", "claude"])),
        cost_pico_usd=draw(st.none() | st.integers(0, 10**15)),
        service_tier=draw(st.sampled_from([None, "flex"])),
        list_cost_pico_usd=draw(st.none() | st.integers(0, 10**15)),
        partially_priced=draw(st.booleans()),
    )
