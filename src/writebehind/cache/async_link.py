"""The thin asyncio executor of calls; the same rules as ``link``."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, TypeVar, cast

import redis
from redis.asyncio.connection import AbstractConnection, ConnectionPool
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from writebehind.cache.address import Address
from writebehind.cache.calls import Call
from writebehind.cache.library import library_source
from writebehind.cache.link import checked, connection_options
from writebehind.cache.replies import FunctionMissing, LibraryExists, explain, not_executed

T = TypeVar("T")

MAX_CONNECTIONS = 32
"""How many calls of one event loop are under way at a time: a thousand readers open no thousand connections."""


class AsyncLink:
    """One connection, for one task at a time."""

    def __init__(self, address: Address) -> None:
        self.address = address
        pool: Any = ConnectionPool.from_url(address.url, retry=Retry(NoBackoff(), 0), **connection_options())
        self._connection: AbstractConnection = pool.make_connection()

    async def execute(self, call: Call[T]) -> T:
        """Send one call and read its answer.

        :raises CacheUnavailable: the outcome is unknown, unless it is a ``NotExecuted``.
        """
        (answer,) = await self.execute_together([call])
        return cast("T", answer)

    async def execute_together(self, calls: Sequence[Call[Any]]) -> list[Any]:
        """Send several calls in one round trip, of which the later ones are about what the first did here.

        :raises CacheUnavailable: see ``execute``.
        """
        commands = [call.command for call in calls]
        replies = await self._exchange(commands)
        if isinstance(replies[0], FunctionMissing):
            (loaded,) = await self._exchange([("FUNCTION", "LOAD", library_source())])
            if not isinstance(loaded, LibraryExists):
                checked(loaded)
            replies = await self._exchange(commands)
        return [call.parse(checked(reply)) for call, reply in zip(calls, replies, strict=True)]

    async def _exchange(self, commands: Sequence[Sequence[Any]]) -> list[Any]:
        """The raw replies; an error reply is an exception object in its place."""
        connection = self._connection
        try:
            await self._send(commands)
            return [await self._read_reply() for _ in commands]
        except (redis.RedisError, OSError) as error:
            await connection.disconnect(nowait=True)
            raise explain(error, self.address.shown) from error
        except BaseException:
            await connection.disconnect(nowait=True)  # a cancelled call leaves an answer that nobody reads
            raise

    async def _read_reply(self) -> Any:
        try:
            return await self._connection.read_response()
        except redis.ResponseError as error:
            return explain(error, self.address.shown)

    async def _send(self, commands: Sequence[Sequence[Any]]) -> None:
        """Send, on a new connection where the old one broke while it was idle; see ``Link``."""
        connection = self._connection
        was_connected = connection.is_connected
        try:
            try:
                await self._connect_and_send(commands)
            except (redis.RedisError, OSError):
                await connection.disconnect(nowait=True)
                if not was_connected:
                    raise
                await self._connect_and_send(commands)
        except (redis.RedisError, OSError) as error:
            await connection.disconnect(nowait=True)
            raise not_executed(error, self.address.shown) from error

    async def _connect_and_send(self, commands: Sequence[Sequence[Any]]) -> None:
        connection: Any = self._connection
        await connection.connect()
        transport = connection._writer.transport
        try:
            await connection.send_packed_command(connection.pack_commands(commands), check_health=False)
        except BaseException:
            transport.abort()  # closed in order, it would still send what it has buffered, to be executed later
            raise

    async def close(self) -> None:
        """Close the connection; the next call would open it again."""
        await self._connection.disconnect()


class AsyncLinks:
    """Connections that are borrowed for one call, within one event loop."""

    def __init__(self, address: Address) -> None:
        self.address = address
        self._idle: list[AsyncLink] = []
        self._places = asyncio.Semaphore(MAX_CONNECTIONS)

    async def execute(self, call: Call[T]) -> T:
        """One call on a borrowed connection, of which there are ``MAX_CONNECTIONS``."""
        async with self._places:
            link = self._idle.pop() if self._idle else AsyncLink(self.address)
            try:
                return await link.execute(call)
            finally:
                self._idle.append(link)

    async def execute_together(self, calls: Sequence[Call[Any]]) -> list[Any]:
        """Several calls on one borrowed connection; beyond the bound, since the last of them may wait for long."""
        link = self._idle.pop() if self._idle else AsyncLink(self.address)
        try:
            return await link.execute_together(calls)
        finally:
            self._idle.append(link)

    async def close(self) -> None:
        """Close the idle connections."""
        links, self._idle = self._idle, []
        for link in links:
            await link.close()
