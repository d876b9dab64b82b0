"""Vocabularies as bytes: tiktoken's text form, and the packed form that travels with the package."""

from __future__ import annotations

import lzma
from base64 import b64decode, b64encode
from itertools import accumulate

# Token bytes to rank; a lower rank merges first.
Ranks = dict[bytes, int]


def flatten(ranks: Ranks) -> bytes:
    """Return the tokens in rank order: their number (4 bytes), a length byte each, then all of them joined."""
    tokens = sorted(ranks, key=ranks.__getitem__)
    if [ranks[token] for token in tokens] != list(range(len(tokens))):
        raise ValueError("the ranks have gaps: only a vocabulary of ranks 0, 1, 2 … can be packed")
    return len(tokens).to_bytes(4, "big") + bytes(map(len, tokens)) + b"".join(tokens)


def unflatten(flat: bytes) -> Ranks:
    """Return the ranks that `flatten` wrote."""
    number = int.from_bytes(flat[:4], "big")
    lengths = flat[4 : 4 + number]
    ends = accumulate(lengths, initial=4 + number)
    next(ends)
    return {flat[end - length : end]: rank for rank, (end, length) in enumerate(zip(ends, lengths, strict=True))}


def pack(ranks: Ranks) -> bytes:
    """Return `ranks` as they travel: flattened, then xz."""
    return lzma.compress(flatten(ranks), preset=9 | lzma.PRESET_EXTREME)


def read_tiktoken(text: bytes) -> Ranks:
    """Return the ranks of a `.tiktoken` file: a line each, the token in base64 and its rank."""
    return {b64decode(token): int(rank) for token, rank in (line.split() for line in text.splitlines() if line)}


def write_tiktoken(ranks: Ranks) -> bytes:
    """Return `ranks` as a `.tiktoken` file, byte for byte as published."""
    return b"".join(b"%b %d\n" % (b64encode(token), rank) for token, rank in ranks.items())
