"""session_timeline: a session or a tree as one HTML file for people."""

from __future__ import annotations

import time

from a2a_session_manager.concurrency.threads import in_thread
from a2a_session_manager.exceptions import InvalidSessionOperation
from a2a_session_manager.manager import SessionManager
from a2a_session_manager.models import arguments
from a2a_session_manager.protocols import SessionStore
from a2a_session_manager.timeline.document import document_of
from a2a_session_manager.timeline.enclosing import Enclosed, enclosed_bundle
from a2a_session_manager.timeline.html import page_of
from a2a_session_manager.timeline.reading import Progress, ReadTree, read_tree

MOST_EVENTS = 20_000


async def session_timeline(
    sessions: SessionManager | SessionStore,
    id: str,
    *,
    alone: bool = False,
    last: int | None = MOST_EVENTS,
    redact: bool = True,
    bundle: bool = True,
    progress: Progress | None = None,
) -> str:
    """Return an HTML page that shows a session and all below it: what was said and done, when, and at what cost.

    The page is one file: it loads nothing, sends nothing, and runs in any current browser, also from a disk. It is
    ASCII text, so that any encoding writes it.

    Args:
        id: the session's. Its forks and children, and theirs, are in the page, too.
        alone: leave out all sessions below it.
        last: how many of the newest events of each session are in the page; None for all. The page says how many are
            left out. Sums are those of all events.
        redact: leave out what certainly is a secret, such as an API key or a password in a URL, in texts, arguments,
            results, metadata, properties, state and titles; the page says how many. Ids are shown as they are.
        bundle: put the sessions themselves into the page, as `export_bundle` writes them, to be taken out of it and
            imported elsewhere. It is left out, and the page says why, where a secret was left out, where not all of the
            sessions and events are in the page, and where it is larger than 32 MB.
        progress: is called with the number of events read so far.

    Raises SessionNotFound, and what reading raises.
    """
    last = arguments.limit("last", last)
    store = sessions.store if isinstance(sessions, SessionManager) else sessions
    if not hasattr(store, "events_page"):
        raise InvalidSessionOperation(f"sessions is a {type(sessions).__name__}: take a SessionManager or a store")
    tree = await read_tree(store, id, alone=alone, last=last, progress=progress)
    enclosed = await enclosed_bundle(store, tree, alone=alone, redact=redact) if bundle else None
    return await in_thread(timeline_page, tree, redact=redact, bundle=enclosed)


def timeline_page(tree: ReadTree, *, redact: bool, live: bool = False, bundle: Enclosed | None = None) -> str:
    """Return the page of what was read; one that is `live` goes on showing what comes."""
    document = document_of(tree, made_at=time.time() * 1_000, redact=redact, live=live)
    bundle = None if bundle is None else bundle.unless_redacted(document.data["redacted"])
    return page_of(document, live=live, bundle=bundle)
