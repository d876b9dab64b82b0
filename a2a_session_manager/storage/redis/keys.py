"""Where everything lies: every key of the store, in one place.

| key | type | holds |
|---|---|---|
| `{tag}:tree` | hash | `n:ID` → ordinal, TTL in ms, creation id, parent; `count`, `has_totals`, `expires`, |
| | | `has_budgets`; |
| | | `d:ID` → deadline of a session below the root, `deadline`: of the root; |
| | | `f:ID` → of a fork: its creation id, and where it begins (seq, creation id and id of its source) |
| `{tag}:totals` | hash | what the tree has spent: `t:COUNTER:["MODEL","SOURCE"]` |
| `{tag}:budgets` | hash | `v`: how often anything was put; `b:CREATION:BUDGET`, `h:CREATION:HOLD` → JSON; |
| | | `s:CREATION` → what a session that has a budget, and all below it, have spent, line by line |
| `{tag}:refused` | sorted set | claims and creation ids that must not be created any more |
| `{tag}:gone` | hash | session id → creation id, of those a cascade took along, until their keys are removed |
| `{tag}:followers` | string | there while somebody follows a session of the tree |
| `{tag}:locator` | string | of a session below a root: its claim and its root's id |
| `{tag}:head` | hash | revision, last seq, times, TTL, state (`s:`), properties (`p:`), totals (`t:`), counts, |
| | | leases of runs (`l:`); of a fork: where it begins, and of which segments its log is made |
| `{tag}:log` | list | one event an entry: the revision that brought it, a space, JSON |
| `{tag}:ids` | hash | `e:EVENT ID` → seq, `w:WRITE ID` → first result, `u:RESPONSE ID` → what was counted of it, |
| | | `h:SEQ:RESPONSE ID` → what was counted of it up to an event |
| `{tag}:hidden` | sorted set | merged ranges of hidden seqs, `first-last` by first |
| `{tag}:retractions` | sorted set | what commits hid and restored: revision, both ranges; by the seq before it |
| `{tag}:runs` | hash | `r:RUN ID` → ordinal, status, JSON; `o:ORDINAL` → run id; `u:COUNTER:RUN ID`; `count` |
| `{tag}:unfinished` | sorted set | ids of runs that may still move, by ordinal |
| `{tag}:children` | sorted set | child ids by ordinal, those of forks below zero |
| `index:NAMESPACE:roots:SHARD` | sorted set | ids of roots, for listings; all scores are 0 |
| `index:NAMESPACE:children:SHARD` | sorted set | `ID ROOT` of the sessions below them |
| `index:NAMESPACE:names` | sorted set | names of the namespaces directly below that hold sessions; all scores are 0 |
| `index::complete` | string | that the names of all namespaces are listed |
| `index:NAMESPACE:due` | sorted set | lines of sessions that expire or are being deleted, by when to look after them |
| `{index:NAMESPACE:…:SHARD}:mark:0`, `:mark:1` | string | that the shard is there, or was lost |
| `{index:NAMESPACE:…:SHARD}:mark:lost` | string | that it was lost |
| `{index:NAMESPACE:…:SHARD}:entries` | hash | line → what pages find its session by; and by `:` what |
| | | it is an index of, and whether a part of these two keys is missing |
| `{index:NAMESPACE:…:SHARD}:rows` | sorted set | `[FACET]uTIMELINE` by activity and `[FACET]cTIMELINE` by creation; |
| | | all scores are 0 |
| `{a2a-session-manager.rights.RANDOM}` | any | there while a script tries what the Redis user may do |

NAMESPACE is the escaped names of a namespace, joined by `/`; nothing for the default one.
Each stands after the store's prefix. The tag, which decides the cluster's slot, is the escaped namespace and
id of the root: `{NAMESPACE:ROOT}`; keys of a session below the root end in `:ID`. A locator has its own
session's tag: one slot decides that an id exists once. What a fork has inherited lies in the logs of sessions above it,
whose keys its scripts make of its own, and only read: they are in the same slot.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Final, Generic, TypeVar
from urllib.parse import quote, unquote

from a2a_session_manager.exceptions import InvalidSessionOperation
from a2a_session_manager.namespaces import Namespace
from a2a_session_manager.storage.records import SessionKey

INDEX_SHARDS: Final = 16
# The names of shards and namespaces are remembered; there are few of either.
_NAMES_REMEMBERED: Final = 1_024
FAMILIES: Final = ("roots", "children")


_KINDS_OF_SESSION: Final = (b"head", b"log", b"ids", b"hidden", b"runs", b"unfinished", b"retractions", b"children")

ValueT = TypeVar("ValueT")


class _Once(Generic[ValueT]):
    """What a session's keys have in common, made when it is first asked for.

    A cached_property would take a lock in Python 3.11, which takes longer than all else.
    """

    def __init__(self, make: Callable[[SessionKeys], ValueT]) -> None:
        self._make = make
        self.__doc__ = make.__doc__

    def __get__(self, keys: SessionKeys, owner: type[SessionKeys]) -> ValueT:
        made = self._make(keys)
        keys.__dict__[self._make.__name__] = made  # it is found there from now on
        return made


class _Key:
    """A key of a session, named by its attribute, and made when it is first asked for, as by _Once."""

    def __init__(self, *, is_of_tree: bool = False) -> None:
        self._is_of_tree = is_of_tree

    def __set_name__(self, owner: type[SessionKeys], name: str) -> None:
        self._name = name
        self._kind = name.encode()

    def __get__(self, keys: SessionKeys, owner: type[SessionKeys]) -> bytes:
        first, last = keys.ends
        key = first + self._kind if self._is_of_tree else first + self._kind + last
        keys.__dict__[self._name] = key  # it is found there from now on
        return key


@dataclass(frozen=True)
class SessionKeys:
    """A session in its tree, and the keys that hold it; each key is made when it is first asked for."""

    prefix: str
    key: SessionKey
    root_id: str

    tree = _Key(is_of_tree=True)
    totals = _Key(is_of_tree=True)
    budgets = _Key(is_of_tree=True)
    refused = _Key(is_of_tree=True)
    gone = _Key(is_of_tree=True)
    followers = _Key(is_of_tree=True)
    head = _Key()
    log = _Key()
    ids = _Key()
    hidden = _Key()
    retractions = _Key()
    runs = _Key()
    unfinished = _Key()
    children = _Key()

    @property
    def is_root(self) -> bool:
        return self.root_id == self.key.id

    @cached_property
    def locator(self) -> bytes:
        """Of the session's own id, whatever its root."""
        return f"{self.prefix}{{{tag(self.key)}}}:locator".encode()

    @cached_property
    def core(self) -> tuple[bytes, ...]:
        """Return the keys that every script over a session begins with."""
        return self.tree, self.head, self.log, self.ids

    @cached_property
    def plain(self) -> tuple[bytes, ...]:
        """Return the keys of a commit that brings nothing but events."""
        return (*self.core, self.hidden, self.followers, self.budgets)

    @_Once
    def all_of_session(self) -> tuple[bytes, ...]:
        """Return the head, log, ids, hidden, runs, unfinished, retractions and children."""
        first, last = self.ends
        return tuple([first + kind + last for kind in _KINDS_OF_SESSION])

    @cached_property
    def all_of_creation(self) -> tuple[bytes, ...]:
        return (*self.plain, self.totals, self.runs, self.unfinished, self.retractions, self.children, self.refused)

    @cached_property
    def of_root(self) -> tuple[bytes, bytes]:
        """Return two keys of the tree's root that go in the same step as the tree, and tell whether it was lost."""
        root = self if self.is_root else self.of(self.root_id)
        return root.head, root.ids

    def of(self, session_id: str) -> SessionKeys:
        """Return the keys of another session of the same tree."""
        return SessionKeys(self.prefix, SessionKey(self.key.namespace, session_id), self.root_id)

    def in_tree(self, root_id: str) -> SessionKeys:
        """Return the keys that the same id has in the tree of `root_id`."""
        return SessionKeys(self.prefix, self.key, root_id)

    @cached_property
    def index_entry(self) -> tuple[bytes, bytes]:
        """Return in which shard of the index the session is listed, and as what."""
        name = escaped(self.key.id)
        shard = hashlib.blake2b(name.encode(), digest_size=1).digest()[0] % INDEX_SHARDS
        family = FAMILIES[not self.is_root]
        member = name if self.is_root else f"{name} {escaped(self.root_id)}"
        return f"{self.prefix}index:{escaped_names(self.key.namespace)}:{family}:{shard:02}".encode(), member.encode()

    @_Once
    def ends(self) -> tuple[bytes, bytes]:
        """Return what stands before and after the kind in each key: escaping takes most of what a key takes."""
        of_tree = _start_of_tree(self.prefix, self.key.namespace, self.root_id)
        return of_tree, b"" if self.is_root else b":" + escaped(self.key.id).encode()


