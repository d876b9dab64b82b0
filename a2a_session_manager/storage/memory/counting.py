"""What was counted of the responses of one session, by which of its events."""

from __future__ import annotations

from a2a_session_manager.storage.counted_responses import CountedResponse


class CountedResponses(dict[str, CountedResponse]):
    """What is counted of each response now, by its id and, for the session's forks, what was counted of it before."""

    def __init__(self) -> None:
        super().__init__()
        self._seqs: dict[str, int] = {}
        self._earlier: dict[str, list[tuple[int, CountedResponse]]] = {}  # oldest first; most are counted once

    def put(self, response_id: str, seq: int, counted: CountedResponse) -> None:
        """Remember what is counted from the event `seq` on."""
        if response_id in self:
            before = (self._seqs[response_id], self[response_id])
            self._earlier.setdefault(response_id, []).append(before)
        self[response_id], self._seqs[response_id] = counted, seq

    def as_of(self, response_id: str, seq: int) -> CountedResponse | None:
        """Return what was counted of a response up to the event `seq`."""
        if self._seqs.get(response_id, seq) <= seq:
            return self.get(response_id)
        earlier = reversed(self._earlier.get(response_id, ()))
        return next((counted for at, counted in earlier if at <= seq), None)
