"""Where the servers are: a URL or keyword arguments, as the settings of a client."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal
from urllib.parse import SplitResult, quote, urlsplit

from a2a_session_manager.exceptions import InvalidSessionOperation
from a2a_session_manager.storage.url_parts import options_of, shown, split_url, unescaped

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


# What a URL may say after its question mark, and how it is read.
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
_DATABASE: Final = re.compile(r"[0-9]{1,9}")
STORE_OPTIONS: Final[tuple[str, ...]] = ("key_prefix", "expiration_seconds")


@dataclass(frozen=True, slots=True)
class RedisAddress:
    """Servers and how to talk to them; `service` is the name that Sentinels know the primary by."""

    kind: Kind
    nodes: tuple[Node, ...]
    service: str = ""
    options: Mapping[str, Any] = field(default_factory=dict, repr=False)  # may hold a password
    sentinel_options: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @property
    def place(self) -> object:
        """What is equal for two addresses of the same data."""
        return self.kind, self.nodes, self.service, int(self.options.get("db") or 0)

    @property
    def url(self) -> str:
        """The servers and the database as a URL, without user, password and options."""
        scheme = "redis" if self.kind == "server" else f"redis+{self.kind}"
        scheme = "rediss" if self.kind == "server" and self.options.get("ssl") else scheme
        nodes = ",".join(f"[{host}]:{port}" if ":" in host else f"{host}:{port}" for host, port in self.nodes)
        steps = [quote(self.service, safe="")] if self.service else []
        steps += [str(self.options.get("db") or 0)] if self.kind != "cluster" else []
        return "/".join([f"{scheme}://{nodes}", *steps])

    @classmethod
    def server(cls, host: str, port: int, **redis_options: Any) -> RedisAddress:
        """Return the address of one server; the options are redis-py's own.

        Raises InvalidSessionOperation for a host that is a URL, which may hold a password.
        """
        if not _is_host(host, port):
            raise InvalidSessionOperation("host= takes a name or an address, port= a number")
        if any(sign in host for sign in "/@"):
            raise InvalidSessionOperation("host= takes a name or an address: give a URL to store_from_url instead")
        return cls("server", ((host, port),), options=redis_options)


def _is_host(host: object, port: object) -> bool:
    return isinstance(host, str) and bool(host) and isinstance(port, int)


def address_from_url(url: str) -> tuple[RedisAddress, dict[str, str]]:
    """Return the address a URL names, and the options that are the store's own.

    Raises InvalidSessionOperation; the message repeats nothing of the URL but its scheme.
    """
    parts = split_url(url)
    if parts.scheme not in _KINDS:
        raise InvalidSessionOperation(f"{shown(url)}: the schemes of Redis are {', '.join(_KINDS)}")
    kind = _KINDS[parts.scheme]
    known = (*_CLIENT_OPTIONS, *(_SENTINEL_OPTIONS if kind == "sentinel" else ()), *STORE_OPTIONS)
    query = options_of(url, parts.query, known)
    store_options = {name: query.pop(name) for name in STORE_OPTIONS if name in query}
    sentinel_options = {theirs: query.pop(name) for name, theirs in _SENTINEL_OPTIONS.items() if name in query}
    options = _login(url, parts) | _client_options(url, query)
    if parts.scheme == "rediss":
        options["ssl"] = True
    service, db = _path(url, kind, parts.path)
    if db is not None:
        options["db"] = db
    if kind == "cluster" and options.pop("db", 0):
        raise InvalidSessionOperation(f"{shown(url)}: a cluster has the database 0 only; leave it out")
    address = RedisAddress(kind, _nodes(url, kind, parts.netloc), service, options, sentinel_options)
    return address, store_options


def _client_options(url: str, query: Mapping[str, str]) -> dict[str, Any]:
    options: dict[str, Any] = {}
    for name, text in query.items():
        try:
            options[name] = _CLIENT_OPTIONS[name](text)
        except ValueError:  # it repeats the text
            raise InvalidSessionOperation(f"{shown(url)}: {name} cannot be read; give another value") from None
    return options


def _login(url: str, parts: SplitResult) -> dict[str, Any]:
    login: dict[str, Any] = {}
    user, _, _ = parts.netloc.rpartition("@")
    name, _, password = user.partition(":")
    if name:
        login["username"] = unescaped(url, name)
    if password:
        login["password"] = unescaped(url, password)
    return login


def _nodes(url: str, kind: Kind, netloc: str) -> tuple[Node, ...]:
    hosts = netloc.rpartition("@")[2]
    nodes = tuple(_node(url, host, _PORTS[kind]) for host in hosts.split(",") if host)
    if not nodes:
        raise InvalidSessionOperation(f"{shown(url)} names no host: write redis://localhost:6379/0")
    if kind == "server" and len(nodes) > 1:
        raise InvalidSessionOperation(f"{shown(url)} names several hosts: take redis+cluster:// or redis+sentinel://")
    return nodes


def _node(url: str, text: str, default_port: int) -> Node:
    try:
        parts = urlsplit(f"//{text}")
        host, port = parts.hostname, parts.port
    except ValueError:  # it repeats the text
        host, port = None, None
    if not host or not host.isprintable() or port == 0:
        raise InvalidSessionOperation(
            f"{shown(url)}: a host cannot be read: write host:port, and percent-encode '/', '?' and '@' in a password"
        )
    return host, default_port if port is None else port


def _path(url: str, kind: Kind, path: str) -> tuple[str, int | None]:
    """Return the service name and the database that a URL's path gives."""
    steps = [unescaped(url, step) for step in path.split("/") if step]
    service = ""
    if kind == "sentinel":
        if not steps:
            raise InvalidSessionOperation(f"{shown(url)} names no service: write redis+sentinel://host:26379/mymaster")
        service = steps.pop(0)
    if not steps:
        return service, None
    if len(steps) > 1 or not _DATABASE.fullmatch(steps[0]):
        raise InvalidSessionOperation(f"{shown(url)}: the path is the database's number, such as /0")
    return service, int(steps[0])
