"""MovingVerbs: sessions out of the store and into others: bundles, copies, claims and salvage."""

from __future__ import annotations

import os
from collections.abc import Callable

from a2a_session_manager.bundles.claiming import claim_session
from a2a_session_manager.bundles.exporting import Writable, export_bundle
from a2a_session_manager.bundles.importing import copy_sessions, import_bundle
from a2a_session_manager.bundles.report import ExportReport, MoveReport
from a2a_session_manager.bundles.salvaging import salvage_session
from a2a_session_manager.manager.base import ManagerBase
from a2a_session_manager.protocols import SessionStore

# Is told how many events are done.
Progress = Callable[[int], object]


class MovingVerbs(ManagerBase):
    """Sessions out of the store and into it. `progress` is called now and then with how many events are done."""

    async def export_bundle(
        self, destination: str | os.PathLike[str] | Writable, *ids: str, progress: Progress | None = None
    ) -> ExportReport:
        """Write sessions, each with all below it, into a bundle: those of `ids`, or all of the namespace.

        A bundle is a file of JSON lines, which is the same for the same sessions, whatever store they are in. It has
        all of them: hidden events, runs, forks, times, titles, compactions and usage; not the creation ids and
        revisions, which every store gives itself. Each session is as it was at one moment, however many write to it.

        Args:
            destination: the path of the file, which is there only when it is whole, or something to write bytes to.
            ids: the sessions; without any, all roots by their ids.
            progress: see the class.

        Returns what is in it, and in `losses` what of the sessions is not. Raises SessionNotFound; CorruptSession for
        a damaged session; InvalidSessionOperation for a file that cannot be written.
        """
        return await export_bundle(self._store, destination, *ids, progress=progress)

    async def import_bundle(
        self,
        path: str | os.PathLike[str],
        *,
        prefix: str = "",
        dry_run: bool = False,
        progress: Progress | None = None,
    ) -> MoveReport:
        """Bring the sessions of a bundle into the store, and return what was done for each of them.

        All of the file is checked first, and each session once it is written. Ids and times stay. A session that is
        there, or has gone on here since, is left as it is; so a second import changes nothing, and one that was cut off
        is gone on with by importing again. Until then, the first session of what is not whole has the property
        `unfinished_copy`.

        Args:
            path: the bundle.
            prefix: what to put before all ids, such as to have them beside those that are there.
            dry_run: return what would be done; nothing is written.
            progress: see the class.

        Raises InvalidSessionOperation for what is no bundle, was cut off, was changed, or has what the store refuses,
        and for a session that is there with other content; then nothing was written.
        """
        return await import_bundle(self._store, path, prefix=prefix, dry_run=dry_run, progress=progress)

    async def copy(
        self,
        into: SessionStore | ManagerBase,
        *ids: str,
        prefix: str = "",
        dry_run: bool = False,
        progress: Progress | None = None,
    ) -> MoveReport:
        """Copy sessions, each with all below it, into another store or namespace, as by a bundle but without a file.

        Args:
            into: a store, or another manager.
            ids: the sessions; without any, all of the namespace.
            prefix: what to put before the ids of the copies; needed where they are to be in the same namespace.
            dry_run: return what would be done; nothing is written.
            progress: see the class.

        Raises what `export_bundle` and `import_bundle` do. A copy whose source went on since it was made is other
        content.
        """
        return await copy_sessions(
            self._store, _store_of(into), *ids, prefix=prefix, dry_run=dry_run, progress=progress
        )

    async def claim(
        self,
        id: str,
        owner: str,
        *,
        into: SessionStore | ManagerBase | None = None,
        take_over: bool = False,
        progress: Progress | None = None,
    ) -> MoveReport:
        """Let a conversation be somebody's: set the property `owner` of its root, and move it where it is to be.

        Of several who claim it at once, one gets it; the others are told who has it. What others write to it while it
        is moved comes along.

        Args:
            id: the session; one that is moved has to be a root.
            owner: whose it is from now on.
            into: the namespace or the store of the owner, as a store or a manager: all of the tree is copied there,
                and then deleted here. A move that was cut off is gone on with by claiming again. None moves nothing.
            take_over: whether it may be taken from another owner.
            progress: see the class.

        Raises SessionNotFound; InvalidSessionOperation for a session of another owner, and what `copy` does;
        SessionConflict when others write to it all the time.
        """
        place = None if into is None else _store_of(into)
        return await claim_session(self._store, id, owner, into=place, take_over=take_over, progress=progress)

    async def salvage(
        self, id: str, *, new_id: str | None = None, dry_run: bool = False, progress: Progress | None = None
    ) -> MoveReport:
        """Make a new session of what can be trusted of a damaged one, up to the damage; the damaged one stays.

        What is lost is in the report's `losses`. The new session says in its property `salvaged_from` what it is of.
        What its events used counts in it.

        Args:
            id: the damaged session.
            new_id: the id of the new one; None makes it of the old one, with "-salvaged" after it.
            dry_run: return what would be saved; nothing is written.
            progress: see the class.

        Raises SessionNotFound; CorruptSession when nothing can be trusted; InvalidSessionOperation for a session that
        is not damaged, and when `new_id` is taken by something else.
        """
        return await salvage_session(self._store, id, new_id=new_id, dry_run=dry_run, progress=progress)


def _store_of(place: SessionStore | ManagerBase) -> SessionStore:
    return place.store if isinstance(place, ManagerBase) else place