def checked_prefix(prefix: object) -> str:
    """Return `prefix` if keys may begin with it; raise InvalidSessionOperation otherwise."""
    if not isinstance(prefix, str) or any(brace in prefix for brace in "{}"):
        raise InvalidSessionOperation(
            # Without the text: a mistyped URL may have put a password there.
            "key_prefix= cannot be used: braces decide on which node of a cluster a key lies; take a text without them"
        )
    return prefix


def probe_key(prefix: str) -> bytes:
    """Return a key to try rights on, another one each time.

    It is nobody's: a session's tag has a colon between namespace and id, and another program does not know the number.
    """
    return f"{prefix}{{a2a-session-manager.rights.{secrets.token_hex(16)}}}".encode()


def escaped(text: str) -> str:
    """Return ASCII without a space, a colon or a brace in it."""
    return quote(text, safe="", errors="surrogatepass")


def escaped_names(namespace: Namespace) -> str:
    """Return the names of a namespace as they stand in keys: one alone as it has always stood there."""
    return "/".join(map(escaped, namespace))


def tag(key: SessionKey) -> str:
    """Return what stands in the braces of a root's keys."""
    return f"{escaped_names(key.namespace)}:{escaped(key.id)}"


@lru_cache(maxsize=_NAMES_REMEMBERED)
def _start_of_tree(prefix: str, namespace: Namespace, root_id: str) -> bytes:
    return f"{prefix}{{{tag(SessionKey(namespace, root_id))}}}:".encode()


