"""Stored events to messages: a batch of records in one call of the parser, and no model for any of them.

What is taken this way is what `encode_event` writes, and certainly what `decode_event` takes. Any other record is left
to `decode_event`, which alone tells damage from what is merely rare.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from operator import itemgetter
from random import getrandbits
from typing import Any, Final

from pydantic_core import from_json

from a2a_session_manager.identifiers import ID_CHARACTERS
from a2a_session_manager.models.event_message import MessageColumns, message_of
from a2a_session_manager.models.event_source import EventSource
from a2a_session_manager.models.event_type import EventType
from a2a_session_manager.models.sound_usage import is_sound_record
from a2a_session_manager.storage.codec import MARK, decode_event

_REQUIRED: Final = ("id", "message", "source", "type", "timestamp")
_OPTIONAL: Final = ("task_id", "metadata", "token_usage")
_required = itemgetter(*_REQUIRED)
_BEFORE_TIMESTAMP: Final = b'","timestamp":"'

# No record can hold it by accident or on purpose. Where it comes back between any two values, each record by itself is
# one JSON value: none has swallowed the next, or the beginning of it.
_NUMBER: Final = getrandbits(62)
_BETWEEN: Final = b",%d,{" % _NUMBER

_SOURCES: Final = {source.value: source for source in EventSource}


class _Kinds(dict[str, EventType | str]):
    def __missing__(self, kind: str) -> str:
        """Return a type that is not known here, which stays as it is."""
        if type(kind) is not str:
            raise TypeError
        return kind


_KINDS: Final = _Kinds((kind.value, kind) for kind in EventType)

# As they are written, in the years 1000 to 9999. A leap day of a year that ends in 00 is left to `decode_event`.
_is_moment = re.compile(
    r"(?:[1-9][0-9]{3}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])"
    r"|(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)|02-(?:0[1-9]|1[0-9]|2[0-8]))"
    r"|[1-9][0-9](?:0[48]|[2468][048]|[13579][26])-02-29)"
    r"T(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\.[0-9]{6})?(?:Z|[+-](?:0[0-9]|1[0-4]):[0-5][0-9])"
).fullmatch
# The time of nearly all events: in UTC, to the microsecond.
_MOMENT: Final = b"0000-00-00T00:00:00.000000Z"
_MINUTE_AT, _SECOND_AT = 14, 17
_DIGITS_AS_0: Final = bytes.maketrans(b"123456789", b"0" * 9)
_TENS: Final = b"012345"
# Hours come again from batch to batch.
_REMEMBERED: Final = 1_024


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


def decode_block(seqs: Sequence[int], block: bytes, session_id: str) -> MessageColumns:
    """Return the messages of a few events as `decode_messages` does, given their bytes in a row, apart by tabs."""
    try:
        return _columns_of(seqs, *_records_in_block(block, len(seqs)))
    except (KeyError, TypeError, ValueError):
        return decode_messages(seqs, block.split(b"\t"), session_id)


def _plain_messages(seqs: Sequence[int], data: Sequence[bytes]) -> MessageColumns | None:
    """Return the messages of events that all are as they are written; None if any may be otherwise."""
    try:
        return _messages_in(seqs, data) if data else MessageColumns()
    except (KeyError, TypeError, ValueError):  # a part that is missing, is no JSON, or is of another type
        return None


def _messages_in(seqs: Sequence[int], data: Sequence[bytes]) -> MessageColumns:
    return _columns_of(seqs, *_records_in(data))


def _columns_of(seqs: Sequence[int], records: Sequence[dict[str, Any]], end: dict[str, Any]) -> MessageColumns:
    """Return the messages of parsed records, given the fields that all of them end with; raises like `_details_in`."""
    # By the column: to look at record after record takes twice as long.
    ids, messages, sources, types, moments = zip(*map(_required, records), strict=True)
    if not (_are_ids(ids) and _are_moments(moments)):
        raise ValueError
    details = _details_in(records, end)
    return MessageColumns(
        list(seqs),
        list(ids),
        list(messages),
        list(map(_SOURCES.__getitem__, sources)),
        list(map(_KINDS.__getitem__, types)),
        *details,
    )


def _records_in(data: Sequence[bytes]) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Parse records without their mark, all at once; fields that all of them end with are parsed once, and left out.

    Raises ValueError unless each is one JSON value by itself.
    """
    return _bare_parsed(data[0], lambda end: _without(MARK, end, data))


def _records_in_block(block: bytes, count: int) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Parse so many records in a row, apart by tabs, as `_records_in` does."""
    first = block[: block.find(b"\t")] if count > 1 else block
    return _bare_parsed(first, lambda end: _divided(block, MARK, end, count))


def _bare_parsed(
    first: bytes, without: Callable[[bytes], list[bytes] | None]
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Parse records by the `first` of them; `without` returns all without a given end, None if one has another."""
    end, fields = _end_of(first)
    bare = without(end)
    if bare is None:
        end, fields, bare = b"", {}, without(b"")
    if bare is None:
        raise ValueError
    return _parsed(bare, b"}" if end else b""), fields


