"""Names of namespaces: each lies below another one, and the outermost ones below the store itself."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from a2a_session_manager.exceptions import InvalidSessionOperation
from a2a_session_manager.identifiers import ID_CHARACTERS, checked_id, shown

# The names from the outermost one on; () is the default namespace, which is the store's own.
Namespace = tuple[str, ...]

# More of them would make paths that file systems refuse.
DEEPEST_NAMESPACE: Final = 8


def below(namespace: Namespace, name: str) -> Namespace:
    """Return the namespace `name` directly below `namespace`; "" is `namespace` itself.

    Raises InvalidSessionOperation for what is no name, and for one that would lie too deep.
    """
    if name == "":
        return namespace
    checked_id(name, f"namespace (up to {ID_CHARACTERS} characters)")
    if len(namespace) == DEEPEST_NAMESPACE:
        raise InvalidSessionOperation(
            f"namespace {shown(name)} would lie {DEEPEST_NAMESPACE + 1} deep: {DEEPEST_NAMESPACE} are the most; "
            "join some of the names"
        )
    return (*namespace, name)


def path_of(namespace: Namespace) -> str:
    """Return the names as people write them, joined by "/"; one that is in a name is %2F, and "%" is %25."""
    return "/".join(name.replace("%", "%25").replace("/", "%2F") for name in namespace)


def unescaped(name: str) -> str:
    """Return the name that stands so in a path."""
    return name.replace("%2F", "/").replace("%2f", "/").replace("%25", "%")


def names_in(path: str) -> list[str]:
    """Return the names of which `path_of` has made this; "" has none.

    Raises InvalidSessionOperation for an empty name, which would mean another namespace than it looks like.
    """
    names = [unescaped(name) for name in path.split("/") if path]
    if "" in names:
        raise InvalidSessionOperation(
            f"namespace {shown(path)} has an empty name in it: join names by one '/', and write one inside a name %2F"
        )
    return names


def names_below(paths: Iterable[str], namespace: Namespace) -> list[str]:
    """Return the names directly below `namespace`, sorted, of which these paths of namespaces tell."""
    every, depth = [tuple(names_in(path)) for path in paths], len(namespace)
    return sorted({names[depth] for names in every if len(names) > depth and names[:depth] == namespace})
