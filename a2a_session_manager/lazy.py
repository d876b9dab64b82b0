"""Public names that are imported when they are first used, so that a program loads only what it needs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from importlib import import_module
from typing import Any


def lazy_names(
    module: str, where: Mapping[str, str], names: Iterable[str]
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Return `__getattr__` and `__dir__` for `module`, whose public `names` are in the modules that `where` gives.

    A name whose library is not installed is left out of `__all__` and `dir()`, so that `import *`, `help()` and
    `inspect.getmembers` work without it. Using it by name raises MissingDependency with the pip line.
    """
    public = list(names)

    def find(name: str) -> Any:
        if name == "__all__":
            return [each for each in public if each not in where or _is_installed(where[each], each)]
        if name not in where:
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        return getattr(import_module(where[name]), name)

    def listed() -> list[str]:
        return sorted({*vars(import_module(module)), *find("__all__")})

    return find, listed


def _is_installed(module: str, name: str) -> bool:
    try:
        getattr(import_module(module), name)
    except ImportError:  # MissingDependency is one
        return False
    return True
