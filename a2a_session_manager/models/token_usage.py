"""TokenUsage: tokens and money of one request."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, Self, TypeGuard, TypeVar

from pydantic import AfterValidator, Field, StrictBool, model_validator

from a2a_session_manager.identifiers import ID_CHARACTERS, is_id
from a2a_session_manager.models.clock import utc_now
from a2a_session_manager.models.fields_set import put_fields, shared_names, with_fields
from a2a_session_manager.models.money import MOST_PICO_USD, pico_from_usd, usd_from_pico
from a2a_session_manager.models.plain_usage import plain_usage
from a2a_session_manager.models.request_counts import Counted, RequestCounts
from a2a_session_manager.models.token_counts import Count
from a2a_session_manager.models.token_summary import TokenSummary
from a2a_session_manager.models.token_tally import COUNTERS, TokenTally
from a2a_session_manager.pricing.context import CONTEXT, price_context, with_search_size
from a2a_session_manager.pricing.list_prices import prices_are_loaded, warm_up_prices
from a2a_session_manager.pricing.media import media_counts
from a2a_session_manager.pricing.pricer import DEFAULT_PRICER, Pricer
from a2a_session_manager.pricing.usage_numbers import TOOL_USES
from a2a_session_manager.pricing.usage_price import price_usage
from a2a_session_manager.tokens.counting import TokenCounter, count_prompt_tokens, count_tokens, weakest_basis

# The sums are found here as well, where 0.1 had them.
__all__ = ["COUNTERS", "TokenSummary", "TokenTally", "TokenUsage"]

# What is summed of every usage; what is paid by use is rare.
_SUMMED = tuple(name for name in COUNTERS if name in {*RequestCounts.model_fields, "cost_pico_usd"} - {*TOOL_USES})

UsageT = TypeVar("UsageT", bound="TokenUsage")

# The key in `details` for the reason why a known model's numbers have no price.
UNPRICED = "unpriced"
# The basis of a usage that never came, or that was not understood.
UNKNOWN: Final = "unknown"
# `priced_by` of a cost that the provider reported.
REPORTED = "reported"


def _checked_response_id(value: str) -> str:
    if not is_id(value):
        raise ValueError(f"an id of a response is valid Unicode of 1 to {ID_CHARACTERS} characters; None is for none")
    return value


class TokenUsage(RequestCounts):
    """What one request used. Inclusive: cached and audio tokens are part of their side, reasoning of the output.

    `cache_read_tokens` of the prompt came out of the provider's cache, `cache_write_tokens` were put into it, and
    `cache_write_1h_tokens` of these for an hour. `requests` is more than 1 where a provider's object is a sum itself.
    What is paid by use is counted beside the tokens, `web_searches` first; `tool_uses` has all that are above 0.

    `basis` says where the numbers come from: the provider (`reported`), a tokenizer (`counted`) or a guess
    (`estimated`); of a request whose usage never came, or was not understood, nothing is known (`unknown`).
    `cost_pico_usd` is in 10⁻¹² US dollars, None where the price is unknown; `priced_by` names the source of the price.
    `details` keeps the provider's own object. `input_tokens` and `output_tokens` are accepted and readable as other
    names of `prompt_tokens` and `completion_tokens`; `total_tokens` and `estimated_cost_usd` are accepted as well.

    `service_tier` ("flex", "priority" …), `processing` ("batch"), `speed` ("fast") and `region` are what the price
    depends on besides the counts, None where it is the standard one. `list_cost_pico_usd` is the list's price, kept
    beside a cost that the provider reported (`priced_by` is "reported"). `partially_priced` says that something in
    the request has no price that is known, so that its cost is not the whole of it.

    `unread_keys` are the paths in `details` of numbers that look like counts, and that nobody knows. `context_tokens`
    is what the last of several model calls in one request left in the context, such as after a compaction; None for a
    single call.

    `response_id` is the provider's id of the response. A session counts each response once: a later usage of the same
    one adds only what exceeds the earlier ones, count by count, and `repeated_requests` of the totals counts it.

    One usage counts up to a trillion. Raises InvalidEvent, which is a ValueError, where a part is larger than its
    whole, or a total is not the sum of its parts.
    """

    model: str = ""
    provider: str | None = None
    basis: Literal["reported", "counted", "estimated", "unknown"] = "reported"
    cost_pico_usd: Annotated[Count, Field(le=MOST_PICO_USD)] | None = None
    priced_by: str | None = None
    details: dict[str, Any] | None = None
    service_tier: str | None = None
    processing: str | None = None
    speed: str | None = None
    region: str | None = None
    list_cost_pico_usd: Annotated[Count, Field(le=MOST_PICO_USD)] | None = None
    partially_priced: StrictBool = False
    unread_keys: tuple[str, ...] = ()
    context_tokens: Counted | None = None
    response_id: Annotated[str, AfterValidator(_checked_response_id)] | None = None

    if not TYPE_CHECKING:  # type checkers know the fields by name

        def __init__(self, **fields: Any) -> None:
            plain = plain_usage(fields, _NOTHING) if type(self) is TokenUsage else None
            if plain is None:
                super().__init__(**fields)
            else:
                put_fields(self, plain, shared_names(tuple(fields)))

        # Without this mark, pydantic would call `__init__` for every model inside another one, which is slower.
        __init__.__pydantic_base_init__ = True

    @model_validator(mode="before")
    @classmethod
    def _accept_older_names(cls, data: Any) -> Any:
        if type(data) is cls or not isinstance(data, Mapping):  # one in an event comes as it is
            return data
        if bool in map(type, data.values()) and any(
            type(value) is bool and name != "partially_priced" for name, value in data.items()
        ):
            raise ValueError("True and False are no counts: give numbers")
        if "total_tokens" not in data and "estimated_cost_usd" not in data:
            return data
        values = dict(data)
        _check_total(values.pop("total_tokens", None), values)
        cost = values.pop("estimated_cost_usd", None)
        if cost is not None:
            _add_cost(pico_from_usd(cost), values)
        return values

    @classmethod
    async def from_text(
        cls,
        prompt: str | Iterable[Mapping[str, Any]] = "",
        completion: str | None = None,
        model: str = "gpt-3.5-turbo",
        *,
        counter: TokenCounter | None = None,
    ) -> Self:
        """Return the usage of one request by counting tokens, for when the provider reported nothing.

        `prompt` is the request's text or chat messages, `completion` the answer's text, None for none yet. The
        vocabulary of `model` counts, or `counter`. The provider's own numbers also know the request's tools and media.
        """
        asked = await count_prompt_tokens(prompt, model, counter=counter)
        answered = await count_tokens(completion or "", model, counter=counter)
        basis = weakest_basis(asked, answered)
        return cls(prompt_tokens=asked.tokens, completion_tokens=answered.tokens, model=model, basis=basis)

    async def priced_at(self, at: datetime) -> Self:
        """Return this usage with its list price at `at`; the same object when it has one, or none is known.

        Where the model is known and its price does not fit the numbers, `details["unpriced"]` says why.
        """
        if not lacks_price(self):
            return self
        if not prices_are_loaded():
            await warm_up_prices()
        return priced(self, at)

    @property
    def input_tokens(self) -> int:
        """`prompt_tokens`, by its other name."""
        return self.prompt_tokens

    @property
    def output_tokens(self) -> int:
        """`completion_tokens`, by its other name."""
        return self.completion_tokens

    @property
    def estimated_cost_usd(self) -> Decimal | None:
        """The cost in US dollars, exact; None where it is unknown (never 0).

        Without a stored cost this prices at now, and stores nothing; the first time it imports the price list.
        """
        if self.cost_pico_usd is not None:
            return usd_from_pico(self.cost_pico_usd)
        if self.basis == UNKNOWN:
            return None
        cost = price_usage(self, utc_now()).cost
        return None if cost is None else usd_from_pico(cost.cost_pico_usd)

    @property
    def context_size(self) -> int | None:
        """How many tokens the request left in the model's context; None for a sum of several requests, and for 0."""
        if self.requests > 1:
            return None
        return (self.total_tokens if self.context_tokens is None else self.context_tokens) or None

    @property
    def media(self) -> dict[str, int]:
        """What `details` says about images, video and cached audio, by the names in price lists; not stored apart."""
        return media_counts(self.details)

    @property
    def price_context(self) -> dict[str, str]:
        """What the price depends on besides the counts, by the names that genai-prices gives it; mostly empty."""
        held = self.__dict__
        if held["service_tier"] is held["processing"] is held["speed"] is held["region"] is None:
            return with_search_size({}, held["details"])
        return with_search_size(price_context({name: held[name] for name in CONTEXT}), held["details"])

    @property
    def list_cost_usd(self) -> Decimal | None:
        """What the list asks for it, in US dollars, where the provider reported another cost; else None."""
        return None if self.list_cost_pico_usd is None else usd_from_pico(self.list_cost_pico_usd)

    @property
    def differs_from_list(self) -> bool:
        """True when the reported cost is more than 1 % above or below the list's."""
        listed, cost = self.list_cost_pico_usd, self.cost_pico_usd
        return listed is not None and cost is not None and abs(cost - listed) * 100 > listed

    def counters(self) -> dict[str, int]:
        """Return what this usage adds to a TokenTally, by its names: the counters that are not zero."""
        # The dict in which a model keeps its fields is asked: to ask the model for one that is missing takes long.
        held = self.__dict__.get
        counted = {name: count for name in _SUMMED if (count := held(name))}
        counted.update(self.tool_uses)
        if held("cost_pico_usd") is None and (requests := held("requests")):
            counted["unpriced_requests"] = requests
        if held("partially_priced") and (requests := held("requests")):
            counted["partially_priced_requests"] = requests
        if held("basis") == UNKNOWN and (requests := held("requests")):
            counted["requests_without_usage"] = requests
        return counted


