"""MessageView: the messages that a model may be given, and what was done to what is stored."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from typing import Any, Final, Literal, NamedTuple, TypeAlias

from a2a_session_manager.context.findings import Finding

# Why a view does not begin with the whole of an earlier one.
PrefixChange: TypeAlias = Literal[
    "retraction", "restoration", "compaction", "answer", "continuation", "budget", "format", "session"
]

_NEVER: Final = float("inf")


class PrefixCheck(NamedTuple):
    """Whether a view begins with all of an earlier one; it is true exactly then.

    Args:
        change: why it does not: events were hidden ("retraction"), or came back ("restoration"), a summary took the
            place of messages, or left it to them again ("compaction"), a call that was open has its result, or its
            answer went on ("answer"), more was said that belongs into the last message ("continuation"), the two were
            cut to a budget ("budget"), are in different formats ("format"), or of different sessions ("session").
        at: the index of the first message that differs; None for what the system says, or for all.
        seq: of that message's event.
    """

    change: PrefixChange | None = None
    at: int | None = None
    seq: int | None = None

    def __bool__(self) -> bool:
        """Tell whether nothing has changed."""
        return self.change is None


class MessageView(list[Any]):
    """Messages as a model may be given them, oldest first: a list, which a client takes as it is.

    Attributes:
        system: what the system says, where the format has it beside the messages: `system=` of Anthropic's client,
            `system_instruction=` of Gemini's. None where it is among the messages, or nothing was said.
        report: what was moved, closed or left out, or could not be converted, in the order of the events.
        format: the format that was asked for; None for messages as they are stored.
        session_id: the session that the messages are of.
        seqs: for each message, the seq of the event that it comes from. A result that stands for a missing one has
            that of its call.
        compaction: the seq of the event whose summary stands for what is not among the messages; None for none.

    `extends` goes by three more: `unfinished` are the indexes of messages with calls whose results may still come,
    `log_seqs` the seqs of all that was said, and `is_cut` whether a budget has left any of it out.
    """

    __slots__ = (
        "_is_cut",
        "_log_seqs",
        "_unfinished",
        "compaction",
        "format",
        "report",
        "seqs",
        "session_id",
        "system",
    )

    def __init__(
        self,
        messages: Iterable[Any] = (),
        *,
        seqs: Sequence[int] = (),
        system: Any = None,
        report: Sequence[Finding] = (),
        format: str | None = None,
        session_id: str | None = None,
        unfinished: frozenset[int] = frozenset(),
        log_seqs: Sequence[int] = (),
        is_cut: bool = False,
        compaction: int | None = None,
    ) -> None:
        super().__init__(messages)
        self.system = system
        self.report = tuple(report)
        self.format = format
        self.session_id = session_id
        self.seqs = tuple(seqs)
        self.compaction = compaction
        self._unfinished = unfinished
        self._log_seqs = log_seqs
        self._is_cut = is_cut

    @property
    def prefix_digest(self) -> str:
        """SHA-256 of what the system says and of all messages, as JSON: equal exactly where a prompt is."""
        digest = hashlib.sha256()
        for value in (self.system, *self):
            digest.update(json.dumps(value, ensure_ascii=False, default=str).encode("utf-8", "surrogatepass") + b"\n")
        return digest.hexdigest()

    def extends(self, previous: MessageView) -> PrefixCheck:
        """Tell whether this view begins with all of `previous`, so that a provider's cache of that one is of use."""
        if self.session_id != previous.session_id:
            return PrefixCheck("session")
        if self.format != previous.format:
            return PrefixCheck("format")
        if self.system == previous.system:
            index = next(
                (index for index, message in enumerate(previous) if index >= len(self) or self[index] != message), None
            )
            if index is None:
                return PrefixCheck()
            return PrefixCheck(self._change(previous, index), index, previous.seqs[index] if previous.seqs else None)
        return PrefixCheck(self._change(previous, None))

    def _change(self, previous: MessageView, index: int | None) -> PrefixChange:
        if self._is_cut or previous._is_cut:
            return "budget"
        if self.compaction != previous.compaction:
            return "compaction"
        mine, theirs = set(self._log_seqs), set(previous._log_seqs)
        if not theirs <= mine:
            return "retraction"
        if min(mine - theirs, default=_NEVER) < max(theirs, default=0):
            return "restoration"
        return "answer" if index in previous._unfinished else "continuation"
