"""Bytes as records: whole, or as what differs from the bytes before, which is little where a text has grown."""

from __future__ import annotations

import base64
from collections.abc import Iterable
from typing import Any

from a2a_session_manager.exceptions import CorruptSession

Record = dict[str, Any]


class Blob:
    """Bytes, and how many of them the records are that they were made of; it takes part in no I/O.

    A blob is held as a text where it is one, since JSON has no bytes.
    """

    __slots__ = ("spliced", "text")

    def __init__(self, text: str, spliced: int = 0) -> None:
        self.text = text
        self.spliced = spliced  # characters of the splices since the last whole record

    @classmethod
    def of(cls, data: bytes) -> Blob | None:
        """Return the blob of a text in UTF-8; None for other bytes, which are always stored whole."""
        try:
            return cls(data.decode())
        except UnicodeDecodeError:
            return None

    def data(self) -> bytes:
        """Return the bytes."""
        return self.text.encode()


def record_of(data: bytes, before: Blob | None) -> tuple[Record, Blob | None]:
    """Return what to store of `data`, which comes after `before`, and what the next one may build on.

    A splice is stored as long as all splices since the last whole record are shorter than the text itself, so that a
    read takes little more than the bytes, and a text that grows costs a few times its size in all.
    """
    after = Blob.of(data)
    if after is None:
        return {"base64": base64.b64encode(data).decode()}, None
    if before is not None:
        start, end, middle = _splice(before.text, after.text)
        spliced = before.spliced + len(middle)
        if spliced < len(after.text):
            after.spliced = spliced
            return {"from": start, "to": end, "text": middle}, after
    return {"text": after.text}, after


def is_whole(record: Record) -> bool:
    """Tell whether a record says all, so that those before it count no more."""
    return "from" not in record


def read(session_id: str, records: Iterable[Any]) -> tuple[bytes, Blob | None]:
    """Return the bytes that records add up to, and what the next one may build on. Raises CorruptSession."""
    blob: Blob | None = None
    data: bytes | None = None
    try:
        for record in records:
            if "base64" in record:
                blob, data = None, base64.b64decode(record["base64"], validate=True)
            elif is_whole(record):
                blob, data = Blob(record["text"]), None
            else:
                text, start, end = ("" if blob is None else blob.text), record["from"], record["to"]
                spliced = (0 if blob is None else blob.spliced) + len(record["text"])
                blob, data = Blob(text[:start] + record["text"] + text[end:], spliced), None
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise CorruptSession(
            session_id, f"session {session_id!r} holds a record that is none of bytes: {error}"
        ) from error
    if data is None and blob is None:
        raise CorruptSession(session_id, f"session {session_id!r} holds no record of its bytes")
    return (data if blob is None else blob.data()) or b"", blob


def _splice(before: str, after: str) -> tuple[int, int, str]:
    """Return which stretch of `before` is another one in `after`, and that one."""
    most = min(len(before), len(after))
    start = _shared(before, after, most)
    shared_end = _shared_at_the_end(before, after, most - start)
    return start, len(before) - shared_end, after[start : len(after) - shared_end]


def _shared(before: str, after: str, most: int) -> int:
    """Return how many characters both begin with, found by halving: slices are compared at the speed of memory."""
    least = 0
    while least < most:
        half = (least + most + 1) // 2
        if before[least:half] == after[least:half]:
            least = half
        else:
            most = half - 1
    return least


def _shared_at_the_end(before: str, after: str, most: int) -> int:
    least = 0
    while least < most:
        half = (least + most + 1) // 2
        if before[len(before) - half : len(before) - least] == after[len(after) - half : len(after) - least]:
            least = half
        else:
            most = half - 1
    return least
