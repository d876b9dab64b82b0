"""ImportReport: what an import has brought, or would bring."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field


@dataclass(slots=True)
class ImportReport:
    """What an import has brought, or with `dry_run` would bring.

    Attributes:
        dry_run: whether nothing was written.
        formats: how many files there were of each format.
        session_ids: of all conversations in the files, in their order.
        new_sessions: how many of these were not there before.
        forks, children: how many of the sessions are branches of others, and how many lie below others.
        events: how many events the files have.
        new_events: how many of these were not there before.
        opaque: how many records were kept as they are, unseen by models, by what they were.
        untimed: how many events have no time of their own; theirs is that of the one before, or of the file.
        repeated: how many records came twice in a file, and were taken once.
        skipped: files in the directory that no format knows.
        notes: what else people should know.
    """

    dry_run: bool = False
    formats: Counter[str] = field(default_factory=Counter)
    session_ids: list[str] = field(default_factory=list)
    new_sessions: int = 0
    forks: int = 0
    children: int = 0
    events: int = 0
    new_events: int = 0
    opaque: Counter[str] = field(default_factory=Counter)
    untimed: int = 0
    repeated: int = 0
    skipped: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
