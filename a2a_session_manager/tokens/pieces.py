"""Long texts in pieces whose tokens add up to those of the whole.

A tokenizer first splits text by its pattern and never merges across. So a text may be cut wherever, in the
patterns of all four OpenAI vocabularies, no match can straddle and none looks back.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

# Characters. A text of that many is counted in half a millisecond.
PIECE = 16_384
# Without an exact place in so many characters the cut is made anyway: building the list of a longer run's tokens
# would hold the interpreter for too long, and above a million spaces the patterns give up.
LONGEST = 1 << 18
# How many characters one search covers, because `re` holds the interpreter while it looks.
_STRIDE = 1 << 13

# `\w` but for `_` is a letter or a number; `'` may begin a contraction that belongs to the letters before it.
_EXACT_CUT = re.compile(
    r"(?<=\S)(?=[ \t])"
    r"|(?<=[^\W_])(?=[\s!-&(-/:-@\[-^`{-~，。、；：！？])"
    r"|(?<=[A-Za-z])(?=[0-9])|(?<=[0-9])(?=[A-Za-z])"
)


def pieces(text: str) -> Iterator[tuple[str, bool]]:
    """Yield the pieces of `text`, each with whether the place where it ends is exact."""
    start = 0
    while len(text) - start > PIECE:
        end, is_exact = _cut(text, start)
        yield text[start:end], is_exact
        start = end
    if start < len(text):
        yield text[start:], True


def slices(text: str) -> Iterator[str]:
    """Yield `text` in pieces of one length, for work to which any cut will do."""
    return (text[start : start + PIECE] for start in range(0, len(text), PIECE))


def _cut(text: str, start: int) -> tuple[int, bool]:
    last = min(len(text), start + LONGEST)
    for begin in range(start + PIECE, last, _STRIDE):
        # The next stride sees the place where this one ends, together with what follows it.
        found = _EXACT_CUT.search(text, begin, min(begin + _STRIDE, last))
        if found:
            return found.start(), True
    return last, last == len(text)
