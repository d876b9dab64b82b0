"""Where the servers are: a URL or keyword arguments, as the settings of a client."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from a2a_session_manager.exceptions import InvalidSessionOperation

Kind = Literal["server", "cluster", "sentinel"]
Node = tuple[str, int]

_KINDS: Final[Mapping[str, Kind]] = {
    "redis": "server",
    "rediss": "server",
    "redis+cluster": "cluster",
    "redis+sentinel": "sentinel",
}
_PORTS: Final[Mapping[Kind, int]] = {"server": 6379, "cluster": 6379, "sentinel": 26379}


def _is_true(text: str) -> bool:
    if text.lower() not in ("1", "true", "yes", "0", "false", "no"):
        raise ValueError(text)
    return text.lower() in ("1", "true", "yes")


# What a URL may say behind its question mark, and how it is read.
_CLIENT_OPTIONS: Final[Mapping[str, Callable[[str], Any]]] = {
    "db": int,
    "username": str,
    "password": str,
    "protocol": int,
    "max_connections": int,
    "client_name": str,
    "socket_timeout": float,
    "socket_connect_timeout": float,
    "health_check_interval": float,
    "ssl": _is_true,
    "ssl_ca_certs": str,
    "ssl_certfile": str,
    "ssl_keyfile": str,
    "ssl_cert_reqs": str,
    "ssl_check_hostname": _is_true,
}
_SENTINEL_OPTIONS: Final = {"sentinel_username": "username", "sentinel_password": "password"}
STORE_OPTIONS: Final[tuple[str, ...]] = ("key_prefix", "expiration_seconds")


@dataclass(frozen=True, slots=True)
class RedisAddress:
    """Servers and how to talk to them; `service` is the name that Sentinels know the primary by."""

    kind: Kind
    nodes: tuple[Node, ...]
    service: str = ""
    options: Mapping[str, Any] = field(default_factory=dict, repr=False)  # may hold a password
    sentinel_options: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @classmethod
    def server(cls, host: str, port: int, **redis_options: Any) -> RedisAddress:
        """Return the address of one server; the options are redis-py's own."""
        return cls("server", ((host, port),), options=redis_options)


def address_from_url(url: str) -> tuple[RedisAddress, dict[str, str]]:
    """Return the address a URL names, and the options that are the store's own.

    Raises InvalidSessionOperation; the message never repeats a password.
    """
    parts = urlsplit(url)
    shown = f"{parts.scheme}://…/{parts.path.lstrip('/')}"
    if parts.scheme not in _KINDS:
        raise InvalidSessionOperation(f"store URL {shown!r}: the schemes of Redis are {', '.join(_KINDS)}")
    kind = _KINDS[parts.scheme]
    query = dict(parse_qsl(parts.query, keep_blank_values=True))
    store_options = {name: query.pop(name) for name in STORE_OPTIONS if name in query}
    sentinel_options = {
        theirs: query.pop(name) for name, theirs in _SENTINEL_OPTIONS.items() if kind == "sentinel" and name in query
    }
    options = _login(parts) | _client_options(query, shown)
    if parts.scheme == "rediss":
        options["ssl"] = True
    service, db = _path(kind, parts.path, shown)
    if db is not None:
        options["db"] = db
    if kind == "cluster" and options.pop("db", 0):
        raise InvalidSessionOperation(f"store URL {shown!r}: a cluster has the database 0 only; leave it out")
    address = RedisAddress(kind, _nodes(kind, parts.netloc, shown), service, options, sentinel_options)
    return address, store_options


def _client_options(query: Mapping[str, str], shown: str) -> dict[str, Any]:
    options: dict[str, Any] = {}
    for name, text in query.items():
        if name not in _CLIENT_OPTIONS:
            known = ", ".join((*_CLIENT_OPTIONS, *STORE_OPTIONS))
            raise InvalidSessionOperation(f"store URL {shown!r} has an unknown option {name!r}: known: {known}")
        try:
            options[name] = _CLIENT_OPTIONS[name](text)
        except ValueError as error:
            raise InvalidSessionOperation(f"store URL {shown!r}: {name} cannot be read; give another value") from error
    return options


def _login(parts: SplitResult) -> dict[str, Any]:
    login: dict[str, Any] = {}
    user, _, _ = parts.netloc.rpartition("@")
    name, _, password = user.partition(":")
    if name:
        login["username"] = unquote(name)
    if password:
        login["password"] = unquote(password)
    return login


def _nodes(kind: Kind, netloc: str, shown: str) -> tuple[Node, ...]:
    hosts = netloc.rpartition("@")[2]
    nodes = tuple(_node(host, _PORTS[kind], shown) for host in hosts.split(",") if host)
    if not nodes:
        raise InvalidSessionOperation(f"store URL {shown!r} names no host: write redis://localhost:6379/0")
    if kind == "server" and len(nodes) > 1:
        raise InvalidSessionOperation(
            f"store URL {shown!r} names several hosts: take redis+cluster:// or redis+sentinel://"
        )
    return nodes


def _node(text: str, default_port: int, shown: str) -> Node:
    try:
        parts = urlsplit(f"//{text}")
        host, port = parts.hostname, parts.port or default_port
    except ValueError as error:
        raise InvalidSessionOperation(f"store URL {shown!r}: host {text!r} cannot be read; write host:port") from error
    if not host:
        raise InvalidSessionOperation(f"store URL {shown!r}: host {text!r} cannot be read; write host:port")
    return host, port


def _path(kind: Kind, path: str, shown: str) -> tuple[str, int | None]:
    """Return the service name and the database that a URL's path gives."""
    steps = [unquote(step) for step in path.split("/") if step]
    service = ""
    if kind == "sentinel":
        if not steps:
            raise InvalidSessionOperation(
                f"store URL {shown!r} names no service: write redis+sentinel://host:26379/mymaster"
            )
        service = steps.pop(0)
    if not steps:
        return service, None
    if len(steps) > 1 or not steps[0].isdecimal():
        raise InvalidSessionOperation(f"store URL {shown!r}: the path is the database's number, such as /0")
    return service, int(steps[0])
