"""What redis-py and the server report, as our errors: each says what to do, and has the original as its cause."""

from __future__ import annotations

from types import TracebackType
from typing import Any, Final

from redis import exceptions as redis_errors
from redis.asyncio.sentinel import MasterNotFoundError

from a2a_session_manager.exceptions import CorruptSession, SessionManagerError, StoreFull, StoreUnavailable

# Passing by themselves: the connection, a server that starts, a cluster or Sentinel that changes its primary.
_PASSING: Final = (
    redis_errors.ConnectionError,
    redis_errors.TimeoutError,
    redis_errors.ClusterError,
    redis_errors.RedisClusterException,
    redis_errors.TryAgainError,
    redis_errors.ReadOnlyError,
    OSError,
)
# RedisClusterException is none of redis-py's RedisErrors.
_REPORTS: Final = (redis_errors.RedisError, redis_errors.RedisClusterException, OSError, SessionManagerError)
_LASTING: Final = (redis_errors.AuthenticationError, redis_errors.AuthorizationError)
# Where redis-py and asyncio stumble over a connection that was closed meanwhile, or over a map that is just read anew.
_STUMBLING: Final = ("redis.", "asyncio.", "uvloop.")
_CHANGED: Final = ("closed=True", "the handler is closed", "changed size during iteration")
# Of what a fork has inherited, which lies in the same slot as the fork, a node has moved a part before the rest.
_NOT_HERE: Final = "attempted to access a non local key"
_PASSING_TEXTS: Final = ("LOADING ", "READONLY ", "TRYAGAIN ", "CLUSTERDOWN ", "MASTERDOWN ", "BUSY ")

_FULL = "redis is full: {why}; nothing of the commit was written. Raise maxmemory, or delete sessions"
_DISK = "redis refuses writes because it cannot persist them ({why}): look at its disk and log"
_NO_RIGHT = "the redis user lacks a right ({why}): grant it with ACL SETUSER, for the keys and channels of the prefix"
_NO_LOGIN = "redis refused the login ({why}): check the user name and password"
_NO_SCRIPTS = "this redis knows no Lua scripts ({why}): the store needs EVAL and EVALSHA"
_READ_ONLY = "redis is a read-only replica ({why}): use the primary's address, or redis+sentinel://"
_LOADING = "redis is loading its data ({why}): try again in a moment"
_CLUSTERED = "this redis is a node of a cluster ({why}): use redis+cluster://, or hand in a RedisCluster"
_NOT_CLUSTERED = "this redis is no node of a cluster ({why}): use redis://, or hand in a Redis"
_NO_SENTINEL = "this redis is no Sentinel ({why}): use redis:// for a server, or the addresses of the Sentinels"
_NO_DATABASE = "redis has no such database ({why}): take a lower number, or raise `databases` in its configuration"
_CLUSTER_DOWN = "the redis cluster does not serve this key now ({why}): write again with the same ids"
_NO_ANSWER = "redis did not answer ({why}): check its address, and write again with the same ids"
_UNFORESEEN = "redis answered in an unforeseen way ({why}): report it, and write again with the same ids"

# The first that matches decides. In Redis before 7, a script's error carries the command's in its text.
_REMEDIES: Final[tuple[tuple[tuple[str, ...], str], ...]] = (
    (("OOM ", "maxmemory"), _FULL),
    (("No space left",), _FULL),
    (("MISCONF", "NOREPLICAS"), _DISK),
    (("NOPERM", "no permission", "can't run this command", "can't access at least one of the keys"), _NO_RIGHT),
    (("WRONGPASS", "NOAUTH", "invalid password", "invalid username-password", "Authentication required"), _NO_LOGIN),
    (("unknown command 'EVAL", "unknown command `EVAL"), _NO_SCRIPTS),
    (("Cluster mode is not enabled", "cluster support disabled"), _NOT_CLUSTERED),
    (("unknown command `SENTINEL", "unknown command 'SENTINEL"), _NO_SENTINEL),
    (("DB index is out of range", "invalid DB index"), _NO_DATABASE),
    (("READONLY", "read only replica", "is now a slave"), _READ_ONLY),
    (("LOADING", "loading the dataset"), _LOADING),
    (("CLUSTERDOWN", "not covered", "TTL exhausted", "TRYAGAIN", _NOT_HERE), _CLUSTER_DOWN),
)
_REMEDY_BY_TYPE: Final[tuple[tuple[type[Exception], str], ...]] = (
    (redis_errors.OutOfMemoryError, _FULL),
    (redis_errors.NoPermissionError, _NO_RIGHT),
    (redis_errors.AuthenticationError, _NO_LOGIN),
    (redis_errors.AuthorizationError, _NO_LOGIN),
    (redis_errors.ReadOnlyError, _READ_ONLY),
    (redis_errors.BusyLoadingError, _LOADING),
    (redis_errors.AskError, _CLUSTERED),  # and MOVED
    (redis_errors.ClusterError, _CLUSTER_DOWN),
)
# What no waiting mends.
_SETTINGS: Final = (_NOT_CLUSTERED, _NO_SENTINEL, _NO_DATABASE)


