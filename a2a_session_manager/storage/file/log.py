"""One session's log file: the truth about it, read and written."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import count, takewhile
from pathlib import Path

from a2a_session_manager.exceptions import CorruptSession, SessionManagerError
from a2a_session_manager.storage import commit_rules
from a2a_session_manager.storage.file.commit_lines import encode_line, encode_one
from a2a_session_manager.storage.file.framing import framed
from a2a_session_manager.storage.file.log_reader import LogReader
from a2a_session_manager.storage.records import EncodedCommit, HeadRecord, Receipt


class LogFile(LogReader):
    """A log that takes commits, while it is held exclusively."""

    def repeat(self, commit: EncodedCommit) -> Receipt | None:
        """Answer a commit whose write id is known with its first result; None when it was never made."""
        return self._unmisled(lambda: self._repeated(commit, self.find_seqs(_named_events(commit))))

    def is_checkpoint_due_after(self, commits: Sequence[EncodedCommit]) -> bool:
        """Tell whether a checkpoint is to be written with these commits, by about how much they bring."""
        size = sum([commit.size for commit in commits])
        return self._index.is_due(self.offset + size, more_records=len(commits))

    def commit_all(self, commits: Sequence[EncodedCommit]) -> list[Receipt | SessionManagerError]:
        """Decide commits in order, write what they brought in one write, and answer each.

        Only the exclusive holder of the file calls it, after catching up. What did not fit fails with StoreFull, and so
        does every commit after it. Raises OSError when writing or syncing failed: then nobody knows. With
        durability=disk the caller syncs it, and answers nobody before.
        """
        try:
            synced = self.on_disk.for_a_record(self._first_bytes)
            staged, frames, end = self._unmisled(lambda: self._staged(commits, synced))
            whole = self.write(frames, synced) if frames else 0
            if (synced, self.on_disk.synced) != (None, None) and self._index.is_due(end):
                self.handle.sync()  # a checkpoint must not tell of what a loss of power may still take
        except BaseException:
            self.start_over()  # staged in memory, and perhaps not in the file
            raise
        if whole < len(frames):
            self.start_over()
        else:
            self.offset = end
            self.on_disk.synced = synced if frames else self.on_disk.synced
            self._write_checkpoint_if_due()
        return [answer if needed <= whole else self.no_room() for answer, needed in staged]

    def remove(self) -> None:
        """Remove the log, all that was derived from it, and what was cut from it.

        Only the exclusive holder of the file calls it.
        """
        self.remove_derived()  # first: once the log is gone, another one of its name may have sidecars
        for path in takewhile(os.path.lexists, self.cut_paths()):
            path.unlink(missing_ok=True)
        self.path.unlink()
        self.handle.close()
        self.start_over()

    def cut_paths(self) -> Iterator[Path]:
        """Yield where what is cut from the log goes: the first of these names that is free."""
        yield self.path.with_suffix(".cut")
        for number in count(1):
            yield self.path.with_suffix(f".cut.{number}")

    def remove_derived(self) -> None:
        """Remove what was derived from the log, which is the truth without it."""
        self._index.remove()
        self.on_disk.mark.remove()

    def _staged(
        self, commits: Sequence[EncodedCommit], synced: int | None
    ) -> tuple[list[tuple[Receipt | SessionManagerError, int]], list[bytes], int]:
        """Return each commit's answer with how many frames it needs in the file, the frames, and their end."""
        staged: list[tuple[Receipt | SessionManagerError, int]] = []
        frames: list[bytes] = []
        end = self.offset
        for commit in commits:
            answer, payload = self._answered(commit, end)
            if payload is not None:
                frames.append(framed(payload, synced))
                end += len(frames[-1])
            staged.append((answer, len(frames)))
        return staged, frames, end

    def _answered(self, commit: EncodedCommit, start: int) -> tuple[Receipt | SessionManagerError, bytes | None]:
        """Answer a commit as if all before it were written, and return the line that it adds, if any."""
        head = self.head
        assert head is not None, "only a log that exists takes commits"
        try:
            commit_rules.check_incarnation(head, commit)
            seqs = self.find_seqs(_named_events(commit))
            if commit_rules.is_one_append(commit) and not seqs:
                return self._one_appended(head, commit, start)
            if (receipt := self._repeated(commit, seqs)) is not None:
                return receipt, None
            outcome = commit_rules.decide(head, commit, seqs.get)
        except SessionManagerError as error:
            if isinstance(error, CorruptSession):
                raise
            return error, None
        if not outcome.receipt.is_change and commit.write_id is None:
            return outcome.receipt, None
        payload = encode_line(commit, outcome, head.last_seq + 1)
        self._note(head, commit, outcome, start)
        return outcome.receipt, payload

    def _one_appended(self, head: HeadRecord, commit: EncodedCommit, start: int) -> tuple[Receipt, bytes | None]:
        (event,) = commit.events
        receipt = commit_rules.append_one(head, commit)
        self._index.note_event(event.id, receipt.last_seq, start)
        return receipt, encode_one(commit, receipt.revision, receipt.last_seq)

    def _repeated(self, commit: EncodedCommit, seqs: Mapping[str, int]) -> Receipt | None:
        assert self.head is not None, "only a log that exists knows write ids"
        first = None if commit.write_id is None else self.first_result(commit.write_id)
        return None if first is None else commit_rules.repeat(self.head, commit, first, seqs.get)

    def _write_checkpoint_if_due(self) -> None:
        assert self.head is not None, "only a log that exists grows"
        assert self.creation is not None, "only a log that exists grows"
        if not self._index.is_due(self.offset):
            return
        if self._index.is_overtaken(self._first_bytes):
            self.start_over()  # the next use begins with what another process has written
        else:
            self._index.write(
                self.offset, self._first_bytes, self.creation, self.head, self.retractions, self.on_disk.synced
            )


def _named_events(commit: EncodedCommit) -> Iterable[str]:
    """Return the ids of the events that a commit brings or hides."""
    brought = [event.id for event in commit.events]
    return brought if commit.retraction is None else [*brought, *commit.retraction.event_ids]
