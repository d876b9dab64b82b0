"""Tokens and money of one request, and their sums by model, source and run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Annotated, Any, Literal, Self

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, model_validator

from a2a_session_manager.models.clock import utc_now
from a2a_session_manager.tokens.counting import TokenCounter, count_prompt_tokens, count_tokens, weakest_basis
from a2a_session_manager.tokens.pricing import DEFAULT_PRICER, prices_are_loaded, warm_up_prices

Count = Annotated[int, Field(ge=0)]
Tallies = Mapping[str, "TokenTally"]

PICO_PER_USD = 10**12

# The integers that are summed, in the order every store writes them.
COUNTERS = (
    "requests",
    "unpriced_requests",
    "prompt_tokens",
    "completion_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "cache_write_1h_tokens",
    "reasoning_tokens",
    "input_audio_tokens",
    "output_audio_tokens",
    "cost_pico_usd",
)


class TokenUsage(BaseModel):
    """What one request used. Inclusive: cached and audio tokens are part of their side, reasoning of the output.

    `basis` says where the numbers come from: the provider (`reported`), a tokenizer (`counted`) or a guess
    (`estimated`). `cost_pico_usd` is in 10⁻¹² US dollars, None where the price is unknown; `priced_by` names
    the source of the price. `details` keeps the provider's own object. `input_tokens` and `output_tokens`
    are accepted and readable as other names of `prompt_tokens` and `completion_tokens`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    prompt_tokens: Count = Field(default=0, validation_alias=AliasChoices("prompt_tokens", "input_tokens"))
    completion_tokens: Count = Field(default=0, validation_alias=AliasChoices("completion_tokens", "output_tokens"))
    cache_read_tokens: Count = 0
    cache_write_tokens: Count = 0
    cache_write_1h_tokens: Count = 0
    reasoning_tokens: Count = 0
    input_audio_tokens: Count = 0
    output_audio_tokens: Count = 0
    requests: Count = 1
    model: str = ""
    provider: str | None = None
    basis: Literal["reported", "counted", "estimated"] = "reported"
    cost_pico_usd: Count | None = None
    priced_by: str | None = None
    details: dict[str, Any] | None = None

    @model_validator(mode="before")
    @classmethod
    def _accept_older_names(cls, data: Any) -> Any:
        if not isinstance(data, Mapping) or not {"total_tokens", "estimated_cost_usd"} & data.keys():
            return data
        values = dict(data)
        _check_total(values.pop("total_tokens", None), values)
        cost = values.pop("estimated_cost_usd", None)
        if cost is not None:
            _add_cost(pico_from_usd(cost), values)
        return values

    @model_validator(mode="after")
    def _parts_fit_their_whole(self) -> TokenUsage:
        self._check("prompt_tokens", ("cache_read_tokens", "cache_write_tokens"))
        self._check("prompt_tokens", ("input_audio_tokens",))
        self._check("cache_write_tokens", ("cache_write_1h_tokens",))
        self._check("completion_tokens", ("reasoning_tokens",))
        self._check("completion_tokens", ("output_audio_tokens",))
        return self

    def _check(self, whole: str, parts: tuple[str, ...]) -> None:
        total, limit = sum(getattr(self, part) for part in parts), getattr(self, whole)
        if total > limit:
            raise ValueError(f"{' + '.join(parts)} is {total}, more than the {limit} {whole} it is part of")

    @classmethod
    async def from_text(
        cls,
        prompt: str | Iterable[Mapping[str, Any]] = "",
        completion: str | None = None,
        model: str = "gpt-3.5-turbo",
        *,
        counter: TokenCounter | None = None,
    ) -> Self:
        """Return the usage of one request by counting: a prompt as text or as chat messages, and the answer's text.

        For when the provider reported nothing: its own numbers also know the tools and media of the request.
        """
        asked = await count_prompt_tokens(prompt, model, counter=counter)
        answered = await count_tokens(completion or "", model, counter=counter)
        basis = weakest_basis(asked, answered)
        return cls(prompt_tokens=asked.tokens, completion_tokens=answered.tokens, model=model, basis=basis)

    async def priced_at(self, at: datetime) -> Self:
        """Return this usage with its list price at `at`; the same object when it has one, or none is known."""
        if self.cost_pico_usd is not None:
            return self
        if not prices_are_loaded():
            await warm_up_prices()
        cost = DEFAULT_PRICER.price(self, self.model, self.provider, at)
        if cost is None:
            return self
        return self.model_copy(update={"cost_pico_usd": cost.cost_pico_usd, "priced_by": cost.priced_by})

    @property
    def input_tokens(self) -> int:
        return self.prompt_tokens

    @property
    def output_tokens(self) -> int:
        return self.completion_tokens

    @property
    def total_tokens(self) -> int:
        return self.prompt_tokens + self.completion_tokens

    @property
    def estimated_cost_usd(self) -> Decimal | None:
        """The cost in US dollars, exact; None where it is unknown (never 0).

        Without a stored cost this prices at now, and stores nothing; the first time it imports the price list.
        """
        if self.cost_pico_usd is not None:
            return usd_from_pico(self.cost_pico_usd)
        cost = DEFAULT_PRICER.price(self, self.model, self.provider, utc_now())
        return None if cost is None else usd_from_pico(cost.cost_pico_usd)

    @property
    def model_fields_set(self) -> set[str]:
        """The names of the fields that were given, in a set of its own: loaded usages share the one they keep."""
        return set(self.__pydantic_fields_set__)

    def counters(self) -> dict[str, int]:
        """Return what this usage adds to a sum: the counters that are not zero."""
        counted = {name: getattr(self, name, 0) or 0 for name in COUNTERS}
        if self.cost_pico_usd is None:
            counted["unpriced_requests"] = self.requests
        return {name: count for name, count in counted.items() if count}


