"""The app: its verbs, and how each of them ends."""

from __future__ import annotations

import logging
import sys
from typing import Any, Final

import typer

from a2a_session_manager.cli.doctor import doctor
from a2a_session_manager.cli.export import export
from a2a_session_manager.cli.importing import import_
from a2a_session_manager.cli.looking import ls, show, tail, tree
from a2a_session_manager.cli.moving import claim, copy, salvage
from a2a_session_manager.cli.retention import namespaces, prune
from a2a_session_manager.cli.spending import stats, usage
from a2a_session_manager.cli.upkeep import check, repair, title
from a2a_session_manager.cli.writing import on_one_line
from a2a_session_manager.exceptions import SessionManagerError

_HELP = """Look into the sessions of a store, and keep them in order.

Every verb takes --store, such as file:./sessions or redis://localhost:6379/0, or the environment variable
A2A_SESSIONS_URL; --namespace for the sessions of one tenant; and --json for one JSON object a line.

The exit status is 0 when all is well, 1 when `check` or `doctor` has found something, or `title` a stronger title, and
2 after an error.
"""

_NOWHERE: Final = logging.NullHandler()
# What typer raises for an option or an argument that is wrong; older releases take it from click, and newer have it.
_USAGE_ERROR: Final[Any] = typer.BadParameter.__mro__[1]

app = typer.Typer(name="a2a-sessions", help=_HELP, pretty_exceptions_enable=False)
for verb in (ls, show, tree, tail, usage, check, repair, title, stats, namespaces, prune, doctor, export):
    app.command()(verb)
for mover in (export, copy, claim, salvage):
    app.command()(mover)
app.command("import")(import_)


def run() -> None:
    """Run the command line, and leave with its exit status."""
    # An error is one line: what a store logs before that, such as its retries, would come to stderr, too.
    logging.getLogger("a2a_session_manager").addHandler(_NOWHERE)
    try:
        status = app(sys.argv[1:] or ["--help"], prog_name="a2a-sessions", standalone_mode=False)
    except Exception as error:  # typer's errors would be a box of many lines
        if isinstance(error, SessionManagerError):
            message = str(error)
        elif isinstance(error, _USAGE_ERROR):
            message = f"{error.format_message()} (a2a-sessions --help tells more)"
        else:
            raise
        print(f"a2a-sessions: {on_one_line(message)}", file=sys.stderr)
        sys.exit(2)
    sys.exit(status or 0)  # None, where no verb has left with a status of its own
