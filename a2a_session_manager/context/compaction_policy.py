"""CompactionPolicy: when a conversation is compacted, and what of it stays."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from a2a_session_manager.exceptions import InvalidSessionOperation
from a2a_session_manager.identifiers import shown
from a2a_session_manager.models import arguments

# Of `start_at`: what stays, and what has to be gained.
_KEPT_SHARE: Final = 2
_GAINED_SHARE: Final = 10


@dataclass(frozen=True, slots=True)
class CompactionPolicy:
    """When `maybe_compact` compacts, and how. All numbers but `pause` are tokens.

    Between `keep` and `start_at` nothing is done, so that a conversation is compacted rarely, and its prefix stays what
    a provider's cache holds. Making one with numbers that contradict each other raises InvalidSessionOperation.

    Args:
        start_at: the context size, as the newest request has reported it, from which on it is done: such as 80 % of
            what the model takes.
        keep: what the newest turns that stay may take; half of `start_at` by default.
        minimum_gain: a compaction that spares less is not made; a tenth of `start_at` by default.
        budget: what the messages that are summarised may take at most; see `compact`.
        max_tokens: what the summary may take at most; see `compact`.
        model: the name of the model whose tokens are counted.
        pause: for how many seconds nothing is tried again on this handle after a try that came to nothing.
    """

    start_at: int
    keep: int | None = None
    minimum_gain: int | None = None
    budget: int | None = None
    max_tokens: int | None = None
    model: str | None = None
    pause: float = 60.0

    def __post_init__(self) -> None:
        for name in ("start_at", "keep", "minimum_gain", "budget", "max_tokens"):
            arguments.limit(name, getattr(self, name))
        if not self.start_at:
            raise InvalidSessionOperation("start_at=0 would compact all the time: take the tokens that are too many")
        if self.kept >= self.start_at:
            raise InvalidSessionOperation(
                f"keep={self.keep} leaves nothing to gain at start_at={self.start_at}: keep less"
            )
        if not _is_time(self.pause):
            raise InvalidSessionOperation(f"pause={shown(self.pause)} is no time: take 0 or more seconds")

    @property
    def kept(self) -> int:
        """What the newest turns may take."""
        return self.start_at // _KEPT_SHARE if self.keep is None else self.keep

    @property
    def gained(self) -> int:
        """What has to be gained at least."""
        return max(1, self.start_at // _GAINED_SHARE if self.minimum_gain is None else self.minimum_gain)


def _is_time(seconds: Any) -> bool:
    # NaN is not, either: it is never over.
    return isinstance(seconds, int | float) and not isinstance(seconds, bool) and seconds >= 0
