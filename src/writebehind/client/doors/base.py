"""What the doors of all kinds share: levels and timeouts, and how a write goes through in either world."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Generic, TypeVar

from writebehind.client.flows.base import Intent, WriteFlows
from writebehind.client.tasks import Tasks
from writebehind.client.threads import Threads
from writebehind.errors import ConfigurationError
from writebehind.levels import BEYOND_MEMORY, LEVELS, Ack

F = TypeVar("F", bound=WriteFlows)


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
            raise ConfigurationError(f"ack={ack!r} is not a level", fix=f"Use one of {', '.join(LEVELS)}.")
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


class BlockingDoor(Generic[F]):
    """A mapping's door for threads. ``world`` gives its procedures and who performs them, once it is open."""

    def __init__(self, name: str, levels: Levels, world: Callable[[], tuple[F, Threads]]) -> None:
        self.name = name
        self._levels = levels
        self._world: Callable[[], tuple[F, Threads]] = world

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r})"

    def _write(self, flows: F, threads: Threads, intent: Intent, ack: Ack | None, timeout: float | None) -> None:
        level = self._levels.level(ack)
        if level == "local" and flows.buffer(intent):
            threads.kick(intent.delivery)
            return
        deadline = self._levels.deadline(timeout)
        goes_on = level in BEYOND_MEMORY
        if goes_on:
            threads.run(flows.check(intent, level, deadline))
        write = flows.begin(intent, watch=goes_on)
        threads.wait(write.delivery, write.group, deadline)
        if goes_on or not write.is_done:
            threads.run(flows.finish(write, level, deadline))


class AwaitingDoor(Generic[F]):
    """A mapping's door for asyncio: the same names and the same behaviour, awaitable.

    For use in the event loop in which its ``AsyncWriteBehind`` was opened. A cancelled call's write is
    either sent or not, and disturbs no other.
    """

    def __init__(self, name: str, levels: Levels, world: Callable[[], tuple[F, Tasks]]) -> None:
        self.name = name
        self._levels = levels
        self._world: Callable[[], tuple[F, Tasks]] = world

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r})"

    async def _write(self, flows: F, tasks: Tasks, intent: Intent, ack: Ack | None, timeout: float | None) -> None:
        level = self._levels.level(ack)
        if level == "local" and flows.buffer(intent):
            tasks.kick(intent.delivery)
            return
        deadline = self._levels.deadline(timeout)
        goes_on = level in BEYOND_MEMORY
        if goes_on:
            await tasks.run(flows.check(intent, level, deadline))
        write = flows.begin(intent, watch=goes_on)
        await tasks.wait(write.delivery, write.group, deadline)
        if goes_on or not write.is_done:
            await tasks.run(flows.finish(write, level, deadline))
