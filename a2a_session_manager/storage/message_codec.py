"""Stored events to messages: a batch of records in one call of the parser, and no model for any of them.

What is taken this way is what `encode_event` writes, and certainly what `decode_event` takes. Any other record is left
to `decode_event`, which alone tells damage from what is merely rare.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache, partial
from itertools import combinations
from operator import methodcaller
from random import getrandbits
from typing import Any, Final

from pydantic_core import from_json

from a2a_session_manager.identifiers import ID_CHARACTERS
from a2a_session_manager.models.event_message import EventMessage, message_of
from a2a_session_manager.models.event_source import EventSource
from a2a_session_manager.models.event_type import EventType
from a2a_session_manager.models.token_usage import is_sound_record
from a2a_session_manager.storage.codec import MARK, decode_event

# What stands in each record beside its values, in this order.
_BEFORE_ID: Final = MARK + b'"id":"'
_at_message = methodcaller("partition", b'","message":')
# The last one: a message may have fields of the same names, and metadata hardly ever has.
_at_source = methodcaller("rsplit", b',"source":"', 1)
_at_timestamp = methodcaller("partition", b'","timestamp":"')
_at_end_of_timestamp = methodcaller("partition", b'"')

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
# The time of nearly all events: in UTC, to the microsecond.
_MOMENT: Final = b"0000-00-00T00:00:00.000000Z"
_MINUTE_AT, _SECOND_AT = 14, 17
_DIGITS_AS_0: Final = bytes.maketrans(b"123456789", b"0" * 9)
_SIX: Final = ord("6")
# What comes again from batch to batch, such as hours; a longer kind than anybody gives is not worth the memory.
_REMEMBERED: Final = 1_024
_LONGEST_KIND: Final = 256
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
    try:
        return _messages_in(data, seqs) if data else []
    except (KeyError, TypeError, ValueError):  # a part that is missing, is no JSON, or is of another type
        return None


def _messages_in(data: Sequence[bytes], seqs: Iterable[int]) -> list[EventMessage]:
    # By the column: to look at record after record takes twice as long. What stands around the messages is nearly the
    # same in each, and is not parsed each time: where every part is sound, so is the record that they make.
    heads, tails = zip(*map(_at_source, data), strict=True)
    befores, _, messages = zip(*map(_at_message, heads), strict=True)
    kinds, _, ends = zip(*map(_at_timestamp, tails), strict=True)
    moments, _, details = zip(*map(_at_end_of_timestamp, ends), strict=True)
    ids = _texts([before[len(_BEFORE_ID) :] for before in befores if before.startswith(_BEFORE_ID)])
    if not (len(ids) == len(data) and _are_ids(ids) and _are_moments(moments)):
        raise ValueError
    sources, types = zip(*map(_kind_in, kinds), strict=True)
    task_ids, metadata = zip(*map(_details_in(list(set(details))).__getitem__, details), strict=True)
    columns = (seqs, ids, _values(messages), sources, types, task_ids, metadata)
    return list(map(_made, zip(*columns, strict=True)))


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


@lru_cache(maxsize=_REMEMBERED)
def _kind_in(part: bytes) -> tuple[EventSource, EventType | str]:
    source, name, kind = part.partition(b'","type":"')
    if not name or len(part) > _LONGEST_KIND:
        raise ValueError
    [text] = _texts([kind])
    return _SOURCES[source], _TYPES.get(text, text)


def _details_in(parts: Sequence[bytes]) -> dict[bytes, tuple[str | None, Mapping[str, Any]]]:
    """Return the task id and the metadata that stand in each part, the end of a record."""
    # Made here: what somebody puts into it must not be in each message that is read later.
    no_metadata: dict[str, Any] = {}
    found: dict[bytes, tuple[str | None, Mapping[str, Any]]] = {_NOTHING_MORE: (None, no_metadata)}
    more = [part for part in parts if part != _NOTHING_MORE]
    if not more:
        return found
    records = _values([b"{" + part[1:] for part in more if part.startswith(b",")])
    if not set(map(tuple, records)) <= _SHAPES:
        raise ValueError
    task_ids = [record["task_id"] for record in records if "task_id" in record]
    metadata = [record.get("metadata", no_metadata) for record in records]
    usages = [record["token_usage"] for record in records if "token_usage" in record]
    if (
        (task_ids and not _are_ids(task_ids))
        or set(map(type, metadata)) != {dict}
        or not all(map(is_sound_record, usages))
    ):
        raise ValueError
    for part, record, each in zip(more, records, metadata, strict=True):
        found[part] = record.get("task_id"), each
    return found


def _are_ids(ids: Sequence[Any]) -> bool:
    # No lone surrogates: the parser refuses them.
    lengths = set(map(len, ids))
    return set(map(type, ids)) == {str} and min(lengths) > 0 and max(lengths) <= ID_CHARACTERS


def _are_moments(parts: Sequence[bytes]) -> bool:
    """Tell whether all parts are times as they are written."""
    whole = b"".join(parts)
    if whole.translate(_DIGITS_AS_0) != _MOMENT * len(parts):
        return all(map(_is_moment, parts))
    # The hours of a batch are few; minutes and seconds are looked at all at once.
    minutes, seconds = whole[_MINUTE_AT :: len(_MOMENT)], whole[_SECOND_AT :: len(_MOMENT)]
    hours = {part[:_MINUTE_AT] for part in parts}
    return max(minutes) < _SIX and max(seconds) < _SIX and all(map(_is_hour, hours))


@lru_cache(maxsize=_REMEMBERED)
def _is_hour(start: bytes) -> bool:
    return _is_moment(start + b"00:00Z") is not None
