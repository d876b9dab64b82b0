"""The bundle of a tree inside its page, from where it can be taken and imported."""

from __future__ import annotations

import base64
import gzip
import io
from collections.abc import Mapping
from typing import Final, NamedTuple

from a2a_session_manager.bundles.exporting import export_bundle
from a2a_session_manager.concurrency.threads import in_thread
from a2a_session_manager.protocols import SessionStore
from a2a_session_manager.storage.store import BaseSessionStore
from a2a_session_manager.timeline.reading import ReadTree
from a2a_session_manager.timeline.redaction import Redactor

_MOST_BYTES: Final = 32_000_000


class Enclosed(NamedTuple):
    """A bundle as base64 of its gzip, which is ASCII; or why there is none."""

    text: str
    reason: str | None = None

    def unless_redacted(self, redacted: Mapping[str, int] | None) -> Enclosed:
        """Return no bundle where secrets were left out of the page: it has them."""
        return Enclosed("", "secrets were left out of this page") if redacted else self


async def enclosed_bundle(store: SessionStore, tree: ReadTree, *, alone: bool, redact: bool) -> Enclosed:
    """Return the bundle of a tree that was read, for its page, unless the page is not to have all that is in it."""
    if alone or any(session.earlier for session in tree.sessions):
        return Enclosed("", "not all of the conversation is in this page")
    if not isinstance(store, BaseSessionStore):
        return Enclosed("", "the store makes none")
    file = io.BytesIO()
    await export_bundle(store, file, tree.sessions[0].head.id)
    return await in_thread(_enclosed, file.getvalue(), redact)


def _enclosed(bundle: bytes, redact: bool) -> Enclosed:
    if len(bundle) > _MOST_BYTES:
        return Enclosed("", "it would be too large")
    redactor = Redactor(enabled=redact)
    # It has more than the page shows, such as what providers said of the usage.
    redactor.text(bundle.decode(errors="surrogateescape"))
    if redactor.total:
        return Enclosed("", "it would hold secrets")
    return Enclosed(base64.b64encode(gzip.compress(bundle, mtime=0)).decode())
