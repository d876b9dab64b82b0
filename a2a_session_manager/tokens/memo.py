"""Counts by digest, so that a conversation is not counted again with every message."""

from __future__ import annotations

from collections import OrderedDict
from hashlib import sha256

from a2a_session_manager.tokens.pieces import PIECE, slices


class CountMemo:
    """The last `size` counts. Only exact ones are put in: an estimate must not outlive its reason.

    The keys are digests, so that the memo holds no text. The event loop and threads use it without a lock: each step is
    one call on the dict, and a count that a race loses is counted once more.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._counts: OrderedDict[bytes, int] = OrderedDict()

    def __len__(self) -> int:
        return len(self._counts)

    def get(self, key: bytes) -> int | None:
        """Return the count of `key`, which is now the youngest; None when it is not known."""
        tokens = self._counts.get(key)
        if tokens is None:
            return None
        try:
            self._counts.move_to_end(key)
        except KeyError:
            return tokens  # another thread has removed it meanwhile
        return tokens

    def put(self, key: bytes, tokens: int) -> None:
        """Remember a count. Above the size, the counts that were unused for longest are forgotten."""
        self._counts[key] = tokens
        while len(self._counts) > self._size:
            try:
                self._counts.popitem(last=False)
            except KeyError:
                return  # another thread has removed the last one


def digest(encoding: str, text: str) -> bytes:
    """Return the memo's key of `text` in an encoding."""
    hashed = sha256(encoding.encode() + b"\xff")
    # The text goes in slices, because encoding many surrogates takes long and holds the interpreter.
    for part in slices(text) if len(text) > PIECE else (text,):
        hashed.update(part.encode("utf-8", "surrogatepass"))
    return hashed.digest()
