"""Procedures in an event loop: one task per source carries its groups, callers await theirs."""

from __future__ import annotations

import asyncio
import time
from functools import partial
from typing import Any, TypeVar

from writebehind.cache.async_link import AsyncLinks
from writebehind.client.effects import (
    AskCache,
    AskCacheTogether,
    AskDatabase,
    AwaitNews,
    Effect,
    Group,
    Pause,
    Procedure,
    Source,
)
from writebehind.client.threads import HOUSEKEEPING_PERIOD_S, Housekeeping, retry_delay_s
from writebehind.errors import BufferFull, CacheUnavailable

T = TypeVar("T")

SWEEP_PERIOD_S = 0.02
"""How late a timeout may be noticed."""


class Tasks:
    """Performs procedures by awaiting, within the loop that was running at ``start``."""

    def __init__(self, links: AsyncLinks, housekeeping: Housekeeping, linger_s: float) -> None:
        self._links = links
        self._housekeeping = housekeeping
        self._linger_s = linger_s
        self._pumps: dict[Source, asyncio.Task[None]] = {}
        self._keeper: asyncio.Task[None] | None = None
        self._deadlines: dict[asyncio.Future[bool], float] = {}
        self._sweep: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Start the housekeeping task in the running loop."""
        self._loop = asyncio.get_running_loop()
        self._keeper = self._loop.create_task(self._keep_house(), name="writebehind-housekeeping")

    async def stop(self) -> None:
        """Cancel the tasks; what they carried stays in its lane."""
        if self._sweep is not None:
            self._sweep.cancel()
        tasks = {*self._pumps.values(), *([self._keeper] if self._keeper else [])}
        while tasks:
            for task in tasks:
                task.cancel()
            # Again, until they have ended: a cancellation that meets a timeout on its way may be swallowed there.
            ended, tasks = await asyncio.wait(tasks, timeout=0.2)
            await asyncio.gather(*ended, return_exceptions=True)

    async def run(self, procedure: Procedure[T]) -> T:
        """Perform a procedure in this task."""
        try:
            effect = next(procedure)
            while True:
                try:
                    result = await self._perform(effect)
                except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - it goes on in the procedure
                    effect = procedure.throw(error)
                else:
                    effect = procedure.send(result)
        except StopIteration as end:
            result_of_all: T = end.value
            return result_of_all

    async def _perform(self, effect: Effect) -> Any:
        match effect:
            case AskCache(call):
                return await self._links.execute(call)
            case AskCacheTogether(several):
                return await self._links.execute_together(several)
            case AskDatabase(function):
                return await asyncio.to_thread(function)
            case AwaitNews(source, group, deadline):
                return await self.wait(source, group, deadline)
            case Pause(delay_s):
                await asyncio.sleep(delay_s)
                return None

    async def wait(self, source: Source, group: Group, deadline: float) -> bool:
        """Wait for news of a group, and have its source carried; False where the deadline passes first."""
        if group.resolved:
            return True
        if source not in self._pumps:
            self._pump(source)
        news: asyncio.Future[bool] = self._loop.create_future()
        group.add_sleeper(partial(_tell, news, True))
        self._deadlines[news] = deadline
        if self._sweep is None:
            self._sweep = self._loop.call_later(SWEEP_PERIOD_S, self._end_late_waits)
        try:
            return await news
        finally:
            del self._deadlines[news]

    def _end_late_waits(self) -> None:
        """End the waits whose deadlines have passed. One timer for all: a timer each costs more than the rest."""
        now = time.monotonic()
        for news, deadline in list(self._deadlines.items()):
            if deadline <= now:
                _tell(news, False)
        self._sweep = self._loop.call_later(SWEEP_PERIOD_S, self._end_late_waits) if self._deadlines else None

    def kick(self, source: Source) -> None:
        """Carry what waits at ``source`` within the linger time."""
        if source not in self._pumps:
            self._pump(source, self._linger_s)

    def _pump(self, source: Source, delay_s: float = 0.0) -> None:
        if source not in self._pumps:
            self._pumps[source] = self._loop.create_task(self._carry(source, delay_s))

    async def _carry(self, source: Source, delay_s: float) -> None:
        """Carry groups until nothing waits, trying again for as long as it takes."""
        attempt = 0
        try:
            if delay_s:
                await asyncio.sleep(delay_s)
            group = source.resume()
            while group is not None:
                try:
                    await self.run(source.deliver(group))
                except (CacheUnavailable, BufferFull):
                    await asyncio.sleep(retry_delay_s(attempt))
                    attempt += 1
                    group = source.resume()
                except BaseException:
                    source.abandon(group)
                    raise
                else:
                    attempt = 0
                    group = source.take()
        finally:
            del self._pumps[source]

    async def _keep_house(self) -> None:
        while True:
            busy, waiting = await self.run(self._housekeeping())
            for source in waiting:
                self.kick(source)
            await asyncio.sleep(HOUSEKEEPING_PERIOD_S if busy else 10 * HOUSEKEEPING_PERIOD_S)


def _tell(news: asyncio.Future[bool], outcome: bool) -> None:
    if not news.done():
        news.set_result(outcome)
