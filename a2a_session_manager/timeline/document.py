"""What a page holds: sessions with their events as rows, and the sums above them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from a2a_session_manager.identifiers import derived_id
from a2a_session_manager.models.forked_from import ForkedFrom
from a2a_session_manager.models.session import Session
from a2a_session_manager.models.session_run import SessionRun
from a2a_session_manager.models.token_summary import TokenSummary
from a2a_session_manager.timeline.pairing import answers_in
from a2a_session_manager.timeline.reading import ReadSession, ReadTree
from a2a_session_manager.timeline.redaction import Redactor
from a2a_session_manager.timeline.rows import Row, RowWriter, milliseconds, tally_row
from a2a_session_manager.timeline.texts import Texts

FORMAT = 1


class Document(NamedTuple):
    """The page's data, and beside it the long texts that it refers to."""

    data: Row
    texts: list[str]
    title: str


def document_of(tree: ReadTree, *, made_at: float, redact: bool, live: bool) -> Document:
    """Return what the page of a tree holds; one that is `live` asks the server that sent it for what comes."""
    redactor, texts = Redactor(enabled=redact), Texts()
    writer = RowWriter(redactor, texts)
    sessions = [session_row(writer, each) for each in tree.sessions]
    title = redactor.text(title_of(tree.sessions[0].head))
    data: Row = {
        "format": FORMAT,
        "made": made_at,
        "sessions": sessions,
        "spent": tally_row(tree.spent.total),
        "redacted": dict(redactor.counts) if redact else None,
        "live": live,
        "of": order_digest([each.head.id for each in tree.sessions]),
    }
    return Document(data, texts.texts, title)


def session_row(writer: RowWriter, read: ReadSession) -> Row:
    """Return a session with its events."""
    covering = read.covering
    return {
        **head_row(writer, read.head, read.summary, read.runs),
        "first": read.first,
        "earlier": read.earlier,
        "covered": None if covering is None else list(covering),
        "hides": [list(each) for each in read.hides],
        "events": writer.events(read.events, answers_in(read.events)),
    }


def head_row(writer: RowWriter, head: Session[Any], summary: TokenSummary, runs: Sequence[SessionRun]) -> Row:
    """Return a session without its events."""
    title = head.metadata.properties.get("title")
    return {
        "id": head.id,
        "parent": head.parent_id,
        "root": head.root_id,
        "fork": fork_row(head.forked_from),
        "title": writer.value(title, "title") if isinstance(title, str) else None,
        "properties": writer.value(head.metadata.properties),
        "state": writer.value(head.state),
        "created": milliseconds(head.metadata.created_at),
        "updated": milliseconds(head.metadata.updated_at),
        "last": head.last_seq,
        "revision": head.revision,
        "spent": tally_row(summary.total),
        "models": [[name, tally_row(tally)] for name, tally in summary.usage_by_model.items()],
        "runs": [writer.run(run, summary.by_run.get(run.id)) for run in runs],
    }


def order_digest(ids: Sequence[str]) -> str:
    """Return a short text that is the same for the same sessions in the same order."""
    return derived_id("\n".join(f"{len(each)}:{each}" for each in ids))[:16]


def title_of(head: Session[Any]) -> str:
    """Return the title of a session, else its id."""
    title = head.metadata.properties.get("title")
    return title if isinstance(title, str) and title.strip() else head.id


def fork_row(forked_from: ForkedFrom | None) -> Row | None:
    """Return where a fork begins."""
    return None if forked_from is None else {"id": forked_from.id, "seq": forked_from.seq}
