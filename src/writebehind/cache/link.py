"""The thin synchronous executor of calls: one connection to the cache, for one user at a time.

Nothing is ever sent twice from here: redis-py's own retries are off, since it would repeat a call whose
answer was lost, and count it twice. Who repeats a group repeats it with its sequence number. The one
exception is a function that is missing on the server: then nothing was executed, the library is loaded
and the call sent again.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import redis
from redis.backoff import NoBackoff
from redis.connection import ConnectionPool
from redis.retry import Retry

from writebehind.cache.address import Address
from writebehind.cache.calls import Call, Reply
from writebehind.cache.library import LIBRARY_NAME, library_source
from writebehind.cache.replies import FunctionMissing, LibraryExists, explain, not_executed

T = TypeVar("T")

SOCKET_TIMEOUT_S = 2.0
"""How long one answer may take before its outcome is called unknown and the group is sent again."""


def connection_options() -> dict[str, Any]:
    """What both worlds' connections share."""
    return {
        "socket_timeout": SOCKET_TIMEOUT_S,
        "socket_connect_timeout": SOCKET_TIMEOUT_S,
        "protocol": 2,
        "client_name": "writebehind",
    }


class Link:
    """One connection. Not thread-safe: a lane owns one, everything else borrows from ``Links``."""

    def __init__(self, address: Address) -> None:
        self.address = address
        pool = ConnectionPool.from_url(address.url, retry=Retry(NoBackoff(), 0), **connection_options())
        self._connection: Any = pool.make_connection()

    def execute(self, call: Call[T]) -> T:
        """Send one call and read its answer.

        :raises CacheUnavailable: the outcome is unknown, unless it is a ``NotExecuted``.
        """
        reply = self._exchange([call.command])[0]
        if isinstance(reply, FunctionMissing):
            self.load_library()
            reply = self._exchange([call.command])[0]
        return call.parse(checked(reply))

    def execute_together(self, calls: Sequence[Call[Any]]) -> list[Any]:
        """Send several calls in one round trip, of which the later ones are about what the first did here.

        :raises CacheUnavailable: see ``execute``.
        """
        replies = self._exchange([call.command for call in calls])
        if isinstance(replies[0], FunctionMissing):
            self.load_library()
            replies = self._exchange([call.command for call in calls])
        return [call.parse(checked(reply)) for call, reply in zip(calls, replies, strict=True)]

    def execute_all(self, calls: Sequence[Call[T]]) -> list[T]:
        """Send several calls in one round trip; for calls that change nothing."""
        replies = self._exchange([call.command for call in calls])
        return [call.parse(checked(reply)) for call, reply in zip(calls, replies, strict=True)]

    def load_library(self, *, replace: bool = False) -> None:
        """Load the function library where it is missing; with ``replace``, where it is another."""
        source = library_source()
        reply = self._exchange([("FUNCTION", "LOAD", source)])[0]
        if isinstance(reply, LibraryExists) and replace:
            listed = self._exchange([("FUNCTION", "LIST", "LIBRARYNAME", LIBRARY_NAME, "WITHCODE")])[0]
            if source.encode() not in _flatten(checked(listed)):
                reply = self._exchange([("FUNCTION", "LOAD", "REPLACE", source)])[0]
        if not isinstance(reply, LibraryExists):
            checked(reply)

    def information(self) -> dict[str, str]:
        """The server's INFO, as far as the library looks at it."""
        text = checked(self._exchange([("INFO",)])[0])[0]
        assert isinstance(text, bytes)
        pairs = (line.split(":", 1) for line in text.decode(errors="replace").splitlines() if ":" in line)
        return dict(pairs)

    def _exchange(self, commands: Sequence[tuple[Any, ...]]) -> list[Any]:
        """Raw replies; an error reply is an exception object in its place."""
        connection = self._connection
        try:
            self._send(commands)
            return [self._read_reply() for _ in commands]
        except (redis.RedisError, OSError) as error:
            connection.disconnect()
            raise explain(error, self.address.shown) from error
        except BaseException:
            connection.disconnect()  # an interrupt in the middle leaves answers on the wire that nobody reads
            raise

    def _send(self, commands: Sequence[tuple[Any, ...]]) -> None:
        """Send, on a new connection where the old one broke while it was idle (the server was restarted).

        A command that could not be sent whole is never executed, so sending it again is safe.
        :raises NotExecuted: neither connection worked.
        """
        connection = self._connection
        was_connected = connection._sock is not None
        try:
            try:
                connection.connect()
                connection.send_packed_command(connection.pack_commands(commands), check_health=False)
            except (redis.RedisError, OSError):
                connection.disconnect()
                if not was_connected:
                    raise
                connection.connect()
                connection.send_packed_command(connection.pack_commands(commands), check_health=False)
        except (redis.RedisError, OSError) as error:
            connection.disconnect()
            raise not_executed(error, self.address.shown) from error

    def _read_reply(self) -> Any:
        try:
            return self._connection.read_response()
        except redis.ResponseError as error:
            return explain(error, self.address.shown)

    def close(self) -> None:
        """Close the connection; the next call would open it again."""
        self._connection.disconnect()


def checked(reply: Any) -> list[Reply]:
    """The reply as a list; an error reply is raised."""
    if isinstance(reply, Exception):
        raise reply
    return reply if isinstance(reply, list) else [reply]


def _flatten(reply: Any) -> Iterator[Any]:
    if isinstance(reply, list):
        for part in reply:
            yield from _flatten(part)
    else:
        yield reply


class Links:
    """Connections that are borrowed for one call or a few; thread-safe."""

    def __init__(self, address: Address) -> None:
        self.address = address
        self._idle: list[Link] = []
        self._lock = threading.Lock()

    @contextmanager
    def borrow(self) -> Iterator[Link]:
        """A connection of one's own for the block."""
        with self._lock:
            link = self._idle.pop() if self._idle else None
        link = link or Link(self.address)
        try:
            yield link
        finally:
            with self._lock:
                self._idle.append(link)

    def execute(self, call: Call[T]) -> T:
        """One call on a borrowed connection."""
        with self.borrow() as link:
            return link.execute(call)

    def execute_together(self, calls: Sequence[Call[Any]]) -> list[Any]:
        """Several calls on one borrowed connection."""
        with self.borrow() as link:
            return link.execute_together(calls)

    def close(self) -> None:
        """Close the idle connections."""
        with self._lock:
            links, self._idle = self._idle, []
        for link in links:
            link.close()