def index_keys(prefix: str, namespace: Namespace, *, roots_only: bool) -> Sequence[bytes]:
    """Return the index of a namespace, shard by shard, in the order of listings."""
    families = FAMILIES[:1] if roots_only else FAMILIES
    return [
        f"{prefix}index:{escaped_names(namespace)}:{family}:{shard:02}".encode()
        for family in families
        for shard in range(INDEX_SHARDS)
    ]


@lru_cache(maxsize=_NAMES_REMEMBERED)
def shard_with_marks(prefix: str, shard: bytes) -> tuple[bytes, bytes, bytes]:
    """Return the keys of a shard: its lines and its marks, which a cluster keeps in the shard's own slot."""
    first, second = (prefix.encode() + b"{%b}:mark:%d" % (shard, copy) for copy in range(2))
    return shard, first, second


@lru_cache(maxsize=_NAMES_REMEMBERED)
def mark_of_loss(prefix: str, shard: bytes) -> bytes:
    """Return the key, in the shard's own slot, that is there when the shard was lost and others are listed since."""
    return prefix.encode() + b"{%b}:mark:lost" % shard


@lru_cache(maxsize=_NAMES_REMEMBERED)
def entry_keys(prefix: str, shard: bytes) -> tuple[bytes, bytes]:
    """Return the keys, in the shard's own slot, by which pages of heads are found: its entries and their rows."""
    return prefix.encode() + b"{%b}:entries" % shard, prefix.encode() + b"{%b}:rows" % shard


@lru_cache(maxsize=_NAMES_REMEMBERED)
def due_key(prefix: str, namespace: Namespace) -> bytes:
    """Return the key that tells when to look after sessions of a namespace."""
    return f"{prefix}index:{escaped_names(namespace)}:due".encode()


def names_key(prefix: str, namespace: Namespace) -> bytes:
    """Return the key that lists the namespaces directly below one."""
    return f"{prefix}index:{escaped_names(namespace)}:names".encode()


def complete_key(prefix: str) -> bytes:
    """Return the key that is there once the names of all namespaces are listed, also those of earlier releases."""
    return f"{prefix}index::complete".encode()


@lru_cache(maxsize=_NAMES_REMEMBERED)
def names_entries(prefix: str, namespace: Namespace) -> list[tuple[bytes, bytes]]:
    """Return where a namespace and those above it are listed, and as what: none for the default one."""
    return [(names_key(prefix, namespace[:depth]), escaped(name).encode()) for depth, name in enumerate(namespace)]


def index_range_below_roots(prefix: str, key: SessionKey) -> tuple[bytes, bytes, bytes]:
    """Return in which shard, and between which bounds, an id is listed as that of a session below a root."""
    shard, _ = SessionKeys(prefix, key, "").index_entry
    name = escaped(key.id).encode()
    return shard, b"[" + name + b" ", b"(" + name + b"!"


def listed_keys(prefix: str, namespace: Namespace, member: bytes) -> SessionKeys:
    """Return the keys that an entry of the index means."""
    name, _, root = member.decode().partition(" ")
    key = SessionKey(namespace, unquote(name))
    return SessionKeys(prefix, key, unquote(root) or key.id)