class TokenTally(BaseModel):
    """A sum of usages: integers only. With `unpriced_requests` above 0, the cost is a lower bound."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    requests: Count = 0
    unpriced_requests: Count = 0
    prompt_tokens: Count = 0
    completion_tokens: Count = 0
    cache_read_tokens: Count = 0
    cache_write_tokens: Count = 0
    cache_write_1h_tokens: Count = 0
    reasoning_tokens: Count = 0
    input_audio_tokens: Count = 0
    output_audio_tokens: Count = 0
    cost_pico_usd: Count = 0

    @property
    def total_tokens(self) -> int:
        return self.prompt_tokens + self.completion_tokens

    @property
    def estimated_cost_usd(self) -> Decimal:
        """The sum of the known costs in US dollars, exact."""
        return usd_from_pico(self.cost_pico_usd)

    @property
    def is_lower_bound(self) -> bool:
        """True when a request without a price is in the sum."""
        return self.unpriced_requests > 0

    @property
    def total_prompt_tokens(self) -> int:
        return self.prompt_tokens

    @property
    def total_completion_tokens(self) -> int:
        return self.completion_tokens

    @property
    def total_estimated_cost_usd(self) -> Decimal:
        """`estimated_cost_usd`, by the name that sums had in 0.1."""
        return self.estimated_cost_usd

    def plus(self, counters: Mapping[str, int]) -> TokenTally:
        """Return this sum with `counters` (a part of COUNTERS) added."""
        return self.model_copy(update={name: getattr(self, name) + count for name, count in counters.items()})

    def __add__(self, other: TokenTally) -> TokenTally:
        return self.plus({name: getattr(other, name) for name in COUNTERS})

    def __sub__(self, other: TokenTally) -> TokenTally:
        return self.plus({name: -getattr(other, name) for name in COUNTERS})


class TokenSummary(BaseModel):
    """Spend of a session or a tree: `by_model` → `source` → tally, and by run where runs were brought along.

    Every request counts once. Retracting an event takes nothing back: the money is spent.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    by_model: dict[str, dict[str, TokenTally]] = Field(default_factory=dict)
    by_run: dict[str, TokenTally] = Field(default_factory=dict)

    @property
    def total(self) -> TokenTally:
        return summed(tally for sources in self.by_model.values() for tally in sources.values())

    @property
    def usage_by_model(self) -> dict[str, TokenTally]:
        return {model: summed(sources.values()) for model, sources in self.by_model.items()}

    @property
    def usage_by_source(self) -> dict[str, TokenTally]:
        return {source: summary.total for source, summary in self.by_source.items()}

    @property
    def by_source(self) -> dict[str, TokenSummary]:
        """By source instead of by model: each a summary of its own, without runs."""
        sources = sorted({source for row in self.by_model.values() for source in row})
        return {
            source: TokenSummary.model_construct(
                by_model={model: {source: row[source]} for model, row in self.by_model.items() if source in row},
                by_run={},
            )
            for source in sources
        }

    @property
    def total_prompt_tokens(self) -> int:
        return self.total.prompt_tokens

    @property
    def total_completion_tokens(self) -> int:
        return self.total.completion_tokens

    @property
    def total_tokens(self) -> int:
        return self.total.total_tokens

    @property
    def total_estimated_cost_usd(self) -> Decimal:
        """The sum of the known costs in US dollars; a lower bound while `unpriced_requests` is above 0."""
        return self.total.estimated_cost_usd

    @property
    def unpriced_requests(self) -> int:
        return self.total.unpriced_requests

    def plus(self, usage: TokenUsage, *, source: str, run_id: str | None = None) -> TokenSummary:
        """Return this summary with one more usage folded in."""
        counters = usage.counters()
        row = self.by_model.get(usage.model, {})
        tally = row.get(source, NOTHING_SPENT).plus(counters)
        by_model = {**self.by_model, usage.model: {**row, source: tally}}
        by_run = self.by_run
        if run_id is not None:
            by_run = {**by_run, run_id: by_run.get(run_id, NOTHING_SPENT).plus(counters)}
        return TokenSummary.model_construct(by_model=by_model, by_run=by_run)

    def __add__(self, other: TokenSummary) -> TokenSummary:
        models = self.by_model.keys() | other.by_model.keys()
        return TokenSummary.model_construct(
            by_model={
                model: _merged(self.by_model.get(model, {}), other.by_model.get(model, {})) for model in sorted(models)
            },
            by_run=_merged(self.by_run, other.by_run),
        )


