"""Logs to make views of: conversations of every shape, by several writers at once, with all that goes wrong in them."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Sequence
from random import Random
from typing import Any, NamedTuple

from hypothesis import strategies as st

from tests.context.makers import MAKERS, Json, Maker, _args, _name


class Entry(NamedTuple):
    """A message of a log, and the run that wrote it."""

    message: Json
    run_id: str | None


def _function(call_id: str, arg: str) -> Json:
    function = {"name": _name(call_id), "arguments": json.dumps(_args(arg))}
    return {"id": call_id, "type": "function", "function": function}


_MARK = re.compile(r"\b(?:said|arg|got|thought|told|odd)\d+\b")


def marks(value: Any) -> Counter[str]:
    """Return the words in a JSON value that a log has once."""
    return Counter(_MARK.findall(json.dumps(value).replace("\\n", " ")))


def logs(shape: str | None = None, *, has_faults: bool = True) -> st.SearchStrategy[list[Entry]]:
    """Return logs of messages of one shape, None for of several; without faults, all is in its place."""
    names = [shape] if shape is not None else sorted(MAKERS)
    return st.builds(lambda random: _Log(random, names, has_faults).entries(), st.randoms(use_true_random=False))


def log_of(random: Random, names: Sequence[str]) -> list[Entry]:
    """Return a log of messages of some shapes."""
    return _Log(random, names, has_faults=True).entries()


class _Log:
    def __init__(self, random: Random, names: Sequence[str], has_faults: bool) -> None:
        self._random = random
        self._names = names
        self._has_faults = has_faults
        self._number = 0

    def entries(self) -> list[Entry]:
        random, maker = self._random, self._maker()
        entries: list[Entry] = []
        if maker.system is not None and random.random() < 0.4:
            entries.append(Entry(maker.system(self._new("told")), None))
        if random.random() < 0.15:
            entries += [Entry(each, None) for each in maker.assistant(self._new("said"), None)]
        if random.random() < 0.85:
            entries.append(Entry(maker.user(self._new("said")), None))
        writers = random.randint(1, 3) if self._has_faults else 1
        streams = [self._stream(f"run-{number}" if random.random() < 0.8 else None) for number in range(writers)]
        while streams:
            stream = random.choice(streams)
            if not stream:
                streams.remove(stream)
            else:
                entries.append(stream.pop(0))
        return entries

    def _new(self, kind: str) -> str:
        self._number += 1
        return f"{kind}{self._number}"

    def _maker(self) -> Maker:
        return MAKERS[self._random.choice(self._names)]

    def _is(self, chance: float) -> bool:
        return self._has_faults and self._random.random() < chance

    def _stream(self, run_id: str | None) -> list[Entry]:
        messages: list[Json] = []
        for _ in range(self._random.randint(1, 4)):
            maker = self._maker()
            if self._random.random() < 0.4:
                messages.append(maker.user(self._new("said")))
            steps = [self._exchange, self._exchange, self._answer, *([self._odd] if self._has_faults else [])]
            messages += self._random.choice(steps)(maker)
        return [Entry(message, run_id) for message in messages]

    def _answer(self, maker: Maker) -> list[Json]:
        return maker.assistant(self._new("said"), self._new("thought") if self._random.random() < 0.3 else None)

    def _odd(self, maker: Maker) -> list[Json]:
        odd: list[Json] = [
            {"role": "critic", "verdict": self._new("odd")},
            {"role": "assistant", "payload": {"a": self._new("odd")}},
        ]
        choices: list[Json] = [*maker.empty, *odd]
        if maker.system is not None:
            choices.append(maker.system(self._new("told")))
        if maker.blank is not None:
            choices += [maker.blank(self._new("said"))] * 2
        return [self._random.choice(choices)]

    def _exchange(self, maker: Maker) -> list[Json]:
        random = self._random
        ids = [self._call_id() for _ in range(random.randint(1, 3))]
        if self._is(0.08):
            ids.append(ids[0])
        if maker is MAKERS["ai_sdk_ui"] or not self._is(0.08):  # there, a message is known to have each id once
            ids = list(dict.fromkeys(ids))
        calls = maker.calls(
            self._new("said") if random.random() < 0.4 else None, [(each, self._new("arg")) for each in ids]
        )
        results = self._results(maker, ids)
        messages = [*calls, *results]
        if self._is(0.1):
            messages.insert(random.randrange(len(messages) + 1), random.choice(calls))
        if self._is(0.2):
            messages.insert(random.randrange(len(messages) + 1), maker.user(self._new("said")))
        if self._is(0.1) and results:  # early, or late
            result = messages.pop()
            messages.insert(random.randrange(len(messages) + 1), result)
            messages += self._answer(maker)
        return [*messages, *(self._answer(maker) if random.random() < 0.6 else [])]

    def _call_id(self) -> str:
        if self._is(0.15):
            return self._random.choice(["again", "again2"])
        self._number += 1
        return f"call_{self._number}"

    def _results(self, maker: Maker, ids: Sequence[str]) -> list[Json]:
        given = [(each, self._new("got")) for each in ids if not self._is(0.15)]
        if self._is(0.5):
            self._random.shuffle(given)
        if self._is(0.1) and given:
            given.append((self._random.choice(given)[0], self._new("got")))
        if self._is(0.08):
            given.append((f"wrong_{self._new('got')}", self._new("got")))
        if not given:
            return []
        if self._random.random() < 0.5:
            return maker.results(given)
        return [message for each in given for message in maker.results([each])]
