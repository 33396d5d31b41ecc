"""What the cache's errors mean: redis-py's exceptions and the server's error replies as our own errors."""

from __future__ import annotations

from redis import exceptions as redis_errors

from writebehind.errors import BufferFull, CacheRefused, CacheUnavailable, WriteBehindError


class NotExecuted(CacheUnavailable):
    """The cache is unavailable, and the call was certainly not executed."""


class FunctionMissing(WriteBehindError):
    """The function library is not on this server; nothing was executed."""


class LibraryExists(WriteBehindError):
    """The function library is on this server already."""


# Error replies are given before anything is executed, so each of these means "not executed".
_MENDED_BY_TIME = ("LOADING", "READONLY", "MASTERDOWN", "CLUSTERDOWN", "TRYAGAIN", "MISCONF", "NOREPLICAS", "BUSY")


def explain(error: Exception, address: str) -> WriteBehindError:
    """The library's error for what redis-py raised. ``address`` is shown; it carries no password."""
    reason = str(error)
    if isinstance(error, redis_errors.AuthenticationError | redis_errors.NoPermissionError):
        return _refused(reason, address)
    if isinstance(error, redis_errors.BusyLoadingError | redis_errors.ReadOnlyError):
        return NotExecuted(f"the cache at {address} does not accept calls now", why=reason)
    if isinstance(error, redis_errors.OutOfMemoryError):
        return BufferFull(
            f"the cache at {address} is out of memory",
            why=reason,
            fix="Nothing was written. A flush frees memory; raise maxmemory if this is the usual load.",
        )
    if isinstance(error, redis_errors.ResponseError):
        return _explain_reply(reason, address)
    if isinstance(error, redis_errors.TimeoutError | TimeoutError):
        return CacheUnavailable(f"the cache at {address} did not answer in time", why=reason)
    return CacheUnavailable(
        f"the cache at {address} cannot be reached", why=reason, fix="Check that it runs and that the address is right."
    )


def not_executed(error: Exception, address: str) -> WriteBehindError:
    """The library's error for what was raised before a call was sent whole."""
    problem = explain(error, address)
    if isinstance(problem, CacheUnavailable):
        return NotExecuted(problem.what, why=problem.why, fix=problem.fix)
    return problem


def _explain_reply(reason: str, address: str) -> WriteBehindError:
    code = reason.split(" ", 1)[0]
    if "Function not found" in reason:
        return FunctionMissing("the function library is not loaded")
    if "already exists" in reason:
        return LibraryExists("the function library is loaded")
    if code in _MENDED_BY_TIME:
        return NotExecuted(f"the cache at {address} does not accept writes now", why=reason)
    if code == "OOM" or "-OOM" in reason:
        return BufferFull(
            f"the cache at {address} is out of memory",
            why=reason,
            fix="Nothing was written. A flush frees memory; raise maxmemory if this is the usual load.",
        )
    return _refused(reason, address)


_ABOUT_PERMISSION = ("NOPERM", "WRONGPASS", "NOAUTH", "ermission", "invalid username", "uthentication")


def _refused(reason: str, address: str) -> CacheRefused:
    fix = ""
    if any(word in reason for word in _ABOUT_PERMISSION):
        fix = (
            "Check user name, password and permissions: the keys wb:* and the cached values' (videos:*), and the "
            "commands fcall, function, info and those of docs/functions.md."
        )
    elif "WRONGTYPE" in reason:
        fix = "Another program uses a key that begins with wb:{. Give one of them another database or namespace."
    return CacheRefused(f"the cache at {address} refused a call", why=reason, fix=fix)
