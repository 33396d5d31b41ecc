"""The event logs that applications use: ``Events`` blocks, ``AsyncEvents`` awaits; both do the same."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from writebehind.client.doors.base import AwaitingDoor, BlockingDoor
from writebehind.client.flows.events import EventFlows
from writebehind.levels import Ack


class Events(BlockingDoor[EventFlows]):
    """An event log: every event becomes one row of one table, in the order in which the cache accepted them.

    The order holds within a partition; a process appends to one of them. Values are checked at the call:
    ``ValueRefused`` for an unknown column and for what its column cannot hold exactly. Every write takes ``ack=`` and
    ``timeout=`` (seconds) and may raise what ``Counter`` says. All methods are thread-safe.
    """

    def append(
        self,
        event: Mapping[str, object],
        *,
        together: str | None = None,
        ack: Ack | None = None,
        timeout: float | None = None,
    ) -> None:
        """Append one event: column to value. Columns that are left out get the table's defaults.

        ``together``: events with the same text are in order with each other, whichever process appends them.
        """
        flows, threads = self._world()
        self._write(flows, threads, flows.appending(event, together), ack, timeout)

    def extend(
        self,
        events: Iterable[Mapping[str, object]],
        *,
        together: str | None = None,
        ack: Ack | None = None,
        timeout: float | None = None,
    ) -> None:
        """Append several events, in their order. All are checked before the first is written.

        :raises PartlyWritten: only the first of them were written; it says how many.
        """
        flows, threads = self._world()
        intents, level = flows.appending_all(events, together), self._levels.level(ack)
        buffered = flows.buffer_first(intents) if level == "local" else 0
        for delivery in {intent.delivery for intent in intents[:buffered]}:
            threads.kick(delivery)
        if buffered < len(intents):
            deadline = self._levels.deadline(timeout)
            threads.run(flows.append_all(intents, buffered, level, deadline))


class AsyncEvents(AwaitingDoor[EventFlows]):
    """``Events`` for asyncio: the same names and the same behaviour, awaitable."""

    async def append(
        self,
        event: Mapping[str, object],
        *,
        together: str | None = None,
        ack: Ack | None = None,
        timeout: float | None = None,
    ) -> None:
        """Append one event: column to value. Columns that are left out get the table's defaults.

        ``together``: events with the same text are in order with each other, whichever process appends them.
        """
        flows, tasks = self._world()
        await self._write(flows, tasks, flows.appending(event, together), ack, timeout)

    async def extend(
        self,
        events: Iterable[Mapping[str, object]],
        *,
        together: str | None = None,
        ack: Ack | None = None,
        timeout: float | None = None,
    ) -> None:
        """Append several events, in their order. All are checked before the first is written.

        :raises PartlyWritten: only the first of them were written; it says how many.
        """
        flows, tasks = self._world()
        intents, level = flows.appending_all(events, together), self._levels.level(ack)
        buffered = flows.buffer_first(intents) if level == "local" else 0
        for delivery in {intent.delivery for intent in intents[:buffered]}:
            tasks.kick(delivery)
        if buffered < len(intents):
            deadline = self._levels.deadline(timeout)
            await tasks.run(flows.append_all(intents, buffered, level, deadline))
