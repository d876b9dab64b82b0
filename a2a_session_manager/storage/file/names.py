"""Ids to file names and back: reversible, inside the directory, apart on every file system."""

from __future__ import annotations

import hashlib
import re

_PLAIN = re.compile(r"[a-z0-9_-]+")
_LONGEST = 200


def file_name(identifier: str) -> str:
    """Return a name for `identifier`: plain lower-case ASCII stays, every other byte becomes %xx.

    Beyond 200 bytes it is `~` and a hash; the id itself is then only inside the file.
    """
    if _PLAIN.fullmatch(identifier) and len(identifier) <= _LONGEST:
        return identifier
    data = identifier.encode()
    name = "".join(chr(byte) if _PLAIN.fullmatch(chr(byte)) else f"%{byte:02x}" for byte in data)
    return name if len(name) <= _LONGEST else f"~{hashlib.sha256(data).hexdigest()}"


def identifier_of(name: str) -> str | None:
    """Return the id that has this file name, or None where only the file can tell, or it is none of ours."""
    if name.startswith("~"):
        return None
    if "%" not in name:
        return name  # as most, and at a part of the cost
    try:
        return re.sub(r"(?:%[0-9a-f]{2})+", lambda match: bytes.fromhex(match[0].replace("%", "")).decode(), name)
    except UnicodeDecodeError:
        return None


def shard_of(name: str) -> str:
    """Return which of 256 folders holds the file: a million sessions make 4,000 files in each."""
    return hashlib.blake2b(name.encode(), digest_size=1).hexdigest()
