"""Transcripts, replayed as live agent loops through the library, then read back and compared.

To run: python examples/replay.py [TRANSCRIPTS] [--store URL] [--concurrency 64] [--model NAME]
It prints: a table of what was kept (sessions, events, tool calls, runs, events per second) and how many
conversations came back equal, message for message. With --model, also what that model would have cost, for each
conversation and for the tree. It exits with 1 on any difference, with 2 on bad input.

TRANSCRIPTS holds one JSON object a line: {"id": …, "messages": [OpenAI chat messages]}. The batch is one parent
session, a conversation is a child of it, a user's turn is a run. What comes before the first user message,
such as the system's, belongs to no run. Every id derives from the input: a replay that was stopped can be
started again on the same store, and goes on where it was.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import sys
import time
from collections.abc import AsyncGenerator, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from replaying.spend import spending, table, usage_of
from replaying.transcripts import Conversation, Transcripts, UnreadableTranscripts, read_transcripts

from a2a_session_manager import (
    ActiveRun,
    ActiveSession,
    ChatMessage,
    RunStatus,
    Session,
    SessionManager,
    SessionManagerError,
    chat_messages,
    event_from_message,
    warm_up,
)

DEFAULT_TRANSCRIPTS = Path(__file__).parent / "data" / "conversations.jsonl"
SHOWN_PROBLEMS = 10


@dataclass
class Replayed:
    """What replaying did; `failures` names the conversations that could not be written, and why."""

    new_events: int = 0
    failures: list[str] = field(default_factory=list[str])


@dataclass
class Report:
    """What reading back found."""

    sessions: int = 0
    events: int = 0
    tool_calls: int = 0
    runs: int = 0
    interrupted_runs: int = 0
    equal: int = 0
    differences: list[str] = field(default_factory=list[str])


class Progress:
    """One line on a terminal that counts conversations; silent when piped."""

    def __init__(self, total: int) -> None:
        self._total = total
        self._done = 0
        self._is_shown = sys.stderr.isatty()

    def step(self) -> None:
        self._done += 1
        if self._is_shown:
            end = "\n" if self._done == self._total else ""
            print(f"\rreplayed {self._done} of {self._total} conversations", end=end, file=sys.stderr, flush=True)


# Replaying


async def replay(
    sessions: SessionManager, transcripts: Transcripts, *, concurrency: int, model: str | None = None
) -> Replayed:
    """Replay all conversations, `concurrency` at a time; one that fails does not stop the others."""
    await create_sessions(sessions, transcripts)
    progress = Progress(len(transcripts.conversations))
    waiting = iter(transcripts.conversations)
    replayed = Replayed()

    async def work() -> None:
        for conversation in waiting:  # shared: each conversation goes to whoever is free
            try:
                new_events = await replay_conversation(sessions, conversation, model)
                replayed.new_events += new_events
            except SessionManagerError as error:
                replayed.failures.append(f"{conversation.session_id}: {type(error).__name__}: {error}")
            progress.step()

    async with asyncio.TaskGroup() as group:
        for _ in range(min(concurrency, len(transcripts.conversations))):
            group.create_task(work())
    return replayed


async def create_sessions(sessions: SessionManager, transcripts: Transcripts) -> None:
    """Create the batch and its children one by one: the tree keeps the order of the input, however often."""
    await sessions.get_or_create(transcripts.id, last=0)
    for conversation in transcripts.conversations:
        await sessions.get_or_create(conversation.session_id, parent_id=transcripts.id, last=0)


async def replay_conversation(sessions: SessionManager, conversation: Conversation, model: str | None = None) -> int:
    """Append what is not there yet, turn by turn; return how many events that were."""
    statuses = {run.id: run.status for run in await sessions.runs(conversation.session_id)}
    async with sessions.open(conversation.session_id) as chat:
        known = chat.session.last_seq
        for turn_id, indexes in conversation.turns():
            if turn_id is None:
                await append_messages(chat, conversation, indexes, model)
            elif (run_id := open_attempt(turn_id, statuses)) is not None:
                # Whoever replays the same input, a process that was killed perhaps, is replaced: each event lands once.
                async with chat.run(agent="replay", id=run_id, busy="take_over") as run:
                    await append_messages(run, conversation, indexes, model)
        return chat.session.last_seq - known


async def append_messages(
    log: ActiveSession | ActiveRun, conversation: Conversation, indexes: range, model: str | None
) -> None:
    """Append each message when its turn comes; one that is there already stays as it is, by its id."""
    for index in indexes:
        usage = None if model is None else await usage_of(conversation.messages, index, model)
        event = event_from_message(conversation.messages[index], id=conversation.event_id(index), token_usage=usage)
        await log.append(event, on_repeat="keep")  # an earlier attempt may have been another run


def open_attempt(turn_id: str, statuses: Mapping[str, RunStatus]) -> str | None:
    """Return the run to start, or to resume, for a turn; None when the turn is complete.

    An attempt that failed or was cancelled stays on record, and the next one gets an id of its own.
    """
    run_id, attempt = turn_id, 1
    while (status := statuses.get(run_id)) is not None and status.is_final:
        if status is RunStatus.COMPLETED:
            return None
        attempt += 1
        run_id = f"{turn_id}.{attempt}"
    return run_id


# Reading back


async def compare(sessions: SessionManager, transcripts: Transcripts) -> Report:
    """Read everything back and compare it with the input."""
    report = Report()
    batch = await sessions.get(transcripts.id)
    tree = await batch.descendants()
    report.sessions = 1 + len(tree)
    report.differences += tree_differences(batch, tree, transcripts)
    for conversation in transcripts.conversations:
        session = await sessions.get(conversation.session_id)
        messages = chat_messages(session.events)
        completed = sum(run.status is RunStatus.COMPLETED for run in session.runs)
        report.events += len(session.events)
        report.tool_calls += sum(len(message.get("tool_calls") or ()) for message in messages)
        report.runs += completed
        report.interrupted_runs += len(session.runs) - completed
        differences = list(conversation_differences(conversation, session, messages))
        report.equal += not differences
        report.differences += differences
    return report


def tree_differences(batch: Session, tree: Iterable[Session], transcripts: Transcripts) -> Iterator[str]:
    found = [(session.id, session.parent_id) for session in tree]
    expected = [(conversation.session_id, batch.id) for conversation in transcripts.conversations]
    if found != expected or batch.child_ids != [session_id for session_id, _ in expected]:
        yield f"{batch.id}: the tree below it is not the conversations in the order of the input"


def conversation_differences(
    conversation: Conversation, session: Session, messages: Sequence[ChatMessage]
) -> Iterator[str]:
    if len(messages) != len(conversation.messages):
        yield f"{session.id}: {len(messages)} messages instead of {len(conversation.messages)}"
    for index, (given, found) in enumerate(zip(conversation.messages, messages, strict=False)):
        # As text: the order of keys counts, and 1 is neither 1.0 nor true.
        if json.dumps(given) != json.dumps(found):
            yield f"{session.id}, message {index + 1}: {found!r:.200} instead of {given!r:.200}"
    expected = [(seq + 1, conversation.event_id(seq)) for seq in range(len(conversation.messages))]
    if [(event.seq, event.id) for event in session.events] != expected:
        yield f"{session.id}: event ids or their order differ"
    completed = [run.id.partition(".")[0] for run in session.runs if run.status is RunStatus.COMPLETED]
    turn_ids = [turn_id for turn_id, _ in conversation.turns() if turn_id is not None]
    if sorted(completed) != sorted(turn_ids):
        yield f"{session.id}: completed runs {completed} instead of one for each of {turn_ids}"


# The command


async def replay_and_compare(path: Path, url: str, concurrency: int, model: str | None) -> int:
    """Return the exit code."""
    transcripts = await asyncio.to_thread(read_transcripts, path)
    if model is not None:
        await warm_up(model)
    async with SessionManager.from_url(url) as sessions:
        start = time.perf_counter()
        replayed = await replay(sessions, transcripts, concurrency=concurrency, model=model)
        seconds = time.perf_counter() - start
        async with cold_manager(url, sessions) as cold:
            report = await compare(cold, transcripts)
            spent = [] if model is None else table(await spending(cold, transcripts), model)
    print_table(path, url, report, replayed.new_events, seconds, len(transcripts.conversations))
    print(*spent, sep="\n", end="\n" if spent else "")
    problems = [*replayed.failures, *report.differences]
    for problem in problems[:SHOWN_PROBLEMS]:
        print(f"problem: {problem}", file=sys.stderr)
    return 1 if problems else 0


@asynccontextmanager
async def cold_manager(url: str, warm: SessionManager) -> AsyncGenerator[SessionManager, None]:
    """Open the store once more, with nothing remembered; memory has only the one that wrote."""
    if url.startswith("memory:"):
        yield warm
    else:
        async with SessionManager.from_url(url) as cold:
            yield cold


def print_table(path: Path, url: str, report: Report, new_events: int, seconds: float, conversations: int) -> None:
    interrupted = f" and {report.interrupted_runs:,} interrupted" if report.interrupted_runs else ""
    rows = {
        "transcripts": path.name,
        "store": re.sub("//[^/]*@", "//", url),  # no password on the screen
        "sessions": f"{report.sessions:,}",
        "events": f"{report.events:,}",
        "tool calls": f"{report.tool_calls:,}",
        "runs": f"{report.runs:,}{interrupted}",
        "replayed": f"{new_events:,} events in {seconds:.2f} s",
        "events/s": f"{new_events / seconds:,.0f}",
        "equal": f"{report.equal} of {conversations} conversations",
    }
    for name, value in rows.items():
        print(f"{name:<12} {value}")


def parse_options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Replay chat transcripts into a session store and compare.")
    parser.add_argument("transcripts", nargs="?", type=Path, default=DEFAULT_TRANSCRIPTS, metavar="TRANSCRIPTS")
    parser.add_argument("--store", default="memory:", metavar="URL", help="where to keep them (default: memory:)")
    parser.add_argument("--concurrency", type=positive, default=64, help="conversations at a time (default: 64)")
    parser.add_argument("--model", metavar="NAME", help="count tokens and cost as this model's")
    return parser.parse_args(arguments)


def positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} conversations at a time never end: take 1 or more")
    return number


def main(arguments: Sequence[str] | None = None) -> int:
    options = parse_options(arguments)
    try:
        return asyncio.run(replay_and_compare(options.transcripts, options.store, options.concurrency, options.model))
    except UnreadableTranscripts as error:
        print(f"bad input: {error}", file=sys.stderr)
        return 2
    except SessionManagerError as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nstopped: start it again on the same store to go on", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
