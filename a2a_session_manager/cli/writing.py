"""What verbs print: tables and text for people, and JSON lines for programs.

Stored text may hold anything. Control characters, which could move a terminal's cursor or turn its text around, are
printed as escapes.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

import humanize
from rich.console import Console
from rich.table import Table
from rich.text import Text

from a2a_session_manager.models.clock import utc_now
from a2a_session_manager.models.money import usd_from_pico
from a2a_session_manager.models.token_tally import TokenTally
from a2a_session_manager.models.token_usage import TokenUsage

# So wide that no line of a pipe is broken or cut.
_PIPE_COLUMNS: Final = 100_000
_MADE_ID: Final = re.compile("[0-9a-f]{32}")
_SMALL: Final = Decimal("0.0001")


def console() -> Console:
    """Return where output for people goes: on a terminal as wide as it is, with colours; elsewhere plain."""
    is_terminal = sys.stdout.isatty()
    return Console(width=None if is_terminal else _PIPE_COLUMNS, highlight=False, markup=False, emoji=False)


def to_stderr() -> Console:
    """Return where progress goes: it shows on a terminal, and nothing elsewhere."""
    return Console(stderr=True, quiet=not sys.stderr.isatty())


def print_json(rows: Iterable[Mapping[str, Any]]) -> None:
    """Print each row as a line of JSON. Money is text, since a JSON number would round it.

    What a terminal would take for a command, and halves of characters, which no stream can hold, are escaped.
    """
    for row in rows:
        line = json.dumps(row, ensure_ascii=False, separators=(",", ":"), default=_as_json)
        if not line.isprintable():
            line = "".join(char if char.isprintable() else json.dumps(char)[1:-1] for char in line)
        print(line, flush=True)


def table(
    columns: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    right: frozenset[int] = frozenset(),
    cut: int | None = None,
) -> Table:
    """Return an aligned table without rules, and without a header where no column has a name.

    The columns numbered in `right` are numbers. Where a terminal has too little room, a text goes on in the next line;
    with a column `cut`, each row is one line, and that column is cut.
    """
    made = Table(box=None, header_style="bold", pad_edge=False, padding=(0, 2, 0, 0), show_header=any(columns))
    for number, column in enumerate(columns):
        is_number = number in right
        is_whole = is_number or cut not in (None, number)
        made.add_column(column, justify="right" if is_number else "left", no_wrap=is_whole, overflow="ellipsis")
    for row in rows:
        cells = [Text(on_one_line(cell), no_wrap=number == cut, overflow="ellipsis") for number, cell in enumerate(row)]
        made.add_row(*cells)
    return made


def plain(text: str) -> str:
    """Return text with its control characters as escapes; line breaks and tabs stay."""
    return "".join(char if char.isprintable() or char in "\n\t" else _escape(char) for char in text)


def on_one_line(text: str) -> str:
    """Return text on one line, its control characters as escapes."""
    return plain(" ".join(text.split()))


def counted(number: int, what: str) -> str:
    """Return a number with what it counts, such as "1 tree" or "2 trees"."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def short_id(id: str) -> str:
    """Return an id for people: of one that was made here, its beginning, which is enough to tell it from others."""
    return f"{id[:8]}…" if _MADE_ID.fullmatch(id) else on_one_line(id)


def age(moment: datetime) -> str:
    """Return how long ago a moment was, for people."""
    return humanize.naturaltime(utc_now() - moment)


def cost(tally: TokenTally) -> str:
    """Return a sum's cost in US dollars; `≥` stands before a lower bound."""
    return ("≥ " if tally.is_lower_bound else "") + _dollars(tally.estimated_cost_usd)


def cost_of(usage: TokenUsage) -> str:
    """Return what one request cost in US dollars, as far as it is known."""
    if usage.cost_pico_usd is None:
        return "of unknown cost"
    return ("≥ " if usage.partially_priced else "") + _dollars(usd_from_pico(usage.cost_pico_usd))


def spent(tally: TokenTally) -> dict[str, Any]:
    """Return a sum as JSON values, the cost as exact text and as an integer of 10⁻¹² dollars."""
    return {
        **tally.model_dump(),
        "total_tokens": tally.total_tokens,
        "cost_usd": f"{tally.estimated_cost_usd:f}",
        "is_lower_bound": tally.is_lower_bound,
    }


def _dollars(usd: Decimal) -> str:
    return f"${usd:f}" if 0 < usd < _SMALL else f"${usd:.4f}"


def _escape(char: str) -> str:
    return char.encode("unicode_escape", "surrogatepass").decode("ascii")


def _as_json(value: object) -> object:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Decimal):
        return f"{value:f}"
    raise TypeError(f"{type(value).__name__} has no JSON form here")