def summed(tallies: Iterable[TokenTally]) -> TokenTally:
    """Return the sum of `tallies`; nothing spent when there are none."""
    return sum(tallies, NOTHING_SPENT)


def usd_from_pico(pico: int) -> Decimal:
    """Return pico-dollars as dollars, exact."""
    return Decimal(pico).scaleb(-12)


def pico_from_usd(usd: Decimal | float | str) -> int:
    """Return dollars as whole pico-dollars, half to even. Raises ValueError for what is no amount."""
    try:
        return int((Decimal(str(usd)) * PICO_PER_USD).to_integral_value(rounding=ROUND_HALF_EVEN))
    except (ArithmeticError, ValueError) as error:
        raise ValueError(f"{usd!r} is not an amount of US dollars") from error


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
    # Parts that are no numbers are reported by their own fields.
    if total is not None and all(isinstance(part, int) for part in parts) and total != sum(parts):
        raise ValueError(f"total_tokens is {total}, but its parts add up to {sum(parts)}")


def _merged(mine: Tallies, theirs: Tallies) -> dict[str, TokenTally]:
    return {
        name: mine.get(name, NOTHING_SPENT) + theirs.get(name, NOTHING_SPENT)
        for name in [*mine, *(name for name in theirs if name not in mine)]
    }


NOTHING_SPENT = TokenTally()
