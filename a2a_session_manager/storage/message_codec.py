"""Stored events to messages: a batch of records in one call of the parser, and no model for any of them.

What is taken this way is what `encode_event` writes, and certainly what `decode_event` takes. Any other record is left
to `decode_event`, which alone tells damage from what is merely rare.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from itertools import combinations, islice
from random import getrandbits
from typing import Any, Final

from pydantic_core import from_json

from a2a_session_manager.identifiers import ID_CHARACTERS
from a2a_session_manager.models.event_message import EventMessage, message_of
from a2a_session_manager.models.event_source import EventSource
from a2a_session_manager.models.event_type import EventType
from a2a_session_manager.models.token_usage import is_sound_record
from a2a_session_manager.storage.codec import MARK, decode_event

_REQUIRED: Final = ("id", "message", "source", "type", "timestamp")
_OPTIONAL: Final = ("task_id", "metadata", "token_usage")
_SHAPES: Final = frozenset(
    (*_REQUIRED, *names) for count in range(len(_OPTIONAL) + 1) for names in combinations(_OPTIONAL, count)
)

# No record can hold it by accident or on purpose. Where it comes back between any two values, each record by itself is
# one JSON value: none has swallowed the next, or the beginning of it.
_NUMBER: Final = getrandbits(62)
_BETWEEN: Final = b",%d,{" % _NUMBER

_SOURCES: Final = {source.value: source for source in EventSource}
_TYPES: Final[dict[str, EventType | str]] = {kind.value: kind for kind in EventType}
_NO_METADATA: Final[dict[str, Any]] = {}

# As they are written, in the years 1000 to 9999. A leap day of a year that ends in 00 is left to `decode_event`.
_is_moment = re.compile(
    r"(?:[1-9][0-9]{3}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])"
    r"|(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)|02-(?:0[1-9]|1[0-9]|2[0-8]))"
    r"|[1-9][0-9](?:0[48]|[2468][048]|[13579][26])-02-29)"
    r"T(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\.[0-9]{6})?(?:Z|[+-](?:0[0-9]|1[0-4]):[0-5][0-9])"
).fullmatch
# The time of nearly all events: in UTC, to the microsecond.
_MOMENT: Final = "0000-00-00T00:00:00.000000Z"
_MINUTE_AT, _SECOND_AT = 14, 17
_DIGITS_AS_0 = str.maketrans("123456789", "0" * 9)
_made = partial(tuple.__new__, EventMessage)


def decode_messages(seqs: Sequence[int], data: Sequence[bytes], session_id: str) -> list[EventMessage]:
    """Return the messages of a few events, given by their seqs and bytes.

    Another than a plain record takes about what a model would, and halves the batch around it. Raises CorruptSession,
    which names the first damaged one.
    """
    messages = _plain_messages(seqs, data)
    if messages is not None:
        return messages
    if len(data) == 1:
        return [message_of(decode_event(data[0], session_id, seqs[0], retracted=False))]
    middle = len(data) // 2
    older = decode_messages(seqs[:middle], data[:middle], session_id)
    return older + decode_messages(seqs[middle:], data[middle:], session_id)


def _plain_messages(seqs: Sequence[int], data: Sequence[bytes]) -> list[EventMessage] | None:
    """Return the messages of events that all are as they are written; None if any may be otherwise."""
    if not data:
        return []
    records = _records_in(data)
    try:
        return None if records is None else _messages_in(records, seqs)
    except (KeyError, TypeError):  # a field that is missing, or is of another type
        return None


def _records_in(parts: Sequence[bytes]) -> list[Any] | None:
    """Parse records without their mark, all at once; None unless each is one JSON value by itself."""
    texts = [data[len(MARK) :] for data in parts if data.startswith(MARK)]
    if len(texts) < len(parts):
        return None
    try:
        # Their keys are always the same; to remember values too takes longer than to make them.
        values = from_json(b"[{" + _BETWEEN.join(texts) + b"]", cache_strings="keys")
    except ValueError:
        return None
    return values[::2] if values[1::2] == [_NUMBER] * (len(parts) - 1) else None


def _messages_in(records: Sequence[Any], seqs: Iterable[int]) -> list[EventMessage] | None:
    # By the column: to look at record after record takes twice as long.
    shapes = set(map(tuple, records))
    if not shapes <= _SHAPES:
        return None
    ids, messages, sources, kinds, moments = islice(zip(*map(dict.values, records), strict=False), len(_REQUIRED))
    if not (_are_ids(ids) and set(map(type, kinds)) == {str} and _are_moments(moments)):
        return None
    task_ids: Sequence[str | None] = [None] * len(records)
    metadata: Sequence[Mapping[str, Any]] = [_NO_METADATA] * len(records)
    named = set().union(*shapes)
    if "task_id" in named:
        task_ids = [record.get("task_id") for record in records]
        if not _are_ids([record["task_id"] for record in records if "task_id" in record]):
            return None
    if "metadata" in named:
        metadata = [record.get("metadata", _NO_METADATA) for record in records]
        if set(map(type, metadata)) != {dict}:
            return None
    if "token_usage" in named and not all(
        is_sound_record(record["token_usage"]) for record in records if "token_usage" in record
    ):
        return None
    types = {kind: _TYPES.get(kind, kind) for kind in set(kinds)}
    columns = (
        seqs,
        ids,
        messages,
        map(_SOURCES.__getitem__, sources),
        map(types.__getitem__, kinds),
        task_ids,
        metadata,
    )
    return list(map(_made, zip(*columns, strict=True)))


def _are_ids(ids: Sequence[Any]) -> bool:
    # No lone surrogates: the parser refuses them.
    lengths = set(map(len, ids))
    return set(map(type, ids)) == {str} and min(lengths) > 0 and max(lengths) <= ID_CHARACTERS


def _are_moments(texts: Sequence[str]) -> bool:
    """Tell whether all texts are times as they are written."""
    whole = "".join(texts)
    if whole.translate(_DIGITS_AS_0) != _MOMENT * len(texts):
        return all(map(_is_moment, texts))
    # The hours of a batch are few; minutes and seconds are looked at all at once.
    minutes, seconds = whole[_MINUTE_AT :: len(_MOMENT)], whole[_SECOND_AT :: len(_MOMENT)]
    hours = {text[:_MINUTE_AT] for text in texts}
    return max(minutes) < "6" and max(seconds) < "6" and all(_is_moment(f"{hour}00:00Z") for hour in hours)
