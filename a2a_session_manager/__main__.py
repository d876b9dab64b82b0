"""`python -m a2a_session_manager VERB …` is `a2a-sessions VERB …`."""

from __future__ import annotations

import sys

from a2a_session_manager.exceptions import MissingDependency


def main() -> None:
    """Run the command line, and leave with its exit status."""
    try:
        from a2a_session_manager.cli.app import run
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package not in ("humanize", "rich", "typer"):
            raise
        print(MissingDependency(package, "cli"), file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:  # loading it takes a while
        sys.exit(130)
    run()


if __name__ == "__main__":
    main()
