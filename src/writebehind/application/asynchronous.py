"""``AsyncWriteBehind``: the door for asyncio; the same names and the same behaviour as ``WriteBehind``."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Sequence
from functools import partial
from types import TracebackType

from writebehind.application.awaiting_mappings import AwaitingMappings
from writebehind.application.capturing import Captures
from writebehind.application.declaring import Declarations
from writebehind.application.foundation import AnyMapping, Value, lay
from writebehind.application.runtime import Runtime
from writebehind.cache.async_link import AsyncLinks
from writebehind.client.core import AnyFlows
from writebehind.client.doors.base import Levels
from writebehind.client.tasks import Tasks
from writebehind.clock import Clock
from writebehind.errors import CacheUnavailable, NotOpen
from writebehind.flush.task import FlushReport
from writebehind.inspection import Status
from writebehind.mapping import DeclaredCapture
from writebehind.observe import Observer, WritesAbandoned
from writebehind.settings import Settings


class AsyncWriteBehind(AwaitingMappings, Captures):
    """``WriteBehind`` for asyncio. Use it in the event loop in which it was opened, by ``async with`` or
    ``await open()``; a forked child opens one of its own.

    :raises ConfigurationError: every setting that is wrong, at once.
    """

    def __init__(self, *, observers: Sequence[Observer] = (), clock: Clock | None = None, **settings: object) -> None:
        self._declarations = Declarations(Settings.load(**settings), observers, clock)
        self._runtime: Runtime | None = None
        self._tasks: Tasks | None = None
        self._links: AsyncLinks | None = None
        self._process_id = 0

    # Declaring: see AwaitingMappings

    @property
    def _levels(self) -> Levels:
        return self._declarations.levels

    def _declare(self, mapping: AnyMapping, *, value: Value | None = None, database: str | None = None) -> str:
        return self._declarations.declare(mapping, value=value, database=database, is_open=self._runtime is not None)

    def _declare_capture(self, declared: DeclaredCapture) -> None:
        self._declarations.declare_capture(declared, is_open=self._runtime is not None)

    # The database's one-time setup

    async def init(self) -> None:
        """Create the ledger's tables in the database, where they are missing."""
        await asyncio.to_thread(self._declarations.init)

    @property
    def databases(self) -> tuple[str, ...]:
        """The URLs of all databases that are used, without their passwords."""
        return self._declarations.databases

    async def ledger_sql(self) -> str:
        """The statements that ``init`` would run, for a person to run."""
        return await asyncio.to_thread(self._declarations.ledger_sql)

    async def create_counter_table(self, table: str, key: Sequence[str], columns: Sequence[str]) -> None:
        """Create a table for counting, if it does not exist: text keys, 64-bit counts."""
        await asyncio.to_thread(self._declarations.create_counter_table, table, key, columns)

    # Life

    async def open(self) -> AsyncWriteBehind:
        """Check cache, tables and ledger, and begin. Opening what is open changes nothing."""
        if self._runtime is not None:
            return self
        declarations = self._declarations
        foundation = await asyncio.to_thread(lay, declarations.settings, declarations.declared, declarations.captures)
        runtime = Runtime(foundation, declarations.clock, declarations.observe)
        self._runtime = runtime
        self._process_id = os.getpid()
        self._links = AsyncLinks(foundation.address)
        self._tasks = Tasks(self._links, runtime.housekeeping, runtime.settings.linger_ms / 1000)
        self._tasks.start()
        try:
            await self._tasks.run(runtime.client.enter_all())
        except BaseException:
            await self._end()
            raise
        return self

    async def close(self) -> None:
        """Send what is buffered and, where this process runs a worker, flush; see ``WriteBehind.close``."""
        runtime, tasks = self._runtime, self._tasks
        if runtime is None or tasks is None:
            return
        if self._process_id != os.getpid():  # inherited through a fork: the parent's, not ours to end
            self._runtime = self._tasks = self._links = None
            return
        try:
            sent = await tasks.run(runtime.leave())
            await asyncio.to_thread(runtime.stop_worker)
        finally:
            await self._end()
        if not sent:
            self._declarations.observe(WritesAbandoned(runtime.settings.drain_timeout_s))
            raise CacheUnavailable(
                "closed with writes that were not sent to the cache",
                why=f"it could not be reached for {runtime.settings.drain_timeout_s:g} s",
                fix='They are lost. Use ack="memory" where that must not go unnoticed, or a longer drain_timeout.',
            )

    async def _end(self) -> None:
        runtime, tasks, links = self._runtime, self._tasks, self._links
        self._runtime = self._tasks = self._links = None
        if tasks is not None:
            await tasks.stop()
        if links is not None:
            await links.close()
        if runtime is not None:
            await asyncio.to_thread(runtime.close)

    async def __aenter__(self) -> AsyncWriteBehind:
        return await self.open()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    def _open_parts(self) -> tuple[Runtime, Tasks]:
        runtime, tasks = self._runtime, self._tasks
        if runtime is None or tasks is None:
            raise NotOpen(
                "this AsyncWriteBehind is not open", fix="Use it in an `async with` block, or await open() first."
            )
        if self._process_id != os.getpid():
            raise NotOpen("this AsyncWriteBehind was opened before a fork", fix="Open one in the child.")
        return runtime, tasks

    def _world(self, name: str) -> tuple[AnyFlows, Tasks]:
        runtime, tasks = self._open_parts()
        return runtime.flows[name], tasks

    # Flushing

    async def flush(self, timeout: float | None = None) -> FlushReport:
        """Flush everything that was written before this call; see ``WriteBehind.flush``."""
        runtime, tasks = self._open_parts()
        deadline = time.monotonic() + self._declarations.levels.timeout(timeout)
        report = FlushReport()
        await tasks.run(runtime.client.flush(partial(runtime.flush, deadline, report), deadline))
        return report

    async def status(self) -> Status:
        """A typed, read-only snapshot of what is at risk and where."""
        runtime, _ = self._open_parts()
        return await asyncio.to_thread(runtime.status)

    async def start_worker(self) -> None:
        """Flush in background threads of this process until ``close()``, which drains."""
        runtime, _ = self._open_parts()
        await asyncio.to_thread(runtime.start_worker)  # captures ask the cache before they begin
