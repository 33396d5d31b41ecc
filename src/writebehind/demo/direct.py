"""The comparison: the same likes by one ``UPDATE`` each, prepared and committed one by one."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any, Self

import psycopg
from psycopg.sql import SQL, Identifier

from writebehind.demo.histogram import Histogram
from writebehind.demo.scenario import TABLE_OF_UPDATES

_UPDATE = SQL("UPDATE {} SET likes = likes + 1 WHERE id = %s").format(Identifier(TABLE_OF_UPDATES))
_NO_VIDEO = 0

AsyncCursor = psycopg.AsyncCursor[tuple[Any, ...]]


class Updaters:
    """As many clients as like through the cache, each on a connection of its own."""

    def __init__(self, database: str, clients: int) -> None:
        self._database = database
        self._clients = clients
        self._connections: list[psycopg.AsyncConnection[tuple[Any, ...]]] = []
        self._cursors: list[AsyncCursor] = []

    async def __aenter__(self) -> Self:
        try:
            for _ in range(self._clients):
                connection = await psycopg.AsyncConnection.connect(self._database, autocommit=True)
                self._connections.append(connection)
                cursor = connection.cursor()
                # Parsed and planned here, so that only its executions are measured. It changes no row.
                for _ in range(6):
                    await cursor.execute(_UPDATE, (_NO_VIDEO,), prepare=True)
                self._cursors.append(cursor)
        except BaseException:
            await self._close()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._close()

    async def _close(self) -> None:
        for connection in self._connections:
            await connection.close()

    async def update(
        self, videos: Iterator[int], latencies: Histogram, stopping: Callable[[], bool], end: float
    ) -> None:
        """Every client updates as fast as it is answered, until ``end`` of the monotonic clock."""
        await asyncio.gather(*(_client(cursor, videos, latencies, stopping, end) for cursor in self._cursors))


async def _client(
    cursor: AsyncCursor, videos: Iterator[int], latencies: Histogram, stopping: Callable[[], bool], end: float
) -> None:
    while (called := time.monotonic()) < end and not stopping():
        await cursor.execute(_UPDATE, (next(videos),), prepare=True)
        latencies.record(time.monotonic() - called)
