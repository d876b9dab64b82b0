"""BlockBuster, configured for stores: a blocking call on the event loop raises BlockingError."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from contextlib import contextmanager

from blockbuster import BlockBuster, BlockBusterFunction, blockbuster_ctx

# Blocking calls that stores make, and BlockBuster does not watch by itself.
_ALSO = (
    ("os", "open"),
    ("os", "fsync"),
    ("os", "fdatasync"),
    ("os", "ftruncate"),
    ("os", "pread"),
    ("os", "pwrite"),
    ("fcntl", "flock"),
    ("fcntl", "lockf"),
)


@contextmanager
def blocking_calls_refused() -> Iterator[BlockBuster]:
    """Refuse blocking calls on a running event loop inside the `with` block: they raise BlockBuster's BlockingError.

    It yields BlockBuster's own object, which allows exceptions:
    `guard.functions["os.stat"].can_block_in("redis/connection.py", "__init__")`.
    """
    with blockbuster_ctx() as guard:
        for function in guard.functions.values():
            # An import may read files, and pytest reads those of modules whose assertions it rewrites.
            function.can_block_in("_pytest/assertion/rewrite.py", {"get_data"})
        # It is called once, for a relative directory, and reads nothing from a disk.
        guard.functions["os.getcwd"].can_block_in("storage/file/__init__.py", {"_fixed"})
        also = list(_also_watched())
        for function in also:
            function.activate()
        try:
            yield guard
        finally:
            for function in also:
                function.deactivate()


def _also_watched() -> Iterator[BlockBusterFunction]:
    for module_name, name in _ALSO:
        try:
            module = importlib.import_module(module_name)
        except ImportError:
            continue  # fcntl is POSIX only
        function = BlockBusterFunction(module, name)
        function.can_block_in("subprocess.py", {"_get_devnull"})
        yield function
