"""Async verbs as blocking ones: each is declared in one line, with the parameters, types and docstring of the other."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Coroutine, Generator, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from typing import Any, Concatenate, Generic, ParamSpec, Protocol, TypeVar, overload

from a2a_session_manager.sync.loop_thread import LoopThread

ParamsT = ParamSpec("ParamsT")
ResultT = TypeVar("ResultT")


class Facade(Protocol):
    """What has blocking verbs: the object whose async verbs they are, and the loop that these run on."""

    @property
    def _wrapped(self) -> Any: ...
    @property
    def _loop(self) -> LoopThread: ...


class Blocking(Generic[ParamsT, ResultT]):
    """An async verb of what a facade wraps, as a method that returns when it is done."""

    def __init__(self, verb: Callable[Concatenate[Any, ParamsT], Coroutine[Any, Any, ResultT]]) -> None:
        self._verb = verb
        self.__doc__ = verb.__doc__

    @overload
    def __get__(self, facade: None, owner: type) -> Blocking[ParamsT, ResultT]: ...
    @overload
    def __get__(self, facade: Facade, owner: type) -> Callable[ParamsT, ResultT]: ...
    def __get__(self, facade: Facade | None, owner: type) -> Callable[ParamsT, ResultT] | Blocking[ParamsT, ResultT]:
        if facade is None:
            return self
        wrapped, loop, verb = facade._wrapped, facade._loop, self._verb

        def run(*args: ParamsT.args, **options: ParamsT.kwargs) -> ResultT:
            return loop.run(verb(wrapped, *args, **options))

        run.__doc__ = verb.__doc__
        return run


class Iterating(Generic[ParamsT, ResultT]):
    """A verb of what a facade wraps that yields, as a method that returns a plain generator."""

    def __init__(self, verb: Callable[Concatenate[Any, ParamsT], AsyncGenerator[ResultT, None]]) -> None:
        self._verb = verb
        self.__doc__ = verb.__doc__

    @overload
    def __get__(self, facade: None, owner: type) -> Iterating[ParamsT, ResultT]: ...
    @overload
    def __get__(self, facade: Facade, owner: type) -> Callable[ParamsT, Generator[ResultT, None, None]]: ...
    def __get__(
        self, facade: Facade | None, owner: type
    ) -> Callable[ParamsT, Generator[ResultT, None, None]] | Iterating[ParamsT, ResultT]:
        if facade is None:
            return self
        wrapped, loop, verb = facade._wrapped, facade._loop, self._verb

        def iterate(*args: ParamsT.args, **options: ParamsT.kwargs) -> Generator[ResultT, None, None]:
            return loop.iterate(verb(wrapped, *args, **options))

        iterate.__doc__ = verb.__doc__
        return iterate


@contextmanager
def entered(loop: LoopThread, block: AbstractAsyncContextManager[ResultT]) -> Iterator[ResultT]:
    """Enter and leave an async block on the loop, for `with`."""
    inside = loop.run(_entering(block))
    try:
        yield inside
    except BaseException as error:
        if not loop.run(_leaving(block, error)):
            raise
    else:
        loop.run(_leaving(block, None))


async def _entering(block: AbstractAsyncContextManager[ResultT]) -> ResultT:
    return await block.__aenter__()


async def _leaving(block: AbstractAsyncContextManager[Any], error: BaseException | None) -> bool | None:
    if error is None:
        return await block.__aexit__(None, None, None)
    return await block.__aexit__(type(error), error, error.__traceback__)
