"""Results by what their calls go by, where they name them otherwise, or not at all."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from a2a_session_manager.context.known_calls import CallKey, KnownCalls, OpenCall, key_of, key_of_result, time_of
from a2a_session_manager.shapes.normal_form import Call, Message, Result
from a2a_session_manager.shapes.recognition import read_message
from a2a_session_manager.shapes.shape import RawMessage


class Naming:
    """Names the calls that results answer, over the calls before them, of which each is in the message at its index.

    With `has_earlier`, there are earlier messages that are not among these; `is_doubtful` says then that one of them
    may hold the call that a result answers which names nothing.
    """

    def __init__(
        self,
        known: KnownCalls,
        messages: Sequence[RawMessage],
        run_ids: Sequence[str | None],
        *,
        has_earlier: bool,
    ) -> None:
        self._known = known
        self._messages = messages
        self._run_ids = run_ids
        self._has_earlier = has_earlier
        self._in_order = range(0)  # where results are that name nothing, of which each answers the next call
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
        Of several there, results answer each the next one, if there are as many.
        """
        waiting = self._known.without_id()
        own = [each for each in waiting if each.at == before and each.run_id == self._run_ids[index]]
        if index - 1 == before and len(own) == self._count_nameless(index, len(own) + 1):
            self._in_order = range(index, index + len(own))
        if own and (len(own) == 1 or index in self._in_order):
            return min(own, key=time_of)
        self.is_doubtful |= self._has_earlier and len(waiting) == 1
        return waiting[0] if len(waiting) == 1 else None

    def _count_nameless(self, index: int, most: int) -> int:
        """Return how many messages of one run from an index on, at most `most`, are a result that names nothing."""
        end, run_id = min(index + most, len(self._messages)), self._run_ids[index]
        for at in range(index, end):
            if self._run_ids[at] != run_id or not _names_nothing(read_message(self._messages[at])):
                return at - index
        return end - index


def _names_nothing(message: Message) -> bool:
    """Tell whether a message is a single result that names no call."""
    if len(message.parts) != 1:
        return False
    part = message.parts[0]
    return isinstance(part, Result) and not part.is_hosted and key_of_result(part) == (None,)
