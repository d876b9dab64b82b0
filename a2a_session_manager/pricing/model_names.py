"""The names a model goes by → who sells it, and under which name it stands in a price list."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

Offer = tuple[str | None, str]
Sells = Callable[[str], str | None]

# These report usage and sell nothing: they say how numbers are meant, never what they cost.
_FRAMEWORKS = frozenset({"gateway", "langchain", "litellm", "openai-agents", "opentelemetry", "otel", "pydantic-ai"})
_BEDROCK = re.compile(
    r"(?:[a-z-]+\.)?(?:ai21|amazon|anthropic|cohere|deepseek|google|luma|meta|minimax|mistral|moonshot|nvidia|openai"
    r"|qwen|stability|twelvelabs|writer|zai)\.[a-z]"
)
_GOOGLE = re.compile(r"(?:projects/[^/]+/locations/[^/]+/)?(?:publishers/[^/]+/)?models/(?=[^/]+$)")
# litellm puts a route and a region into a Bedrock name: bedrock/converse/eu-west-1/…
_BEDROCK_STEP = re.compile(r"(?:converse|invoke|[a-z]{2}(?:-[a-z]+)+-\d)/")
_PREFIX = re.compile(r"([^/:]+)[/:](.+)")
# A local server calls a model that it runs itself llama3.2:3b or deepseek-r1:latest.
_LOCAL = re.compile(r"[^/]+:(?:\d+(?:\.\d+)?[bm](?:-.*)?|latest)")
_DATE = re.compile(r"-\d{4}-?\d{2}-?\d{2}$")


def offers(model: str, provider: str | None, sells: Sells) -> Iterator[Offer]:
    """Yield (seller, name) pairs to look `model` up by, the surest first; a seller of None is any.

    `sells` returns the one spelling of a seller's name, or None when nobody of that name is known. A named
    provider that is not known sells at prices that are not known: nothing is yielded.
    """
    name = model.strip().lower()
    seller = None
    if provider is not None and _plain(provider) not in _FRAMEWORKS:
        seller = sells(provider)
        if seller is None:
            return
        yield seller, name
    elif _LOCAL.fullmatch(name):
        return
    stripped = _stripped(name, seller, sells)
    if stripped != (seller, name) or seller is None:
        yield stripped


def override_names(model: str, provider: str | None) -> Iterator[str]:
    """Yield the names under which a user may have set a price for `model`, the most exact first."""
    name = model.strip().lower()
    if provider is not None:
        yield f"{provider.strip().lower()}/{name}"
    yield name
    fine_tuned = fine_tuned_id(name)
    if fine_tuned is not None:
        yield from fine_tuned
        return
    while match := _PREFIX.fullmatch(name):
        name = match[2]
        yield name


def fine_tuned_id(name: str) -> tuple[str, str] | None:
    """Return `ft:base` with and without the base's date for `ft:base:org::id`, or None for any other name."""
    if not name.startswith("ft:"):
        return None
    base = name.split(":")[1]
    return f"ft:{base}", f"ft:{_DATE.sub('', base)}"


def _stripped(name: str, seller: str | None, sells: Sells) -> Offer:
    while True:
        if name.startswith("arn:") and "/" in name:
            seller, name = seller or sells("aws"), name.rpartition("/")[2]
        elif match := _GOOGLE.match(name):
            seller, name = seller or sells("google"), name[match.end() :]
        elif name.startswith("ft:"):
            return seller or sells("openai"), name
        elif _BEDROCK.match(name):
            return seller or sells("aws"), name
        elif seller == "aws" and (match := _BEDROCK_STEP.match(name)):
            name = name[match.end() :]
        elif (match := _PREFIX.fullmatch(name)) and _may_strip(match[1], seller, sells):
            seller, name = seller or sells(match[1]), match[2]
        else:
            return seller, name


def _may_strip(head: str, seller: str | None, sells: Sells) -> bool:
    if _plain(head) in _FRAMEWORKS:
        return True
    # OpenRouter sells openrouter/anthropic/…: a second seller's name is a part of the model's.
    named = sells(head)
    return named is not None and seller in (None, named)


def _plain(provider: str) -> str:
    return provider.strip().lower().replace("_", "-")
