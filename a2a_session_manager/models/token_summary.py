"""TokenSummary: what a session or a tree spent, by model, source and run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Protocol

from pydantic import BaseModel, ConfigDict, Field

from a2a_session_manager.models.token_tally import NOTHING_SPENT, TokenTally, summed

Tallies = Mapping[str, TokenTally]


class SummedUsage(Protocol):
    """What is summed: a TokenUsage, which this module cannot import, because that one imports this."""

    @property
    def model(self) -> str: ...
    def counters(self) -> dict[str, int]: ...


class TokenSummary(BaseModel):
    """Spend of a session or a tree: by model, then by source; and by run, where runs were brought along.

    `by_model["gpt-4o"]["llm"]` is a tally, and so is `by_run["run-1"]`. Every request counts once. Retracting an
    event takes nothing back: the money is spent. Summaries are added.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    by_model: dict[str, dict[str, TokenTally]] = Field(default_factory=dict)
    by_run: dict[str, TokenTally] = Field(default_factory=dict)

    @property
    def total(self) -> TokenTally:
        """All of it as one sum."""
        return summed(tally for sources in self.by_model.values() for tally in sources.values())

    @property
    def usage_by_model(self) -> dict[str, TokenTally]:
        """By the name of the model, "" where none was named, over all sources."""
        return {model: summed(sources.values()) for model, sources in self.by_model.items()}

    @property
    def usage_by_source(self) -> dict[str, TokenTally]:
        """By `EventSource` value, over all models."""
        tallies: dict[str, list[TokenTally]] = {}
        for row in self.by_model.values():
            for source, tally in row.items():
                tallies.setdefault(source, []).append(tally)
        return {source: summed(tallies[source]) for source in sorted(tallies)}

    @property
    def by_source(self) -> dict[str, TokenSummary]:
        """By `EventSource` value instead of by model: each a summary of its own, without runs."""
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
        """Input tokens of all requests."""
        return self.total.prompt_tokens

    @property
    def total_completion_tokens(self) -> int:
        """Output tokens of all requests."""
        return self.total.completion_tokens

    @property
    def total_tokens(self) -> int:
        """Input and output tokens of all requests."""
        return self.total.total_tokens

    @property
    def total_estimated_cost_usd(self) -> Decimal:
        """The sum of the known costs in US dollars; a lower bound while `is_lower_bound`."""
        return self.total.estimated_cost_usd

    @property
    def cost_pico_usd(self) -> int:
        """The sum of the known costs in 10⁻¹² US dollars."""
        return self.total.cost_pico_usd

    @property
    def is_lower_bound(self) -> bool:
        """True when a request is in the sum that has no price, or not for all of it, or whose usage is not known."""
        return self.total.is_lower_bound

    @property
    def unpriced_requests(self) -> int:
        """How many requests are in no cost, because their price is not known."""
        return self.total.unpriced_requests

    @property
    def requests_without_usage(self) -> int:
        """How many requests are in no count of tokens, because their usage never came, or was not understood."""
        return self.total.requests_without_usage

    @property
    def repeated_requests(self) -> int:
        """How many usages came again of a response that was counted already."""
        return self.total.repeated_requests

    def plus(self, usage: SummedUsage, *, source: str, run_id: str | None = None) -> TokenSummary:
        """Return this summary with one more usage folded in.

        `source` is an `EventSource` value, `run_id` the run in which it was spent, None for none.
        """
        return self.plus_all([(usage, source, run_id)])

    def plus_all(self, spent: Iterable[tuple[SummedUsage, str, str | None]]) -> TokenSummary:
        """Return this summary with `spent` folded in: usages, each with its source and its run's id or None."""
        by_model, by_run = dict(self.by_model), dict(self.by_run)
        for usage, source, run_id in spent:
            counters = usage.counters()
            row = by_model.get(usage.model, {})
            by_model[usage.model] = {**row, source: row.get(source, NOTHING_SPENT).plus(counters)}
            if run_id is not None:
                by_run[run_id] = by_run.get(run_id, NOTHING_SPENT).plus(counters)
        return TokenSummary.model_construct(by_model=by_model, by_run=by_run)

    def __add__(self, other: TokenSummary) -> TokenSummary:
        models = self.by_model.keys() | other.by_model.keys()
        return TokenSummary.model_construct(
            by_model={
                model: _merged(self.by_model.get(model, {}), other.by_model.get(model, {})) for model in sorted(models)
            },
            by_run=_merged(self.by_run, other.by_run),
        )


# A constant: what is added to it makes another one.
NO_SPEND = TokenSummary()


def _merged(mine: Tallies, theirs: Tallies) -> dict[str, TokenTally]:
    return {
        name: mine.get(name, NOTHING_SPENT) + theirs.get(name, NOTHING_SPENT)
        for name in [*mine, *(name for name in theirs if name not in mine)]
    }
