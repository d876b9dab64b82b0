"""Which messages a record of another program's file holds."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from a2a_session_manager.foreign_records import a2a_tasks, agent_logs, chatgpt, openai_lines, sharegpt, traces
from a2a_session_manager.foreign_records.held import Held
from a2a_session_manager.shapes.recognition import shape_of

# By what tells a kind of record, how its messages are found; those with the plainer marks come later.
_KINDS: Final[tuple[tuple[Callable[[Mapping[str, Any]], bool], Callable[[Any], Iterator[Held]]], ...]] = (
    (chatgpt.is_conversation, chatgpt.messages_of),
    (agent_logs.is_claude_line, agent_logs.claude_message),
    (agent_logs.is_codex_line, agent_logs.codex_item),
    (agent_logs.is_adk_event, agent_logs.adk_content),
    (agent_logs.is_ag_ui_delta, agent_logs.ag_ui_text),
    (a2a_tasks.is_task, a2a_tasks.messages_of),
    (traces.is_langsmith_run, traces.messages_of_run),
    (traces.is_langfuse_generation, traces.messages_of_generation),
    (sharegpt.is_entry, sharegpt.messages_of),
    (openai_lines.is_line, openai_lines.messages_of),
)


def messages_in(record: Mapping[str, Any]) -> list[Held]:
    """Return the messages in a record that is none itself; none for a message, and for what nobody knows."""
    if isinstance(record.get("role"), str) or shape_of(record) is not None:
        return []
    for is_one, read in _KINDS:
        if is_one(record):
            return list(read(record))
    return []
