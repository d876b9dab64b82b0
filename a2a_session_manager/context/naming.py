"""Results by what their calls go by, where they name them otherwise, or not at all."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from a2a_session_manager.context.known_calls import CallKey, KnownCalls, OpenCall, key_of, key_of_result
from a2a_session_manager.shapes.normal_form import Call, Message, Result


class Naming:
    """Names the calls that results answer, over the calls before them, of which each is in the message at its index.

    With `has_earlier`, there are earlier messages that are not among these; `is_doubtful` says then that one of them
    may hold the call that a result answers which names nothing.
    """

    def __init__(self, known: KnownCalls, run_ids: Sequence[str | None], *, has_earlier: bool) -> None:
        self._known = known
        self._run_ids = run_ids
        self._has_earlier = has_earlier
        self.is_doubtful = False

    def of(self, message: Message, index: int, before: int | None, calls: Sequence[Call]) -> Message:
        """Return a message whose results name the calls that they answer, as calls without an id go by their names.

        `before` is the index of the last message that does not answer a call elsewhere; `calls` are the message's own.
        """
        own = set(map(key_of, calls))
        parts = tuple(
            self._result(part, index, before, own) if isinstance(part, Result) else part for part in message.parts
        )
        is_same = all(one is other for one, other in zip(parts, message.parts, strict=True))
        return message if is_same else message._replace(parts=parts)

    def _result(self, result: Result, index: int, before: int | None, own: Collection[CallKey]) -> Result:
        """Return a result by the name of its call if no call has its id."""
        key = key_of_result(result)
        if result.is_hosted or key in own or key in self._known:
            return result
        if key == (None,):  # it names nothing
            call = self._lone_call(index, before)
            return result if call is None else result._replace(name=call.call.name)
        for name in filter(None, (result.call_id, result.name)):
            if (name,) in own or (name,) in self._known:
                return result._replace(call_id=None, name=name)
        return result

    def _lone_call(self, index: int, before: int | None) -> OpenCall | None:
        """Return the call that a result answers which names nothing, if only one without an id waits for one.

        That is one in the message right before, of the same run. Of all others, an earlier message may have one, too.
        """
        waiting = self._known.without_id()
        own = [each for each in waiting if each.at == before and each.run_id == self._run_ids[index]]
        if len(own) == 1:
            return own[0]
        self.is_doubtful |= self._has_earlier and len(waiting) == 1
        return waiting[0] if len(waiting) == 1 else None