_NOTHING = {name: field.default for name, field in TokenUsage.model_fields.items()}


def lacks_price(usage: TokenUsage) -> bool:
    """Tell whether `usage` has no cost, or a reported one without the list's beside it; an unknown one costs no 0."""
    held = usage.__dict__.get
    if held("basis") == UNKNOWN:
        return False
    if held("cost_pico_usd") is None:
        return True
    return held("priced_by") == REPORTED and held("list_cost_pico_usd") is None


def priced(usage: UsageT, at: datetime, pricer: Pricer = DEFAULT_PRICER) -> UsageT:
    """Return `usage` with its cost at `at`; the same object when it has one, or when nobody knows one.

    A cost that the provider reported stays, and the list's is put beside it.
    Where the model is known and its price does not fit the numbers, or not all of them, `details["unpriced"]` says why.
    """
    if not lacks_price(usage):
        return usage
    cost, reason = price_usage(usage, at, pricer)
    if usage.cost_pico_usd is not None:
        listed = None if cost is None or cost.missing else cost.cost_pico_usd
        return usage if listed is None else with_fields(usage, {"list_cost_pico_usd": listed})
    details = usage.details or {}
    if cost is not None:
        known: dict[str, Any] = {"cost_pico_usd": cost.cost_pico_usd, "priced_by": cost.priced_by}
        if UNPRICED in details:  # it was asked for before, from a pricer that did not know
            known["details"] = {name: value for name, value in details.items() if name != UNPRICED} or None
        if cost.missing:
            known["partially_priced"] = True
            known["details"] = {**details, UNPRICED: f"no price is known for {', '.join(cost.missing)}"}
        return with_fields(usage, known)
    if reason is None or details.get(UNPRICED) == reason:
        return usage
    partially = {"partially_priced": True} if usage.price_context else {}
    return usage.model_copy(update={"details": {**details, UNPRICED: reason}, **partially})


def tells_context(usage: TokenUsage | None) -> TypeGuard[TokenUsage]:
    """Tell whether a usage says how full the model's context is: an empty one of a synthetic answer does not."""
    return usage is not None and usage.total_tokens > 0


def _add_cost(pico: int, values: dict[str, Any]) -> None:
    known = values.get("cost_pico_usd")
    if known is not None and known != pico:
        raise ValueError(f"estimated_cost_usd is {pico} pico-dollars, but cost_pico_usd is {known}: give one of them")
    values["cost_pico_usd"] = pico
    values.setdefault("priced_by", "caller")


def _check_total(total: object, values: Mapping[str, Any]) -> None:
    parts = [
        values.get("prompt_tokens", values.get("input_tokens", 0)),
        values.get("completion_tokens", values.get("output_tokens", 0)),
    ]
    # What is no number is reported by its own field.
    if total is not None and all(isinstance(part, int) for part in parts) and total != sum(parts):
        raise ValueError(f"total_tokens is {total}, but its parts add up to {sum(parts)}")
