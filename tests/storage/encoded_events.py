"""Events of any kind, and whether they came back as they were."""

from __future__ import annotations

import json
import math
from datetime import UTC, timedelta, timezone
from typing import Any

from hypothesis import strategies as st
from pydantic import BaseModel

from a2a_session_manager import (
    EventSource,
    EventType,
    SessionEvent,
    TokenUsage,
)
from a2a_session_manager.serialization.json_check import JsonCheck
from a2a_session_manager.serialization.plain_json import has_split_character
from a2a_session_manager.storage.codec import (
    decode_event,
    encode_event,
)
from a2a_session_manager.storage.records import EncodedEvent

# Any code point at all, lone surrogates included: models say such things. Two that would come back as one are refused,
# which has a test of its own.
any_text = st.text(st.characters(exclude_categories=[])).filter(lambda text: not has_split_character(text))
valid_text = st.text()
scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(10**400), 10**400)
    | st.floats(allow_nan=False, allow_infinity=False)
    | any_text
)
json_values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(any_text, inner, max_size=4), max_leaves=20
)
ids = st.text(min_size=1, max_size=20)
moments = st.datetimes(timezones=st.sampled_from([UTC, timezone(timedelta(hours=5, minutes=30))]))


class Plan(BaseModel):
    days: int
    notes: list[str] = []


def encoded(event: SessionEvent[Any]) -> EncodedEvent:
    return encode_event(event, JsonCheck(math.inf), "events[0]")


def decoded(data: bytes, **fields: Any) -> SessionEvent[Any]:
    return decode_event(data, "s", 7, **{"retracted": False, **fields})


@st.composite
def events(draw: st.DrawFn) -> SessionEvent[Any]:
    usage = TokenUsage(prompt_tokens=5, model="m", details={"raw": draw(json_values)})
    return SessionEvent(
        id=draw(ids),
        message=draw(json_values),
        source=draw(st.sampled_from(EventSource)),
        type=draw(st.sampled_from(EventType) | valid_text),
        timestamp=draw(moments),
        task_id=draw(st.none() | ids),
        metadata=draw(st.dictionaries(valid_text, json_values, max_size=3)),
        token_usage=draw(st.none() | st.just(usage)),
    )


def exactly(value: Any) -> str:
    """Equal only for the same types, key order and sign of zero: 1, 1.0 and True differ."""
    return json.dumps(value)
