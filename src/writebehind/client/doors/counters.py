"""The counters that applications use: ``Counter`` blocks, ``AsyncCounter`` awaits; both do the same."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Generic

from writebehind.client.doors.base import AwaitingDoor, BlockingDoor
from writebehind.client.flows.counters import CounterFlows, Number
from writebehind.levels import Ack
from writebehind.values import Key


class Counter(BlockingDoor[CounterFlows[Number]], Generic[Number]):
    """A counter: a number for each key, in one column of one table.

    Every write takes ``ack=`` (how far it must get before the call returns) and ``timeout=`` (seconds).
    All methods are thread-safe. Errors: ``KeyRefused`` and ``ValueRefused`` for what cannot be written;
    ``SumOutOfRange``; ``BufferFull`` at a bound; ``CacheUnavailable`` where the write was certainly not
    sent; ``DurabilityUnknown`` where it may have been (this process then settles it by itself);
    ``DeadLettered`` with ``ack="database"``.
    """

    def add(self, key: Key, amount: Number | int = 1, *, ack: Ack | None = None, timeout: float | None = None) -> None:
        """Add an amount, which may be negative. One write; never reads the database."""
        flows, threads = self._world()
        self._write(flows, threads, flows.addition(key, amount), ack, timeout)

    def incr(
        self, key: Key, amount: Number | int = 1, *, ack: Ack | None = None, timeout: float | None = None
    ) -> Number:
        """Add an amount and return the exact new total.

        :raises TotalUnavailable: the write was accepted, its total could not be read.
        """
        return self._increment(key, amount, ack, timeout, negated=False)

    def decr(
        self, key: Key, amount: Number | int = 1, *, ack: Ack | None = None, timeout: float | None = None
    ) -> Number:
        """Subtract an amount and return the exact new total."""
        return self._increment(key, amount, ack, timeout, negated=True)

    def _increment(
        self, key: Key, amount: Number | int, ack: Ack | None, timeout: float | None, *, negated: bool
    ) -> Number:
        level = self._levels.level_with_total(ack)
        flows, threads = self._world()
        return threads.run(
            flows.increment(
                key,
                amount,
                negated=negated,
                level=level,
                deadline=self._levels.deadline(timeout),
            )
        )

    def get(self, key: Key, *, timeout: float | None = None) -> Number:
        """The exact total, everything pending included; 0 for a row that does not exist."""
        flows, threads = self._world()
        return threads.run(flows.get(key, deadline=self._levels.deadline(timeout)))

    def get_many(self, keys: Sequence[Key], *, timeout: float | None = None) -> dict[Key, Number]:
        """The exact totals of many keys, by key."""
        flows, threads = self._world()
        return threads.run(flows.get_many(keys, deadline=self._levels.deadline(timeout)))


class AsyncCounter(AwaitingDoor[CounterFlows[Number]], Generic[Number]):
    """``Counter`` for asyncio: the same names and the same behaviour, awaitable.

    For use in the event loop in which its ``AsyncWriteBehind`` was opened. A cancelled call's write is
    either sent or not, and disturbs no other.
    """

    async def add(
        self, key: Key, amount: Number | int = 1, *, ack: Ack | None = None, timeout: float | None = None
    ) -> None:
        """Add an amount, which may be negative. One write; never reads the database."""
        flows, tasks = self._world()
        await self._write(flows, tasks, flows.addition(key, amount), ack, timeout)

    async def incr(
        self, key: Key, amount: Number | int = 1, *, ack: Ack | None = None, timeout: float | None = None
    ) -> Number:
        """Add an amount and return the exact new total.

        :raises TotalUnavailable: the write was accepted, its total could not be read.
        """
        return await self._increment(key, amount, ack, timeout, negated=False)

    async def decr(
        self, key: Key, amount: Number | int = 1, *, ack: Ack | None = None, timeout: float | None = None
    ) -> Number:
        """Subtract an amount and return the exact new total."""
        return await self._increment(key, amount, ack, timeout, negated=True)

    async def _increment(
        self, key: Key, amount: Number | int, ack: Ack | None, timeout: float | None, *, negated: bool
    ) -> Number:
        level = self._levels.level_with_total(ack)
        flows, tasks = self._world()
        return await tasks.run(
            flows.increment(
                key,
                amount,
                negated=negated,
                level=level,
                deadline=self._levels.deadline(timeout),
            )
        )

    async def get(self, key: Key, *, timeout: float | None = None) -> Number:
        """The exact total, everything pending included; 0 for a row that does not exist."""
        flows, tasks = self._world()
        return await tasks.run(flows.get(key, deadline=self._levels.deadline(timeout)))

    async def get_many(self, keys: Sequence[Key], *, timeout: float | None = None) -> dict[Key, Number]:
        """The exact totals of many keys, by key."""
        flows, tasks = self._world()
        return await tasks.run(flows.get_many(keys, deadline=self._levels.deadline(timeout)))
