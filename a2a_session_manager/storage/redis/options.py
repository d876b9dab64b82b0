"""What redis-py may be told of a connection, refused where it is wrong: before anything is asked, and by name."""

from __future__ import annotations

import inspect
import math
import ssl
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from redis.asyncio import Redis, RedisCluster
from redis.asyncio.retry import Retry
from redis.credentials import CredentialProvider

from a2a_session_manager.exceptions import InvalidSessionOperation
from a2a_session_manager.storage.redis.address import RedisAddress

_FILES: Final = ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile")
# With these the client would not be ours to build, or would not be shared.
_TO_HAND_IN: Final = ("connection_pool", "auto_close_connection_pool", "single_connection_client", "host", "port")
_OF_REPLICAS: Final = {"read_from_replicas", "load_balancing_strategy"}


def check_options(address: RedisAddress) -> None:
    """Raise InvalidSessionOperation for an option that redis-py does not know, or whose value it cannot use."""
    kind = address.kind
    known = inspect.signature(RedisCluster if kind == "cluster" else Redis).parameters
    unknown = [name for name in address.options if name not in known]
    if unknown:
        raise InvalidSessionOperation(f"redis-py takes no {', '.join(unknown)} for a {kind}: leave it out")
    for name in _OF_REPLICAS & address.options.keys():
        if address.options[name]:
            raise InvalidSessionOperation(f"{name} reads from replicas, which lag behind: leave it out")
    for name, value in address.options.items():
        if name in _TO_HAND_IN:
            raise InvalidSessionOperation(f"{name} is no option of ours: hand in a client made with it")
        fits, wanted = _WANTED.get(name, _ANYTHING)
        if value is not None and not fits(value):
            raise InvalidSessionOperation(f"{name} of a {kind} cannot be {_shown(name, value)}: give {wanted}")
    _check_that_tls_is_on(address)


def check_files(options: Mapping[str, Any]) -> None:
    """Raise the OSError of a file that an option names and that cannot be read. Not on an event loop."""
    for name in _FILES:
        if options.get(name) is not None:
            Path(options[name]).open("rb").close()


def _check_that_tls_is_on(address: RedisAddress) -> None:
    unused = [name for name in address.options if name.startswith("ssl_")]
    if unused and "ssl" not in address.options:
        raise InvalidSessionOperation(f"{', '.join(unused)} without TLS: write rediss:// or ssl=True")


def _shown(name: str, value: object) -> str:
    # No text, since a mistyped URL may have put a password there.
    is_number = isinstance(value, int | float) and name not in ("username", "password")
    return repr(value) if is_number else f"a {type(value).__name__}"


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _is_positive(value: Any) -> bool:
    return _is_number(value) and value > 0


def _is_not_negative(value: Any) -> bool:
    return _is_number(value) and value >= 0


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def _is_database(value: Any) -> bool:
    return str(value).isdecimal() and isinstance(value, int | str) and not isinstance(value, bool)


def _is_text(value: object) -> bool:
    return isinstance(value, str | bytes)


def _is_verification(value: object) -> bool:
    return isinstance(value, ssl.VerifyMode) or value in ("none", "optional", "required")


_Wanted = tuple[Callable[[Any], bool], str]
_ANYTHING: Final[_Wanted] = (lambda _: True, "")
_SECONDS: Final[_Wanted] = (_is_positive, "a number of seconds above 0, or None")
_YES_OR_NO: Final[_Wanted] = (lambda value: isinstance(value, bool), "True or False")
_TEXT: Final[_Wanted] = (_is_text, "a text")
_PATH: Final[_Wanted] = (lambda value: isinstance(value, str | Path), "the path of a file")
_WANTED: Final[Mapping[str, _Wanted]] = {
    "socket_timeout": _SECONDS,
    "socket_connect_timeout": _SECONDS,
    "health_check_interval": (_is_not_negative, "a number of seconds, or 0 for no checks"),
    "max_connections": (_is_count, "a whole number above 0"),
    "db": (_is_database, "the number of a database"),
    "protocol": (lambda value: value in (2, 3), "2 or 3"),
    "username": _TEXT,
    "password": _TEXT,
    "client_name": _TEXT,
    "credential_provider": (lambda value: isinstance(value, CredentialProvider), "a redis.CredentialProvider"),
    "retry": (lambda value: isinstance(value, Retry), "a redis.asyncio.retry.Retry"),
    "ssl": _YES_OR_NO,
    "ssl_check_hostname": _YES_OR_NO,
    "ssl_cert_reqs": (_is_verification, "'none', 'optional' or 'required'"),
    "socket_keepalive": _YES_OR_NO,
    **dict.fromkeys(_FILES, _PATH),
}
