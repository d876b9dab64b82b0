"""Stored events to messages: a batch of records in one call of the parser, and no model for any of them.

What is taken this way is what `encode_event` writes, and certainly what `decode_event` takes. Any other record is left
to `decode_event`, which alone tells damage from what is merely rare.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import combinations
from operator import methodcaller
from random import getrandbits
from typing import Any, Final

from pydantic_core import from_json

from a2a_session_manager.identifiers import ID_CHARACTERS
from a2a_session_manager.models.event_message import MessageColumns, message_of
from a2a_session_manager.models.event_source import EventSource
from a2a_session_manager.models.event_type import EventType
from a2a_session_manager.models.token_usage import is_sound_record
from a2a_session_manager.storage.codec import MARK, decode_event

# What stands in each record beside its values, in this order.
_BEFORE_ID: Final = MARK + b'"id":"'
_BEFORE_MESSAGE: Final = b'","message":'
_BEFORE_SOURCE: Final = b',"source":"'
_BEFORE_TIMESTAMP: Final = b'","timestamp":"'
_ID_AT, _TO_MESSAGE, _TO_SOURCE, _TO_TIMESTAMP = map(
    len, (_BEFORE_ID, _BEFORE_MESSAGE, _BEFORE_SOURCE, _BEFORE_TIMESTAMP)
)
_at_end_of_moment = methodcaller("partition", b'"')

_OPTIONAL: Final = ("task_id", "metadata", "token_usage")
_SHAPES: Final = frozenset(names for count in range(1, len(_OPTIONAL) + 1) for names in combinations(_OPTIONAL, count))

# No record can hold it by accident or on purpose. Where it comes back between any two values, each piece by itself is
# one JSON value: none has swallowed the next, or the beginning of it.
_NUMBER: Final = getrandbits(62)
_BETWEEN_VALUES: Final = b",%d," % _NUMBER
_BETWEEN_TEXTS: Final = f"-{_NUMBER}-"  # a hyphen cannot be escaped

_SOURCES: Final = {source.value.encode(): source for source in EventSource}
_TYPES: Final[dict[str, EventType | str]] = {kind.value: kind for kind in EventType}
_NOTHING_MORE: Final = b"}"

# As they are written, in the years 1000 to 9999. A leap day of a year that ends in 00 is left to `decode_event`.
_is_moment = re.compile(
    rb"(?:[1-9][0-9]{3}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])"
    rb"|(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)|02-(?:0[1-9]|1[0-9]|2[0-8]))"
    rb"|[1-9][0-9](?:0[48]|[2468][048]|[13579][26])-02-29)"
    rb"T(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\.[0-9]{6})?(?:Z|[+-](?:0[0-9]|1[0-4]):[0-5][0-9])"
).fullmatch
# The time of nearly all events, up to the quote behind it: in UTC, to the microsecond.
_MOMENT: Final = b'0000-00-00T00:00:00.000000Z"'
_MINUTE_AT, _SECOND_AT = 14, 17
_DIGITS_AS_0: Final = bytes.maketrans(b"123456789", b"0" * 9)
_SIX: Final = ord("6")
# What comes again from batch to batch, such as hours; a longer kind than anybody gives is not worth the memory.
_REMEMBERED: Final = 1_024
_LONGEST_KIND: Final = 256


def decode_messages(seqs: Sequence[int], data: Sequence[bytes], session_id: str) -> MessageColumns:
    """Return the messages of a few events, given by their seqs and bytes.

    Another than a plain record takes about what a model would, and halves the batch around it. Raises CorruptSession,
    which names the first damaged one.
    """
    messages = _plain_messages(seqs, data)
    if messages is not None:
        return messages
    if len(data) == 1:
        return MessageColumns.of([message_of(decode_event(data[0], session_id, seqs[0], retracted=False))])
    middle = len(data) // 2
    messages = decode_messages(seqs[:middle], data[:middle], session_id)
    messages.extend(decode_messages(seqs[middle:], data[middle:], session_id))
    return messages


def _plain_messages(seqs: Sequence[int], data: Sequence[bytes]) -> MessageColumns | None:
    """Return the messages of events that all are as they are written; None if any may be otherwise."""
    try:
        return _messages_in(seqs, data) if data else MessageColumns()
    except (KeyError, TypeError, ValueError):  # a part that is missing, is no JSON, or is of another type
        return None


def _messages_in(seqs: Sequence[int], data: Sequence[bytes]) -> MessageColumns:
    # By the column: to look at record after record takes twice as long. What stands around the messages is nearly the
    # same in each, and is not parsed each time: where every part is sound, so is the record that they make.
    ids, messages, kinds, ends = zip(*_cut(data), strict=True)
    sources, types = _kinds_in(set(kinds))
    details = _after_moments(ends)
    task_ids, metadata = _details_in(set(details))
    return MessageColumns(
        list(seqs),
        _ids_in(ids),
        _values(messages),
        list(map(sources.__getitem__, kinds)),
        list(map(types.__getitem__, kinds)),
        list(map(task_ids.__getitem__, details)),
        list(map(metadata.__getitem__, details)),
    )


def _cut(data: Sequence[bytes]) -> Iterator[tuple[bytes, bytes, bytes, bytes]]:
    """Yield the pieces of each record: the id, the message, source and type, and the rest from the time on.

    Raises ValueError where what stands between them is missing.
    """
    for record in data:
        if not record.startswith(_BEFORE_ID):
            raise ValueError
        id_end = record.index(_BEFORE_MESSAGE)
        # The last one: a message may have fields of the same names, and metadata hardly ever has.
        message_end = record.rindex(_BEFORE_SOURCE)
        kind_end = record.index(_BEFORE_TIMESTAMP, message_end)
        yield (
            record[_ID_AT:id_end],
            record[id_end + _TO_MESSAGE : message_end],
            record[message_end + _TO_SOURCE : kind_end],
            record[kind_end + _TO_TIMESTAMP :],
        )


def _ids_in(parts: Sequence[bytes]) -> list[str]:
    ids = _texts(parts)
    lengths = set(map(len, ids))
    if min(lengths) < 1 or max(lengths) > ID_CHARACTERS:
        raise ValueError
    return ids


def _values(parts: Sequence[bytes]) -> list[Any]:
    """Parse JSON values, all at once. Raises ValueError unless each part is one by itself."""
    # Their keys are often the same; to remember values too takes longer than to make them.
    values: list[Any] = from_json(b"[" + _BETWEEN_VALUES.join(parts) + b"]", cache_strings="keys")
    if len(values) != 2 * len(parts) - 1 or values[1::2] != [_NUMBER] * (len(parts) - 1):
        raise ValueError
    return values[::2]


def _texts(parts: Sequence[bytes]) -> list[str]:
    """Parse the insides of JSON strings, all at once. Raises ValueError unless each part is one by itself."""
    text: str = from_json(b'"' + _BETWEEN_TEXTS.encode().join(parts) + b'"')
    texts = text.split(_BETWEEN_TEXTS)
    if len(texts) != len(parts):
        raise ValueError
    return texts


def _kinds_in(parts: Iterable[bytes]) -> tuple[dict[bytes, EventSource], dict[bytes, EventType | str]]:
    """Return the source and the type that stand in each part."""
    found = {part: _kind_in(part) for part in parts}
    return {part: source for part, (source, _) in found.items()}, {part: kind for part, (_, kind) in found.items()}


@lru_cache(maxsize=_REMEMBERED)
def _kind_in(part: bytes) -> tuple[EventSource, EventType | str]:
    source, name, kind = part.partition(b'","type":"')
    if not name or len(part) > _LONGEST_KIND:
        raise ValueError
    [text] = _texts([kind])
    return _SOURCES[source], _TYPES.get(text, text)


def _details_in(parts: set[bytes]) -> tuple[dict[bytes, str | None], dict[bytes, Mapping[str, Any]]]:
    """Return the task id and the metadata that stand in each part, the end of a record."""
    # Made here: what somebody puts into it must not be in each message that is read later.
    no_metadata: dict[str, Any] = {}
    more = list(parts - {_NOTHING_MORE})
    records = _values([b"{" + part[1:] for part in more if part.startswith(b",")]) if more else []
    if not set(map(tuple, records)) <= _SHAPES:
        raise ValueError
    task_ids = {part: record.get("task_id") for part, record in zip(more, records, strict=True)}
    metadata = {part: record.get("metadata", no_metadata) for part, record in zip(more, records, strict=True)}
    ids = [record["task_id"] for record in records if "task_id" in record]
    usages = [record["token_usage"] for record in records if "token_usage" in record]
    if not (_are_ids(ids) and set(map(type, metadata.values())) <= {dict} and all(map(is_sound_record, usages))):
        raise ValueError
    task_ids[_NOTHING_MORE], metadata[_NOTHING_MORE] = None, no_metadata
    return task_ids, metadata


def _are_ids(ids: Sequence[Any]) -> bool:
    # No lone surrogates: the parser refuses them.
    return all(type(each) is str and 0 < len(each) <= ID_CHARACTERS for each in ids)


def _after_moments(ends: Sequence[bytes]) -> Sequence[bytes]:
    """Return what stands after the time that each end begins with. Raises ValueError unless it is as it is written."""
    whole = b"".join([end[: len(_MOMENT)] for end in ends])
    if whole.translate(_DIGITS_AS_0) != _MOMENT * len(ends):
        moments, _, details = zip(*map(_at_end_of_moment, ends), strict=True)
        if not all(map(_is_moment, moments)):
            raise ValueError
        return details
    # The hours of a batch are few; minutes and seconds are looked at all at once.
    minutes, seconds = whole[_MINUTE_AT :: len(_MOMENT)], whole[_SECOND_AT :: len(_MOMENT)]
    is_one_hour = whole.count(whole[:_MINUTE_AT]) == len(ends)
    hours = {end[:_MINUTE_AT] for end in (ends[:1] if is_one_hour else ends)}
    if not (max(minutes) < _SIX and max(seconds) < _SIX and all(map(_is_hour, hours))):
        raise ValueError
    return [end[len(_MOMENT) :] for end in ends]


@lru_cache(maxsize=_REMEMBERED)
def _is_hour(start: bytes) -> bool:
    return _is_moment(start + b"00:00Z") is not None
