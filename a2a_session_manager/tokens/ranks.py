"""Ranks, what a vocabulary is made of: out of tiktoken's text form, and out of the flat form that travels with us."""

from __future__ import annotations

from base64 import b64decode
from itertools import accumulate

# Token bytes to rank; a lower rank merges first.
Ranks = dict[bytes, int]


def unflatten(flat: bytes) -> Ranks:
    """Return the ranks of tokens in rank order: their number (4 bytes), a length byte each, then all of them joined."""
    number = int.from_bytes(flat[:4], "big")
    lengths = flat[4 : 4 + number]
    ends = accumulate(lengths, initial=4 + number)
    next(ends)
    return {flat[end - length : end]: rank for rank, (end, length) in enumerate(zip(ends, lengths, strict=True))}


def read_tiktoken(text: bytes) -> Ranks:
    """Return the ranks of a `.tiktoken` file: a line each, the token in base64 and its rank."""
    return {b64decode(token): int(rank) for token, rank in (line.split() for line in text.splitlines() if line)}
