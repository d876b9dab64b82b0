"""What a provider's own object says about media: counts that TokenUsage has no field for, but price lists do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from a2a_session_manager.exceptions import InvalidEvent
from a2a_session_manager.pricing.usage_reader import UsageReader, snake

_MEDIA = {"audio": ("audio",), "image": ("image", "document"), "video": ("video",)}
_GEMINI = {
    "input_{}_tokens": (
        "prompt_tokens_details",
        "tool_use_prompt_tokens_details",
        "input_tokens_by_modality",
        "tool_use_tokens_by_modality",
    ),
    "cache_{}_read_tokens": ("cache_tokens_details", "cached_tokens_by_modality"),
    "output_{}_tokens": ("candidates_tokens_details", "response_tokens_details", "output_tokens_by_modality"),
}
# The end of the names of Gemini's lists in interactions, which call their counts otherwise.
_BY_MODALITY = "_by_modality"
_OPENAI = {
    "input_image_tokens": (
        "prompt_tokens_details.image_tokens",
        "input_tokens_details.image_tokens",
        "input_token_details.image_tokens",
    ),
    "output_image_tokens": (
        "completion_tokens_details.image_tokens",
        "output_tokens_details.image_tokens",
    ),
    "cache_audio_read_tokens": (
        "input_token_details.cached_tokens_details.audio_tokens",
        "cache_audio_read_tokens",  # pydantic-ai
    ),
    "cache_image_read_tokens": ("input_token_details.cached_tokens_details.image_tokens",),
    "output_citation_tokens": ("citation_tokens",),
}
# The last names of the paths above, at the top of a usage and one level below.
_PATHS = [path.split(".") for paths in _OPENAI.values() for path in paths]
_AT_TOP = frozenset(path[0] for path in _PATHS if len(path) == 1)
_ALL_PATHS = frozenset(path for paths in (*_OPENAI.values(), *_GEMINI.values()) for path in paths)
_WITHIN = frozenset(path[1] for path in _PATHS if len(path) > 1)


def media_counts(details: Mapping[str, Any] | None) -> dict[str, int]:
    """Return the counts of media in a provider's own usage object by their names in price lists, such as
    `output_image_tokens`; a 0 that the provider says is said, too. Details that hold no counts have none.
    """
    if not details or not _may_count(details):
        return {}
    try:
        return media_of(UsageReader(details))
    except InvalidEvent:  # a caller's own details need not hold counts
        return {}


def media_of(usage: UsageReader) -> dict[str, int]:
    """Return the same of a usage that is being read. Raises InvalidEvent, naming the field, for what is no count."""
    if _ALL_PATHS.isdisjoint(usage.leaves):
        return {}
    found = {name: usage.count(*paths) for name, paths in _OPENAI.items()}
    for name, lists in _GEMINI.items():
        given = [path for path in lists if usage.has(path)]
        for medium, modalities in _MEDIA.items() if given else ():
            count = sum(media_tokens(usage, path, modality) for path in given for modality in modalities)
            theirs = name.format(medium)
            if (told := found.get(theirs)) and told != count:
                usage.conflicts.append(f"{theirs} is {told}, but {', '.join(given)} says {count}")
            found[theirs] = count
    return {name: count for name, count in found.items() if count is not None}


def media_tokens(usage: UsageReader, path: str, modality: str) -> int:
    """Return how many tokens of `modality` Gemini counts in its list at `path`."""
    return usage.among(path, "modality", modality, "tokens" if path.endswith(_BY_MODALITY) else "token_count") or 0


def _may_count(details: Mapping[str, Any]) -> bool:
    """Tell at a glance whether any name of media, or a list by modality, is in a usage; most have none."""
    for name, value in details.items():
        if type(value) is list or snake(str(name)) in _AT_TOP:
            return True
        kind = type(value)
        if kind is not int and isinstance(value, Mapping) and not _WITHIN.isdisjoint(map(snake, map(str, value))):
            return True
    return False
