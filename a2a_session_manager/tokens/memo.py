"""Counts by digest, so that a conversation is not counted again with every message."""

from __future__ import annotations

from collections import OrderedDict
from hashlib import blake2b
from typing import Final, TypeAlias

from a2a_session_manager.tokens.pieces import PIECE, slices

# A text that is no longer than its digest in hex is its own key: roles, names and ids.
_OWN_KEY: Final = 32
_DIGEST: Final = 16

MemoKey: TypeAlias = tuple[str, str | bytes]


class CountMemo:
    """The last `size` counts. Only exact ones are put in: an estimate must not outlive its reason.

    The keys are digests, so that the memo holds no text but the shortest. The event loop and threads use it without a
    lock: each step is one call on the dict, and a count that a race loses is counted once more.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._counts: OrderedDict[MemoKey, int] = OrderedDict()

    def __len__(self) -> int:
        return len(self._counts)

    def get(self, key: MemoKey) -> int | None:
        """Return the count of `key`, which is now the youngest; None when it is not known."""
        tokens = self._counts.get(key)
        if tokens is None:
            return None
        try:
            self._counts.move_to_end(key)
        except KeyError:
            return tokens  # another thread has removed it meanwhile
        return tokens

    def put(self, key: MemoKey, tokens: int) -> None:
        """Remember a count. Above the size, the counts that were unused for longest are forgotten."""
        self._counts[key] = tokens
        while len(self._counts) > self._size:
            try:
                self._counts.popitem(last=False)
            except KeyError:
                return  # another thread has removed the last one


def memo_key(encoding: str, text: str) -> MemoKey:
    """Return the memo's key of `text` in an encoding."""
    if len(text) <= _OWN_KEY:
        return encoding, text
    if len(text) <= PIECE:
        return encoding, blake2b(text.encode("utf-8", "surrogatepass"), digest_size=_DIGEST).digest()
    hashed = blake2b(digest_size=_DIGEST)
    # The text goes in slices, because encoding many surrogates takes long and holds the interpreter.
    for part in slices(text):
        hashed.update(part.encode("utf-8", "surrogatepass"))
    return encoding, hashed.digest()
