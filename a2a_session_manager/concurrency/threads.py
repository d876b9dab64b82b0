"""Work in a thread of the loop's executor; where none can be had for the moment, the error is ours."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from a2a_session_manager.exceptions import StoreUnavailable

ParamsT = ParamSpec("ParamsT")
ResultT = TypeVar("ResultT")


async def in_thread(function: Callable[ParamsT, ResultT], *args: ParamsT.args, **options: ParamsT.kwargs) -> ResultT:
    """Return what `function` returns in a thread. Raises StoreUnavailable when the system has no thread to give."""
    try:
        return await asyncio.to_thread(function, *args, **options)
    except RuntimeError as error:
        if is_out_of_threads(error):
            raise out_of_threads() from error
        raise


def is_out_of_threads(error: RuntimeError) -> bool:
    """Tell whether Python says that the system would start no thread."""
    return "start new thread" in str(error)


def out_of_threads() -> StoreUnavailable:
    return StoreUnavailable(
        "no thread can be started, so nothing was done: raise the limit of processes and threads (RLIMIT_NPROC, the "
        "container's pids), or try again"
    )
