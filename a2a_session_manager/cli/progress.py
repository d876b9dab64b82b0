"""How far long work is, on a terminal; nothing elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.progress import Progress, SpinnerColumn, TextColumn

from a2a_session_manager.cli.writing import to_stderr


@contextmanager
def counting(what: str) -> Iterator[Callable[[int], None]]:
    """Show a number while a block runs, with `what` is counted after it; the block gets a function that sets it."""
    columns = SpinnerColumn(), TextColumn(f"{{task.completed}} {what}")
    with Progress(*columns, console=to_stderr(), transient=True) as progress:
        task = progress.add_task("", total=None)
        yield lambda count: progress.update(task, completed=count)
