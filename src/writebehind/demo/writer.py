"""A process of clients: each likes videos on a schedule, through the cache, and counts what was acknowledged.

The load is open: each like is due at a moment that was fixed before, and its latency counts from there,
so that the time that it waited for the one before it is not left out.
"""

from __future__ import annotations

import asyncio
import gc
import time
from collections import Counter as Tally
from collections.abc import Iterator
from pathlib import Path

from writebehind import AsyncCounter, AsyncWriteBehind, DurabilityUnknown, WriteBehindError
from writebehind.demo.orders import Orders
from writebehind.demo.parent import tell
from writebehind.demo.scenario import TABLE, Scenario, likes
from writebehind.demo.scoreboard import Scoreboard

_WARM_UP_LIKES = 5
_PATIENCE = 1.5
"""A schedule that cannot be kept is given up after this many times its length; what is left over is told."""


class Writer:
    """The clients of this process."""

    def __init__(self, scenario: Scenario, process: int, board: Scoreboard, orders: Orders) -> None:
        self.numbers = scenario.clients_of(process)
        self.board = board
        self.orders = orders
        self.refusals: Tally[str] = Tally()
        """Likes that were certainly not written, by the error."""
        self.unsent = 0
        """Likes that were due and not sent within the patience."""
        self._scenario = scenario
        self._videos: Iterator[int] = likes(seed=process)

    async def like(self, counter: AsyncCounter[int]) -> bool:
        """Like the next video; True where it was acknowledged."""
        board = self.board
        video = next(self._videos)
        board.begun[video] += 1
        try:
            await counter.add(video)
        except DurabilityUnknown as error:  # begun and not acknowledged: the audit allows both outcomes
            self.refusals[str(error)] += 1
            return False
        except WriteBehindError as error:
            board.begun[video] -= 1
            self.refusals[str(error)] += 1
            return False
        board.acknowledged[video] += 1
        return True

    async def warm_up(self, counter: AsyncCounter[int]) -> None:
        """A few likes by every client, which count, but are not timed."""

        async def client() -> None:
            for _ in range(_WARM_UP_LIKES):
                await self.like(counter)

        await asyncio.gather(*(client() for _ in self.numbers))

    async def write(self, counter: AsyncCounter[int], begin: float) -> None:
        """Let every client work its schedule off."""
        await asyncio.gather(*(self._client(counter, begin, number) for number in self.numbers))

    async def _client(self, counter: AsyncCounter[int], begin: float, number: int) -> None:
        scenario = self._scenario
        interval = scenario.clients / scenario.total_rate
        due = begin + interval * number / scenario.clients  # clients take turns
        end, give_up = begin + scenario.seconds, begin + _PATIENCE * scenario.seconds
        latencies = self.board.latencies
        while due < end and not self.orders.stopping:
            now = time.monotonic()
            if now >= give_up:
                self.unsent += int((end - due) / interval) + 1
                return
            if due > now:
                await asyncio.sleep(due - now)
            if await self.like(counter):
                latencies.record(time.monotonic() - due)
            due += interval


def freeze_garbage() -> str:
    """Take what lives for the whole run out of the collector's sight; says how the collector is set."""
    gc.collect()
    gc.freeze()
    return f"on, thresholds {gc.get_threshold()}, {gc.get_freeze_count():,} objects frozen after the warm-up"


async def through_the_cache(writer: Writer, folder: Path, database: str) -> None:
    """The write-behind half."""
    wb = AsyncWriteBehind(folder=folder, database=database)
    counter = wb.counter(f"{TABLE}.likes")
    async with wb:
        await writer.warm_up(counter)
        tell(ready=freeze_garbage())
        order = await writer.orders.next()
        if "begin" in order:
            await writer.write(counter, order["begin"])
        ended = time.monotonic()
    tell(written={"ended": ended, "refusals": dict(writer.refusals), "unsent": writer.unsent})


async def directly(writer: Writer, scenario: Scenario, process: int, database: str) -> None:
    """The half with one UPDATE each."""
    from writebehind.demo.direct import Updaters

    async with Updaters(database, len(writer.numbers)) as updaters:
        tell(connected=True)
        order = await writer.orders.next()
        if "begin" in order:
            end = order["begin"] + scenario.update_seconds
            await asyncio.sleep(max(0.0, order["begin"] - time.monotonic()))
            videos = likes(seed=process)
            await updaters.update(videos, writer.board.update_latencies, lambda: writer.orders.stopping, end)
        tell(updated={"ended": time.monotonic()})
        await writer.orders.next()  # connections stay until the servers' CPU time was read


async def main() -> None:
    """Do both halves, as far as the demonstration wants them."""
    orders = Orders()
    listening = asyncio.create_task(orders.listen())
    start = await orders.next()
    if "scenario" not in start:
        return
    scenario = Scenario(**start["scenario"])
    board = Scoreboard(Path(start["board"]))
    writer = Writer(scenario, start["process"], board, orders)
    await through_the_cache(writer, Path(start["cache"]), start["database"])
    if "connect" in await orders.next():
        await directly(writer, scenario, start["process"], start["database"])
    listening.cancel()
    board.close()


if __name__ == "__main__":
    asyncio.run(main())
