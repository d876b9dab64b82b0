"""What callers and providers hand in as a usage → TokenUsage."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import ValidationError

from a2a_session_manager.exceptions import InvalidEvent
from a2a_session_manager.models.fields_set import model_of, with_fields
from a2a_session_manager.models.sound_usage import is_sound
from a2a_session_manager.models.token_usage import REPORTED, TokenUsage
from a2a_session_manager.pricing.context import CONTEXT, price_context
from a2a_session_manager.pricing.usage_reader import UsageReader
from a2a_session_manager.usage.conventions import Convention, canonical_provider
from a2a_session_manager.usage.refusals import not_recognised
from a2a_session_manager.usage.report import Report
from a2a_session_manager.usage.response_ids import kept_id
from a2a_session_manager.usage.tool_uses import tool_uses
from a2a_session_manager.usage.unread import unread_keys

# The key in `details` beside the provider's own numbers, where those contradict each other.
INCONSISTENT = "inconsistent"
_COST = "cost"

_SHARED_NAMES = frozenset({"prompt_tokens", "completion_tokens", "input_tokens", "output_tokens", "total_tokens"})
_OWN_NAMES = frozenset({*TokenUsage.model_fields, *_SHARED_NAMES, "estimated_cost_usd"})
_SERVED = frozenset(CONTEXT)
# Names of ours that say nothing of what was used: providers have them as well.
_ABOUT = _SERVED | {"model", "provider", "details", "requests", "response_id"}
_NOTHING = TokenUsage().__dict__


def usage_from(
    usage: object,
    *,
    model: str | None = None,
    provider: str | None = None,
    service_tier: str | None = None,
    batch: bool = False,
    response_id: str | None = None,
) -> TokenUsage:
    """Return what `usage`, a provider's usage object or a reply that holds one, says as inclusive numbers.

    The names in it tell whose it is. `provider` is needed where names lie: "litellm" has Anthropic's names and
    OpenAI's meaning. `details` of the result keeps the provider's object as plain JSON, and under "inconsistent" what
    in it contradicts itself: then a part is cut down to its whole, and the parts stand against the total. `model`,
    `provider`, `service_tier` and `batch` (True for a request of a batch) fill in what the usage or its reply does not
    say; the tier that was served goes before the one that was asked for. `response_id`, the provider's id of the
    response, does likewise: a session counts each response once. A cost that is reported in the usage or beside it
    is the cost, `priced_by` "reported"; one that is no amount in US dollars is named under "inconsistent". Where
    something is named there and no cost is reported, and where `unread_keys` names numbers that are no known
    counts, the usage is `partially_priced`. Raises InvalidEvent for what is no usage, or no count.
    """
    asked = {"service_tier": service_tier, "processing": "batch" if batch else None}
    given_id = kept_id(response_id)
    if isinstance(usage, TokenUsage):
        return _filled(_served(usage, asked), model, provider, given_id)
    if isinstance(usage, Mapping) and usage and _is_own(usage):
        return _filled(_served(_own(usage), asked), model, provider, given_id)
    report = Report.of(usage, model=model)
    if (convention := report.convention) is None:
        raise not_recognised(usage)
    if report.is_batch:
        asked["processing"] = "batch"
    return _read(report, convention, provider, asked, given_id)


def merged_usage(chunks: Iterable[object], *, model: str | None = None, provider: str | None = None) -> TokenUsage:
    """Return the usage of one streamed reply from `chunks`: its events, or the usages in them, in their order.

    Providers stream totals so far: the largest value of each count holds, and nothing is added; a later 0 wipes out
    nothing. Events without usage are passed over. `model` and `provider` are those of `usage_from`; without a `model`
    the events name it. The first id of a response in the events is kept. Raises InvalidEvent when no event brings any
    usage. LangChain streams differences instead: add its chunks up, and give `usage_from` the sum's `usage_metadata`.
    """
    if canonical_provider(provider) == "langchain":
        raise InvalidEvent(
            "LangChain streams differences, not totals: add its chunks up, and pass usage_from the sum", path="usage"
        )
    report = Report.of_stream(chunks, model=model)
    if (convention := report.convention) is None:
        raise InvalidEvent(
            'no event of the stream brought usage: ask for it (OpenAI: stream_options={"include_usage": True}), '
            "or pass TokenUsage(prompt_tokens=…, completion_tokens=…)",
            path="usage",
        )
    return _read(report, convention, provider, {}, None)


def _read(
    report: Report,
    convention: Convention,
    provider: str | None,
    asked: Mapping[str, str | None],
    response_id: str | None,
) -> TokenUsage:
    raw, usage, cost = report.raw, UsageReader(report.raw), report.cost
    counts = convention(usage, canonical_provider(provider))
    uses = {**report.tools, **tool_uses(usage)}
    unread = unread_keys(raw, usage)
    if cost.pico_usd is not None:  # parts of it by kind are in its sum
        unread = tuple(path for path in unread if _COST not in path.lower())
    counts.problems += usage.conflicts
    counts.fit()
    counts.requests = max(counts.requests, report.requests)
    if cost.problem is not None:
        counts.problems.append(cost.problem)
    details = {**raw, INCONSISTENT: counts.problems} if counts.problems else raw
    context = price_context({**asked, **report.serving})
    numbers: dict[str, Any] = {**counts.numbers(), **uses, "details": details, "unread_keys": unread, **context}
    numbers.update(model=report.model or "", provider=provider, response_id=report.response_id or response_id)
    if cost.pico_usd is not None:
        numbers.update(cost_pico_usd=cost.pico_usd, priced_by=REPORTED)
    elif cost.problem is not None or unread or counts.problems:  # nobody knows which of two numbers is billed
        numbers.update(partially_priced=True)
    made = model_of(TokenUsage, {**_NOTHING, **numbers}, set(numbers))
    # All is checked already, but for sums that are too large. To check it by the model's class takes most of the time.
    return made if is_sound(made) else TokenUsage(**numbers)


def _is_own(usage: Mapping[str, Any]) -> bool:
    """Tell whether `usage` is a mapping of TokenUsage's fields, and not a provider's that says a tier beside counts."""
    if not _OWN_NAMES.issuperset(usage) or _ABOUT.issuperset(usage):
        return False
    return _SERVED.isdisjoint(usage) or not (_SHARED_NAMES | _SERVED).issuperset(usage)


def _own(usage: Mapping[str, Any]) -> TokenUsage:
    fields = dict(usage)
    if isinstance(fields.get("response_id"), str):
        fields["response_id"] = kept_id(fields["response_id"])
    try:
        return TokenUsage.model_validate(fields)
    except ValidationError as error:
        # Providers have these names as well, and what a provider says is kept even where it contradicts itself.
        if _SHARED_NAMES.issuperset(usage):
            report = Report.of(usage, model=None)
            if (convention := report.convention) is not None:
                return _read(report, convention, None, {}, None)
        raise InvalidEvent(f"usage is not understood: {error}", path="usage") from error


def _served(usage: TokenUsage, asked: Mapping[str, str | None]) -> TokenUsage:
    """Return `usage` with what was asked for, where nothing is said of how it was served."""
    about = {name: value for name, value in price_context(asked).items() if getattr(usage, name) is None}
    return usage.model_copy(update=about) if about else usage


def _filled(usage: TokenUsage, model: str | None, provider: str | None, response_id: str | None) -> TokenUsage:
    about: dict[str, Any] = {}
    if model and not usage.model:
        about["model"] = model
    if provider is not None and usage.provider is None:
        about["provider"] = provider
    if response_id is not None and usage.response_id is None:
        about["response_id"] = response_id
    return with_fields(usage, about) if about else usage
