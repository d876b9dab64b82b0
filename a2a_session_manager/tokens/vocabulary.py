"""The vocabularies we know, and how each becomes a tiktoken Encoding without tiktoken's own download."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from importlib import import_module, resources
from lzma import LZMAError, decompress
from pathlib import Path
from typing import TYPE_CHECKING

from a2a_session_manager.exceptions import SessionManagerError
from a2a_session_manager.tokens.ranks import Ranks, read_tiktoken, unflatten

if TYPE_CHECKING:
    from tiktoken import Encoding

_FOLDER = "vocabularies"


@dataclass(frozen=True)
class Vocabulary:
    """What makes an encoding out of ranks, and how its files are known to be right.

    `pattern`, `special_tokens` and `sha256` are those that tiktoken publishes; `sha256` is that of the `.tiktoken`
    text, `flat_sha256` that of the form that travels with the package, before xz: the tests rebuild the one from the
    other. `cache_name` is the file's name in tiktoken's cache.
    """

    name: str
    pattern: str
    special_tokens: Mapping[str, int]
    sha256: str
    cache_name: str
    flat_sha256: str | None = None


_R50K_PATTERN = r"""'(?:[sdmt]|ll|ve|re)| ?\p{L}++| ?\p{N}++| ?[^\s\p{L}\p{N}]++|\s++$|\s+(?!\S)|\s"""
_CL100K_PATTERN = (
    r"""'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*+"""
    r"""|\s++$|\s*[\r\n]|\s+(?!\S)|\s"""
)
_O200K_PATTERN = (
    r"""[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?"""
    r"""|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?"""
    r"""|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"""
)

VOCABULARIES = {
    "o200k_base": Vocabulary(
        "o200k_base",
        _O200K_PATTERN,
        {"<|endoftext|>": 199999, "<|endofprompt|>": 200018},
        "446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d",
        "fb374d419588a4632f3f557e76b4b70aebbca790",
        "2f451f31d7403017d0b0dc6319ded23a09f33f573b1635c001fc6b91a1c21302",
    ),
    "cl100k_base": Vocabulary(
        "cl100k_base",
        _CL100K_PATTERN,
        {
            "<|endoftext|>": 100257,
            "<|fim_prefix|>": 100258,
            "<|fim_middle|>": 100259,
            "<|fim_suffix|>": 100260,
            "<|endofprompt|>": 100276,
        },
        "223921b76ee99bde995b7ff738513eef100fb51d18c93597a113bcffe865b2a7",
        "9b5ad71b2ce5302211f9c61530b329a4922fc6a4",
        "9ef8402c916638b4e5896df1b798958e6377ae5ee9ecce199388d117f2a44973",
    ),
    "p50k_base": Vocabulary(
        "p50k_base",
        _R50K_PATTERN,
        {"<|endoftext|>": 50256},
        "94b5ca7dff4d00767bc256fdd1b27e5b17361d7b8a5f968547f9f23eb70d2069",
        "ec7223a39ce59f226a68acc30dc1af2788490e15",
    ),
    "r50k_base": Vocabulary(
        "r50k_base",
        _R50K_PATTERN,
        {"<|endoftext|>": 50256},
        "306cd27f03c1a714eca7108e03d66b7dc042abe8c258b44c199a7ed9838dd930",
        "0ea1e91bbb3a60f729a8dc8f777fd2fc07cd8df4",
    ),
}
BUNDLED = tuple(name for name, vocabulary in VOCABULARIES.items() if vocabulary.flat_sha256)


def at_hand(name: str) -> Encoding | None:
    """Return the encoding from what this machine has, or None: tiktoken's registry, our files, tiktoken's cache.

    This takes long, and imports tiktoken: it is not for the event loop. Raises SessionManagerError when the file that
    travels with the package is damaged.
    """
    vocabulary = VOCABULARIES[name]
    # It is imported by name, so that importing this module does not import tiktoken.
    registered: Encoding | None = import_module("tiktoken.registry").ENCODINGS.get(name)
    if registered is not None:
        return registered
    ranks = _cached_ranks(vocabulary) if vocabulary.flat_sha256 is None else _bundled_ranks(vocabulary)
    return None if ranks is None else _encoding(vocabulary, ranks)


def downloaded(name: str) -> Encoding:
    """Return the encoding as tiktoken gets it, by a download that may never end.

    It does not go through `tiktoken.get_encoding`, which would keep its process-wide lock meanwhile.
    """
    constructors = import_module("tiktoken_ext.openai_public").ENCODING_CONSTRUCTORS
    encoding: Encoding = import_module("tiktoken").Encoding(**constructors[name]())
    return encoding


def _encoding(vocabulary: Vocabulary, ranks: Ranks) -> Encoding:
    encoding: Encoding = import_module("tiktoken").Encoding(
        vocabulary.name,
        pat_str=vocabulary.pattern,
        mergeable_ranks=ranks,
        special_tokens=dict(vocabulary.special_tokens),
    )
    return encoding


def _bundled_ranks(vocabulary: Vocabulary) -> Ranks:
    file = resources.files(__package__) / _FOLDER / f"{vocabulary.name}.xz"
    try:
        flat = decompress(file.read_bytes())
    except (OSError, LZMAError, EOFError) as error:
        raise _damaged(vocabulary) from error
    if sha256(flat).hexdigest() != vocabulary.flat_sha256:
        raise _damaged(vocabulary)
    return unflatten(flat)


def _damaged(vocabulary: Vocabulary) -> SessionManagerError:
    return SessionManagerError(
        f"the vocabulary {vocabulary.name} that travels with a2a_session_manager is damaged or missing: "
        "install the package again"
    )


def _cached_ranks(vocabulary: Vocabulary) -> Ranks | None:
    try:
        text = (_cache_folder() / vocabulary.cache_name).read_bytes()
    except OSError:
        return None
    # The folder is somebody else's: a file that does not hold what was published counts as none.
    return read_tiktoken(text) if sha256(text).hexdigest() == vocabulary.sha256 else None


def _cache_folder() -> Path:
    named = os.environ.get("TIKTOKEN_CACHE_DIR", os.environ.get("DATA_GYM_CACHE_DIR"))
    return Path(tempfile.gettempdir(), "data-gym-cache") if named is None else Path(named)
