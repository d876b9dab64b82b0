"""What a usage counts beside tokens: searches, fetches, programs that were run, each paid by use."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import NamedTuple

from a2a_session_manager.pricing.usage_reader import UsageReader, snake
from a2a_session_manager.usage.tool_names import counter_of_count, counter_of_tool, is_count, is_tool

# Below one of these are the names of tools.
_HOLDERS = frozenset(
    {
        "server_tool_use",  # Anthropic, OpenRouter, LiteLLM
        "server_tool_use_details",
        "server_tool_usage",
        "server_side_tool_usage",  # xAI
        "server_side_tool_usage_details",
        "tool_calls_details",  # Perplexity
        "tool_usage",  # OpenAI
        "connectors",  # Mistral
        "x_tools",  # Alibaba
        "grounding_tool_count",  # Gemini
    }
)
# Below the name of a tool, these count its uses.
_UNITS = frozenset({"count", "invocation", "invocations", "num_requests", "requests", "calls"})
# Lists of tools, of which each item says how often one was used.
_USES = "server_side_tools_used"
_LISTS = frozenset({"billed_tool_calls", "grounding_tool_count", _USES})  # the first two are Gemini's
_TOOL = ("tool", "tool_type", "type")
_COUNT = ("successful_tool_call_count", "count")
# Each item of the list of xAI is one use: a name, or a number.
_XAI_TOOLS = (
    *("invalid", "web_search", "x_search", "code_execution", "view_image", "view_x_video", "collections_search"),
    *("mcp", "attachment_search", "", "image_search", "image_generation"),
)
# Sums over all tools, and the sources that xAI's older search was paid by.
_SUMS = ("num_server_side_tools_used", "tool_calls_executed")
# What was asked for counts where nothing says what of it was done.
_ASKED = "tool_calls_requested"
_SOURCES = "num_sources_used"


class _Place(NamedTuple):
    """Where a usage counts the uses of a tool: what stands below one holder is added, and others say it once more."""

    path: str
    holder: str
    counter: str | None


def tool_uses(usage: UsageReader) -> dict[str, int]:
    """Return what `usage` says is paid by use, by the names of a TokenUsage; a 0 that it says is said, too.

    Raises InvalidEvent, naming the field, for what is no count.
    """
    places, lists, sums = _found_in(usage.shape)
    if not (places or lists or sums):
        return {}  # nearly always
    said: dict[str, dict[str | None, int]] = {}
    for path, holder, counter in places:
        _add(said, holder, counter, usage.count_or_zero(path))
    for name in lists:
        for counter, count in _in_list(usage, name):
            _add(said, name, counter, count)
    uses: dict[str, int] = {}
    for holder, counts in said.items():
        for counter, count in counts.items():
            if counter is not None:
                _take(uses, usage, holder, counter, count)
    unnamed = _unnamed(usage, sums, max((sum(counts.values()) for counts in said.values()), default=0))
    if unnamed:
        uses["other_tool_uses"] = uses.get("other_tool_uses", 0) + unnamed
    return uses


@lru_cache(maxsize=1_024)
def _found_in(shape: tuple[str, ...]) -> tuple[list[_Place], list[str], list[str]]:
    """Return the places, lists and sums in a usage of such leaves: of most usages none."""
    places = [place for place in map(_place, shape) if place is not None]
    lists = [path for path in shape if path.rpartition(".")[2] in _LISTS]
    return places, lists, [path for path in shape if path.endswith((*_SUMS, _ASKED, _SOURCES))]


def _place(path: str) -> _Place | None:
    steps = path.split(".")
    for index, step in enumerate(steps[:-1]):
        if step in _HOLDERS:
            tool, *unit = steps[index + 1 :]
            if is_tool(tool) and (not unit or (len(unit) == 1 and unit[0] in _UNITS)):
                return _Place(path, ".".join(steps[: index + 1]), counter_of_tool(tool))
    name = steps[-1]
    # Several names of one count at the same place say the same.
    return _Place(path, path, counter_of_count(name)) if is_count(name) else None


def _add(said: dict[str, dict[str | None, int]], holder: str, counter: str | None, count: int) -> None:
    counts = said.setdefault(holder, {})
    counts[counter] = counts.get(counter, 0) + count


def _take(uses: dict[str, int], usage: UsageReader, holder: str, counter: str, count: int) -> None:
    known = uses.get(counter, 0)
    if known and count and known != count:
        usage.conflicts.append(f"{counter} is {known}, but {holder} says {count}")
    uses[counter] = max(known, count)


def _in_list(usage: UsageReader, name: str) -> Iterator[tuple[str | None, int]]:
    items = usage.value(name)
    for item in items if isinstance(items, list | tuple) else ():
        if name.endswith(_USES):
            number = item if isinstance(item, int) and 0 <= item < len(_XAI_TOOLS) else 0
            tool = item if isinstance(item, str) else _XAI_TOOLS[number]
            usage.read.add(f"{name}[]")
            yield (counter_of_tool(tool) if is_tool(tool) else "other_tool_uses"), 1
        elif isinstance(item, Mapping):
            one = UsageReader(item)
            tool = snake(str(next((found for key in _TOOL if (found := one.value(key)) is not None), "")))
            count = one.count_or_zero(*_COUNT)
            usage.read.update(f"{name}[].{key}" for key in _COUNT)
            yield (counter_of_tool(tool) if is_tool(tool) else "other_tool_uses"), count


def _unnamed(usage: UsageReader, sums: list[str], named: int) -> int:
    """Return how many uses are counted in a sum, and by no name of a tool."""
    counts = {path: usage.count_or_zero(path) for path in sums}

    def most(*names: str) -> int | None:
        return max((count for path, count in counts.items() if path.endswith(names)), default=None)

    done = most(*_SUMS)
    rest = (most(_ASKED) or 0 if done is None else done) - named
    # xAI bills either the sources or the uses of its tools.
    return rest if rest > 0 else 0 if named else most(_SOURCES) or 0
