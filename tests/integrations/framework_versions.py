"""The frameworks' releases that each bridge is tested with, and what its tests need beside the framework."""

from __future__ import annotations

from typing import NamedTuple


class Framework(NamedTuple):
    """What an extra brings: the packages with the lowest releases that it allows, and what tests need besides."""

    lowest: dict[str, str]
    besides: tuple[str, ...] = ()


FRAMEWORKS = {
    "a2a": Framework({"a2a-sdk": "1.3.0"}),
    "claude-agent": Framework({"claude-agent-sdk": "0.2.180"}, ("trio>=0.30",)),
    "google-adk": Framework({"google-adk": "2.0.0"}),
    "langgraph": Framework(
        {"langgraph": "1.2.0", "langgraph-checkpoint": "4.3.0"}, ("langgraph-checkpoint-conformance>=0.0.2",)
    ),
    "pydantic-ai": Framework({"pydantic-ai-slim": "2.68.0"}, ("pydantic-ai-slim[ag-ui]",)),
    "strands": Framework({"strands-agents": "1.56.0"}),
}
