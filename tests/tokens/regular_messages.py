"""Regular messages of the chat format, whose texts are mistaken most easily: for the words that stand before texts."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st


def regular_messages() -> st.SearchStrategy[dict[str, Any]]:
    texts = st.sampled_from(["", "user", "assistant", "silent assistant", "call", "result", "named result"])
    call = st.fixed_dictionaries(
        {
            "id": texts,
            "type": st.just("function"),
            "function": st.fixed_dictionaries({"name": texts, "arguments": texts}),
        }
    )
    result = {"role": st.just("tool"), "content": texts, "tool_call_id": texts}
    return st.one_of(
        st.fixed_dictionaries({"role": st.sampled_from(["user", "assistant"]), "content": texts}),
        st.fixed_dictionaries(
            {
                "role": st.just("assistant"),
                "content": st.none() | texts,
                "tool_calls": st.lists(call, min_size=1, max_size=2),
            }
        ),
        st.fixed_dictionaries(result, optional={"name": texts}),
    )
