"""Counts by digest, so that a conversation is not counted again with every message."""

from __future__ import annotations

import sys
from collections import OrderedDict
from collections.abc import Sequence
from hashlib import sha256
from typing import Final, TypeAlias

from a2a_session_manager.tokens.pieces import slices

# Python's own hash of some texts, with their length, is a digest by a key of this process alone, which is as old as the
# memo. It takes a quarter of the time of SHA-256, and is that of other known texts for one in 10 ** 15.
HAS_KEYED_HASH: Final = sys.hash_info.algorithm.startswith("siphash") and sys.hash_info.width >= 64

# The encoding's name, what stands for the texts that are counted together, and their length.
MemoKey: TypeAlias = tuple[str, bytes | int, int]


class CountMemo:
    """The last `size` counts. Only exact ones are put in: an estimate must not outlive its reason.

    The keys are of digests, so that the memo holds no text. The event loop and threads use it without
    a lock: each step is one call on the dict, and a count that a race loses is counted once more.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._counts: OrderedDict[MemoKey, int] = OrderedDict()

    def __len__(self) -> int:
        return len(self._counts)

    def get(self, key: MemoKey) -> int | None:
        """Return the count of `key`, which is now the youngest; None when it is not known."""
        counts = self._counts
        tokens = counts.get(key)
        if tokens is not None:
            try:
                counts.move_to_end(key)
            except KeyError:
                return tokens  # another thread has removed it meanwhile
        return tokens

    def put(self, key: MemoKey, tokens: int) -> None:
        """Remember a count. Above the size, the counts that were unused for longest are forgotten."""
        if not self._size:
            return
        self._counts[key] = tokens
        while len(self._counts) > self._size:
            try:
                self._counts.popitem(last=False)
            except KeyError:
                return  # another thread has removed the last one


def digest(texts: Sequence[str]) -> bytes:
    """Return what stands in a key for texts where HAS_KEYED_HASH is false."""
    hashed = sha256()
    for text in texts:
        hashed.update(b"%d:" % len(text))
        # The text goes in slices, because encoding many surrogates takes long and holds the interpreter.
        for part in slices(text):
            hashed.update(part.encode("utf-8", "surrogatepass"))
    return hashed.digest()
