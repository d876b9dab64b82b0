"""What may be an id: any non-empty string up to 512 characters, in any script."""

from __future__ import annotations

import hashlib
import os
import random
import reprlib
from collections.abc import Callable
from typing import Annotated

from pydantic import AfterValidator

from a2a_session_manager.exceptions import InvalidSessionOperation

ID_CHARACTERS = 512


# Asking the system for random bits takes ten times as long. The generator is our own, because a program may seed the
# one of the module `random`, and then tags would come again.
_tags = random.Random()
random_bits = _tags.getrandbits
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_tags.seed)


def hidden_id() -> str:
    """Return a random id of 32 hex digits (128 random bits), for what users do not name: write and creation ids."""
    # These are the bits of a UUID without the object, which took as long as all the rest of making an event.
    return os.urandom(16).hex()


# It is looked up at each call, because tests put a function here that numbers ids.
id_source: Callable[[], str] = hidden_id


def new_id() -> str:
    """Return a new id for a session, an event, a run or a tool call."""
    return id_source()


def derived_id(other: str) -> str:
    """Return an id of 32 hex digits that is always the same for the same `other`."""
    return hashlib.blake2b(other.encode(errors="surrogatepass"), digest_size=16).hexdigest()


def checked_id(value: object, what: str = "id") -> str:
    """Return `value` if it may be an id; raise InvalidSessionOperation, which calls it `what`, otherwise."""
    if not isinstance(value, str) or not 0 < len(value) <= ID_CHARACTERS:
        raise InvalidSessionOperation(
            f"{what} {shown(value)} cannot be used: take a non-empty string of up to {ID_CHARACTERS} characters"
        )
    if not value.isascii():
        _refuse_surrogates(value, what)
    return value


def is_id(value: object) -> bool:
    """Tell whether `value` may be an id."""
    if type(value) is not str or not 0 < len(value) <= ID_CHARACTERS:
        return False
    return value.isascii() or not any("\ud800" <= character <= "\udfff" for character in value)


def _refuse_surrogates(value: str, what: str) -> None:
    try:
        value.encode()
    except UnicodeEncodeError:
        raise InvalidSessionOperation(
            f"{what} {shown(value)} holds a lone surrogate: no store can keep it; take valid Unicode"
        ) from None


def shown(value: object) -> str:
    """Return `value` as an error shows it: short and in ASCII, whatever it is."""
    try:
        text = repr(value[:80]) if isinstance(value, str | bytes) else reprlib.repr(value)
    except Exception:  # a number of too many digits, or a failing __repr__, must not hide the error to be shown
        return f"a {type(value).__name__}"
    text = text.encode("ascii", "backslashreplace").decode()
    return f"{text[:80]}… ({len(value)} characters)" if isinstance(value, str) and len(value) > 80 else text[:80]


def shown_path(path: object) -> str:
    """Return the whole path as an error shows it, in ASCII: half a path leads nowhere."""
    return ascii(str(path))


Identifier = Annotated[str, AfterValidator(checked_id)]
