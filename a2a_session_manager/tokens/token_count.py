"""TokenCount, a number of tokens that knows how sure it is, and TokenCounter, the protocol of what counts them."""

from __future__ import annotations

from typing import Literal, Protocol, runtime_checkable

Basis = Literal["counted", "estimated"]


class TokenCount(int):
    """A number of tokens: an int to compare and add (a sum is a plain int), with where it comes from.

    `basis` is `counted` when the model's own vocabulary said so, otherwise `estimated`. `encoding` is the
    vocabulary that was used; None where there was none and the bytes were counted.
    """

    basis: Basis
    encoding: str | None

    def __new__(cls, tokens: int, basis: Basis = "counted", encoding: str | None = None) -> TokenCount:
        count = int.__new__(cls, tokens)
        count.basis = basis
        count.encoding = encoding
        return count

    @property
    def tokens(self) -> int:
        return int(self)

    def __reduce__(self) -> tuple[type[TokenCount], tuple[int, Basis, str | None]]:
        return TokenCount, (int(self), self.basis, self.encoding)

    def __repr__(self) -> str:
        return f"TokenCount({int(self)}, {self.basis!r}, {self.encoding!r})"


@runtime_checkable
class TokenCounter(Protocol):
    """What counts tokens; give your own as `counter=` where tokens are counted.

    `count` is called in worker threads, also by several at once. It may block; it must not need an event loop. What
    pictures and other media take is counted by a MediaTokens: by the attribute `media_tokens`, where a counter has one.
    """

    def count(self, text: str, model: str) -> TokenCount:
        """Return the tokens of `text` for `model`, with the basis `counted` only when they are exact."""
        ...


def weakest_basis(*counts: TokenCount) -> Basis:
    """Return what a sum of `counts` may call itself: `estimated` as soon as one of them is."""
    return "estimated" if any(count.basis == "estimated" for count in counts) else "counted"
