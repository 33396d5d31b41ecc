"""The counters that applications use: ``Counter`` blocks, ``AsyncCounter`` awaits; both do the same."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Generic, Literal, TypeAlias

from writebehind.client.flows import CounterFlows, Number
from writebehind.client.tasks import Tasks
from writebehind.client.threads import Threads
from writebehind.errors import ConfigurationError
from writebehind.values import Key

Ack: TypeAlias = Literal["local", "memory", "database"]
LEVELS: tuple[Ack, ...] = ("local", "memory", "database")


class Levels:
    """The defaults of all writes, and the check of what a call asks for."""

    def __init__(self, ack: Ack, timeout_s: float) -> None:
        self._ack = ack
        self._timeout_s = timeout_s

    def level(self, ack: Ack | None) -> Ack:
        """The level of a write."""
        if ack is None:
            return self._ack
        if ack not in LEVELS:
            later = ' "replica" and "disk" are not available in this version.' if ack in ("replica", "disk") else ""
            raise ConfigurationError(f"ack={ack!r} is not a level", fix=f"Use one of {', '.join(LEVELS)}.{later}")
        return ack

    def level_with_total(self, ack: Ack | None) -> Ack:
        """The level of a write that answers its total, which only the cache knows."""
        if self.level(ack) != "local":
            return self.level(ack)
        if ack is None:
            return "memory"
        raise ConfigurationError(
            'ack="local" cannot answer a total',
            why="the total is known to the cache alone",
            fix='Use add(), or ack="memory".',
        )

    def deadline(self, timeout: float | None) -> float:
        """When a call that begins now must have ended, by ``time.monotonic()``."""
        return time.monotonic() + self.timeout(timeout)

    def timeout(self, timeout: float | None) -> float:
        """The timeout of a call in seconds."""
        if timeout is None:
            return self._timeout_s
        if not timeout > 0:
            raise ConfigurationError(f"timeout={timeout!r}", fix="Give a positive number of seconds.")
        return timeout


class Counter(Generic[Number]):
    """A counter: a number for each key, in one column of one table.

    Every write takes ``ack=`` (how far it must get before the call returns) and ``timeout=`` (seconds).
    All methods are thread-safe. Errors: ``KeyRefused`` and ``ValueRefused`` for what cannot be written;
    ``SumOutOfRange``; ``BufferFull`` at a bound; ``CacheUnavailable`` where the write was certainly not
    sent; ``DurabilityUnknown`` where it may have been (this process then settles it by itself);
    ``DeadLettered`` with ``ack="database"``.
    """

    def __init__(self, name: str, levels: Levels, world: Callable[[], tuple[CounterFlows[Number], Threads]]) -> None:
        self.name = name
        self._levels = levels
        self._world: Callable[[], tuple[CounterFlows[Number], Threads]] = world

    def __repr__(self) -> str:
        return f"Counter({self.name!r})"

    def add(self, key: Key, amount: Number | int = 1, *, ack: Ack | None = None, timeout: float | None = None) -> None:
        """Add an amount, which may be negative. One write; never reads the database."""
        level = self._levels.level(ack)
        flows, threads = self._world()
        if level == "local" and (source := flows.add_local(key, amount)) is not None:
            threads.kick(source)
            return
        deadline = self._levels.deadline(timeout)
        write = flows.begin(key, amount, watch=level == "database")
        threads.wait(write.delivery, write.group, deadline)
        if level == "database" or not write.is_done:
            threads.run(flows.add(write, until_database=level == "database", deadline=deadline))

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
                until_database=level == "database",
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


class AsyncCounter(Generic[Number]):
    """``Counter`` for asyncio: the same names and the same behaviour, awaitable.

    For use in the event loop in which its ``AsyncWriteBehind`` was opened. A cancelled call's write is
    either sent or not, and disturbs no other.
    """

    def __init__(self, name: str, levels: Levels, world: Callable[[], tuple[CounterFlows[Number], Tasks]]) -> None:
        self.name = name
        self._levels = levels
        self._world: Callable[[], tuple[CounterFlows[Number], Tasks]] = world

    def __repr__(self) -> str:
        return f"AsyncCounter({self.name!r})"

    async def add(
        self, key: Key, amount: Number | int = 1, *, ack: Ack | None = None, timeout: float | None = None
    ) -> None:
        """Add an amount, which may be negative. One write; never reads the database."""
        level = self._levels.level(ack)
        flows, tasks = self._world()
        if level == "local" and (source := flows.add_local(key, amount)) is not None:
            tasks.kick(source)
            return
        deadline = self._levels.deadline(timeout)
        write = flows.begin(key, amount, watch=level == "database")
        await tasks.wait(write.delivery, write.group, deadline)
        if level == "database" or not write.is_done:
            await tasks.run(flows.add(write, until_database=level == "database", deadline=deadline))

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
                until_database=level == "database",
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
