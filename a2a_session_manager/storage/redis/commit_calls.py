"""Commits as one call of a script: the keys that they touch, and what they bring as its arguments."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from typing import Any, Final

from a2a_session_manager.models.lease import LeaseClaim
from a2a_session_manager.storage.commit_records import EncodedCommit, Guard
from a2a_session_manager.storage.leases import has_usage
from a2a_session_manager.storage.records import EncodedEvent
from a2a_session_manager.storage.redis import scripts
from a2a_session_manager.storage.redis.keys import SessionKeys
from a2a_session_manager.storage.redis.script import ScriptCall, Value

# Of a response that used nothing, it is remembered that it came.
_NOTHING: Final = {"requests": 0}
# These steps of a claim are decided by the lease alone, without a look at the run.
_WITHOUT_RUN: Final = ("hold", "release")


def commit_call(
    keys: SessionKeys, commits: Sequence[EncodedCommit], ttl: int, note_sent_again: Callable[[], object]
) -> ScriptCall:
    """Return the call that makes the commits of one session, in their order; `ttl` is the store's, in milliseconds."""
    first = commits[0].lease
    held = "" if first is None else f" {first.run_id}"
    arguments: list[Value] = [keys.key.id, f"{keys.is_root:d} {ttl} {len(commits)}{held}"]
    for commit in commits:
        arguments += commit_args(commit)
    return ScriptCall(scripts.COMMIT, commit_keys(keys, commits), arguments, keys.key.id, note_sent_again)


def commit_keys(keys: SessionKeys, commits: Sequence[EncodedCommit]) -> tuple[bytes, ...]:
    """Return the keys that `commits` may touch; the rarer they are touched, the later they come."""
    need = 0
    for commit in commits:
        if commit.changes_hidden:
            return (*keys.plain, keys.totals, keys.runs, keys.unfinished, keys.retractions)
        if commit.runs or (commit.lease is not None and commit.lease.step not in _WITHOUT_RUN):
            need = 2
        for event in commit.events:
            if event.usage is not None:
                need = max(need, 1 if event.run_id is None else 2)
    if need == 0:
        return keys.plain
    return (*keys.plain, keys.totals) if need == 1 else (*keys.plain, keys.totals, keys.runs, keys.unfinished)


def commit_args(commit: EncodedCommit) -> list[Value]:
    """Return a commit as `take_commit` in `commit_rules.lua` reads it."""
    events, has_usage = commit.events, 0
    arguments: list[Value] = []
    for event in events:
        arguments += (event.id, event.data)
        if event.usage is not None:
            has_usage = max(has_usage, 1 if event.usage.response_id is None else 2)
    if has_usage:
        args_of = _usage_args if has_usage == 1 else _response_args
        arguments = [value for event in events for value in (event.id, event.data, *args_of(event))]
    counts = "0 0 0 0"
    if commit.brings_more or commit.settles is not None:
        counts, others = _other_args(commit)
        arguments += others
    elif commit.lease is not None:
        counts = "0 0 0 1"
        values = _lease_part(commit, commit.lease)
        arguments.append(f"lease {len(values)}")
        arguments += values
    guard = "-" if commit.expected_revision is None else guard_arg(commit.guard)
    header = (
        f"{commit.written_at} {commit.tag} {guard} {len(events)} {counts} {has_usage} "
        f"{commit.creation_id or '-'} {commit.write_id or ''}"
    )
    return [header, *arguments]


def guard_arg(guard: Guard | None) -> str:
    """Return what a write expects as `is_late` in `common.lua` reads it."""
    return "-" if guard is None else f"{guard.revision}.{guard.tag}"


def _other_args(commit: EncodedCommit) -> tuple[str, list[Value]]:
    """Return how much there is of what is no event, and all of it."""
    values = [*_named(b"s:", commit.state), *_named(b"p:", commit.properties)]
    arguments: list[Value] = []
    for name, data in values:
        if data is not None:
            arguments += (name, data)
    unset = [name for name, data in values if data is None]
    arguments += unset
    for run_id, run in commit.runs.items():
        arguments += (run_id, run.status, run.data)
    parts = _parts_of(commit)
    for part, values_of_part in parts.items():
        arguments += (f"{part} {len(values_of_part)}", *values_of_part)
    counts = f"{len(values) - len(unset)} {len(unset)} {len(commit.runs)} {len(parts)}"
    return counts, arguments


def _parts_of(commit: EncodedCommit) -> dict[str, Sequence[Value]]:
    """Return what few commits bring: lists of values by name, which `take_commit` gives to the rules that read them."""
    parts: dict[str, Sequence[Value]] = {}
    if (retraction := commit.retraction) is not None:
        if retraction.last is not None:
            parts["hide_last"] = [retraction.last]
        elif retraction.after is not None:
            parts["hide_after"] = [retraction.after]
        else:
            parts["hide_ids"] = retraction.event_ids
    if (restoration := commit.restoration) is not None:
        if restoration.write_id is not None:
            parts["restore_write"] = [restoration.write_id]
        else:
            parts["restore_ids"] = restoration.event_ids
    if commit.compactions:
        parts["summaries"] = list(_summaries(commit))
    if commit.lease is not None:
        parts["lease"] = _lease_part(commit, commit.lease)
    if commit.settles is not None:
        parts["settles"] = [*commit.settles]
    return parts


def _summaries(commit: EncodedCommit) -> Iterator[Value]:
    """Yield what the events of a commit stand for, each named by its number among them."""
    numbers = {event.id: number for number, event in enumerate(commit.events, 1)}
    for made in commit.compactions:
        pins = ",".join(f"{first}-{last}" for first, last in made.pins)
        yield f"{numbers[made.event_id]} {made.first} {made.last} {made.hidden or '-'} {pins}"


def _lease_part(commit: EncodedCommit, claim: LeaseClaim) -> Sequence[Value]:
    """Return what a commit claims, and the events of its usage, which are written in its place if the claim fails."""
    values: list[Value] = [claim.run_id, _claim_line(claim)]
    if commit.usage_of is not None:
        for event in commit.events:
            if has_usage(event):
                usage = commit.usage_of(event)
                values += (usage.id, usage.data)
    return values


@lru_cache(maxsize=1_024)
def _claim_line(claim: LeaseClaim) -> str:
    return f"{claim.token} {claim.step} {claim.milliseconds} {claim.holder}"


def _named(prefix: bytes, values: Any) -> Iterator[tuple[bytes, bytes | None]]:
    for name, data in values.items():
        yield prefix + name.encode("utf-8", "surrogatepass"), data


def _usage_args(event: EncodedEvent) -> Sequence[Value]:
    usage = event.usage
    # An empty usage adds nothing, and says so like none at all.
    if usage is None or not usage.counters:
        return ("",)
    counters = " ".join([f"{name} {count}" for name, count in usage.counters.items()])
    # What is not counted goes to no cell.
    return counters, _cell(usage.model, usage.source) if usage.is_counted else b"", event.run_id or ""


def _response_args(event: EncodedEvent) -> Sequence[Value]:
    """Return a usage as it goes in a commit that names responses: each with its own, "" for none."""
    usage = event.usage
    if usage is None or usage.response_id is None:
        arguments = _usage_args(event)
        return arguments if len(arguments) == 1 else (*arguments, "", "")
    counted = event if usage.counters else event._replace(usage=usage._replace(counters=_NOTHING))
    return *_usage_args(counted), usage.response_id, usage.model.encode("utf-8", "surrogatepass")


@lru_cache(maxsize=256)
def _cell(model: str, source: str) -> str:
    return json.dumps([model, source], separators=(",", ":"))