class SlotMoving(StoreUnavailable):
    """A cluster is moving the slot of a call's keys: the call was not run, and others need not wait for it."""


def slot_moving_or(answer: Any) -> Any:
    """Return SlotMoving for what a cluster answers of a slot it is moving, TRYAGAIN or ASK; else the answer.

    Asking the node that the slot goes to, as ASK says, is of no use to a script: some of its keys are not there.
    """
    is_redirected = isinstance(answer, redis_errors.AskError) and not isinstance(answer, redis_errors.MovedError)
    is_exhausted = isinstance(answer, redis_errors.ClusterError) and "TTL exhausted" in str(answer)
    is_moved = isinstance(answer, redis_errors.ResponseError) and _NOT_HERE in str(answer)
    if is_redirected or is_exhausted or is_moved or isinstance(answer, redis_errors.TryAgainError):
        return SlotMoving(_CLUSTER_DOWN.format(why=answer))
    return answer


def is_transient(error: Exception) -> bool:
    """Tell whether the same command may succeed a moment later."""
    if isinstance(error, _LASTING) or _remedy_told(error) in _SETTINGS:
        return False
    text = str(error)
    return isinstance(error, _PASSING) or text.startswith(_PASSING_TEXTS) or _NOT_HERE in text or is_read_only(error)


def is_read_only(error: Exception) -> bool:
    """Tell whether a replica answered, such as a primary that was demoted and lives on."""
    return _remedy_told(error) is _READ_ONLY or str(error).startswith("MASTERDOWN ")


def outage(error: Exception) -> Exception:
    """Return what may be told as an answer: what a server or a connection reports. Raises what is a mistake in code."""
    if isinstance(error, _REPORTS):
        return error
    if _is_stumbling(error):
        lost = redis_errors.ConnectionError(f"the connection was closed meanwhile: {error}")
        lost.__cause__ = error
        return lost
    raise error


def _is_stumbling(error: Exception) -> bool:
    """Tell whether redis-py or asyncio, and nobody else, used a connection that another task has closed meanwhile."""
    if not _innermost_module(error.__traceback__).startswith(_STUMBLING):
        return False
    match error:
        case AttributeError():
            return error.obj is None  # `None.writelines`
        case TypeError():
            return "'NoneType' object" in str(error)
        case RuntimeError():
            return any(mark in str(error) for mark in _CHANGED)
    return False


def _innermost_module(traceback: TracebackType | None) -> str:
    name = ""
    while traceback is not None:
        name = traceback.tb_frame.f_globals.get("__name__", "")
        traceback = traceback.tb_next
    return name


def translated(error: Exception, session_id: str = "") -> SessionManagerError:
    """Return our error for `error`, which becomes its cause."""
    if isinstance(error, SessionManagerError):
        return error
    if isinstance(error, MasterNotFoundError):
        # After the colon stand the clients of the Sentinels, with their passwords in some releases of redis-py.
        error = MasterNotFoundError(str(error).partition(" : ")[0])
    ours = _ours(error, session_id)
    ours.__cause__ = error
    return ours


def _ours(error: Exception, session_id: str) -> SessionManagerError:
    why = str(error) or type(error).__name__
    if "WRONGTYPE" in why:
        return CorruptSession(
            session_id,
            f"a key of session {session_id!r} holds something else ({why}): "
            "another program writes under the same prefix; move one of them",
        )
    remedy = _remedy(error)
    if remedy is _FULL:
        return StoreFull(remedy.format(why=why))
    return StoreUnavailable(remedy.format(why=why))


def _remedy(error: Exception) -> str:
    return _remedy_told(error) or (_NO_ANSWER if is_transient(error) else _UNFORESEEN)


def _remedy_told(error: Exception) -> str | None:
    for kind, remedy in _REMEDY_BY_TYPE:
        if isinstance(error, kind):
            return remedy
    text = str(error)
    for marks, remedy in _REMEDIES:
        if any(mark in text for mark in marks):
            return remedy
    return None