def _parsed(bare: list[bytes], brace: bytes) -> list[dict[str, Any]]:
    """Parse records that lack what begins them, and the `brace` that ends them."""
    bare[0] = b"[{" + bare[0]
    bare[-1] += brace + b"]"
    # Their keys are always the same; to remember values too takes longer than to make them.
    values: list[Any] = from_json((brace + _BETWEEN).join(bare), cache_strings="keys")
    if len(values) != 2 * len(bare) - 1 or values[1::2] != [_NUMBER] * (len(bare) - 1):
        raise ValueError
    return values[::2]


def _end_of(record: bytes) -> tuple[bytes, dict[str, Any]]:
    """Return what stands after the time of a record, as bytes and as fields; nothing where there are none."""
    _, _, after = record.rpartition(_BEFORE_TIMESTAMP)
    end = after[len(_MOMENT) + 1 :]
    try:
        # If it was within metadata, there is one more brace, so that it is no JSON.
        return (end, from_json(b"{" + end[1:])) if end.startswith(b",") else (b"", {})
    except ValueError:
        return b"", {}


def _without(start: bytes, end: bytes, data: Sequence[bytes]) -> list[bytes] | None:
    """Return records without their start and their end; None if one has another."""
    bare = [record.removeprefix(start).removesuffix(end) for record in data]
    is_each = sum(map(len, data)) - sum(map(len, bare)) == (len(start) + len(end)) * len(data)
    return bare if is_each else None


def _divided(block: bytes, start: bytes, end: bytes, count: int) -> list[bytes] | None:
    """Return the records of a block without their start and their end; None if one has another."""
    if not (block.startswith(start) and block.endswith(end)):
        return None
    # From the right, Python finds what is between two of them in half the time: it looks for it in a simpler way there.
    bare = block[len(start) : len(block) - len(end)].rsplit(b"%b\t%b" % (end, start))
    return bare if len(bare) == count else None


def _details_in(
    records: Sequence[dict[str, Any]], end: dict[str, Any]
) -> tuple[list[str | None], list[Mapping[str, Any]]]:
    """Return the task ids and the metadata of records, given the fields that all of them end with.

    Raises ValueError for a record that holds what an event may not.
    """
    more = sum(map(len, records)) - len(_REQUIRED) * len(records)
    if not end:
        return _optional_in(records, more)
    if more:
        raise ValueError
    if len(end) == 1 and type(shared := end.get("metadata")) is dict:  # as mostly
        return [None] * len(records), [shared] * len(records)
    task_ids, metadata = _optional_in([end], len(end))
    return task_ids * len(records), metadata * len(records)


def _optional_in(records: Sequence[dict[str, Any]], count: int) -> tuple[list[str | None], list[Mapping[str, Any]]]:
    """Return the task ids and the metadata of records; they have `count` fields that an event may be without."""
    # Made here: what somebody puts into it must not be in each message that is read later.
    nothing: dict[str, Any] = {}
    if not count:
        return [None] * len(records), [nothing] * len(records)
    task_ids, metadata, usages = ([record.get(name) for record in records] for name in _OPTIONAL)
    ids, dicts, spent = ([each for each in column if each is not None] for column in (task_ids, metadata, usages))
    # A null is no value, and so one field too many.
    is_sound = count == len(ids) + len(dicts) + len(spent) and set(map(type, dicts)) <= {dict}
    if not (is_sound and (not ids or _are_ids(ids)) and all(map(is_sound_record, spent))):
        raise ValueError
    return task_ids, [nothing if each is None else each for each in metadata]


def _are_ids(ids: Sequence[Any]) -> bool:
    # No lone surrogates: the parser refuses them.
    lengths = set(map(len, ids))
    return set(map(type, ids)) == {str} and min(lengths) > 0 and max(lengths) <= ID_CHARACTERS


def _are_moments(texts: Sequence[str]) -> bool:
    """Tell whether all texts are times as they are written."""
    whole = "".join(texts).encode()  # as bytes: texts are translated much more slowly
    if whole.translate(_DIGITS_AS_0) != _MOMENT * len(texts):
        return all(map(_is_moment, texts))
    # Minutes and seconds are looked at all at once, and the hours of a batch are few: mostly there is one.
    tens = whole[_MINUTE_AT :: len(_MOMENT)] + whole[_SECOND_AT :: len(_MOMENT)]
    is_one_hour = whole.count(whole[:_MINUTE_AT]) == len(texts)
    hours = {text[:_MINUTE_AT] for text in (texts[:1] if is_one_hour else texts)}
    return not tens.translate(None, _TENS) and all(map(_is_hour, hours))


@lru_cache(maxsize=_REMEMBERED)
def _is_hour(start: str) -> bool:
    return _is_moment(start + "00:00Z") is not None
