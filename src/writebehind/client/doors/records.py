"""The records that applications use: ``Records`` blocks, ``AsyncRecords`` awaits; both do the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from writebehind.client.doors.base import AwaitingDoor, BlockingDoor
from writebehind.client.flows.records import Record, RecordFlows
from writebehind.levels import Ack
from writebehind.values import Key


class Records(BlockingDoor[RecordFlows]):
    """Records: the rows of one table, by key, written column by column.

    The last write of a column wins, in the order in which the cache accepted the writes, or by the mapping's version
    column. Values are checked and encoded at the call: ``ValueRefused`` for an unknown column and for what its column
    cannot hold exactly. Every write takes ``ack=`` and ``timeout=`` (seconds) and may raise what ``Counter`` says.
    All methods are thread-safe.
    """

    def put(
        self, key: Key, values: Mapping[str, object], *, ack: Ack | None = None, timeout: float | None = None
    ) -> None:
        """Make the whole record these values, whether or not there is one.

        Columns that are left out get their defaults, NULL without one; those whose default the database works out
        (``now()``, a sequence) keep their value in a row that exists.
        """
        flows, threads = self._world()
        self._write(flows, threads, flows.putting(key, values), ack, timeout)

    def patch(
        self, key: Key, values: Mapping[str, object], *, ack: Ack | None = None, timeout: float | None = None
    ) -> None:
        """Change some columns, and leave the others; a record that is missing is made, with defaults for them."""
        flows, threads = self._world()
        self._write(flows, threads, flows.patching(key, values), ack, timeout)

    def delete(self, key: Key, *, version: object = None, ack: Ack | None = None, timeout: float | None = None) -> None:
        """Delete the record, if there is one. ``version`` is for mappings with a version column."""
        flows, threads = self._world()
        self._write(flows, threads, flows.deletion(key, version), ack, timeout)

    def get(self, key: Key, *, timeout: float | None = None) -> Record | None:
        """The exact record, everything pending included: its columns without the key; None where there is none.

        Of a new record, a column whose default the database works out is absent until the row is there.
        """
        flows, threads = self._world()
        return threads.run(flows.get(key, deadline=self._levels.deadline(timeout)))

    def get_many(self, keys: Sequence[Key], *, timeout: float | None = None) -> dict[Key, Record | None]:
        """The exact records of many keys, by key."""
        flows, threads = self._world()
        return threads.run(flows.get_many(keys, deadline=self._levels.deadline(timeout)))


class AsyncRecords(AwaitingDoor[RecordFlows]):
    """``Records`` for asyncio: the same names and the same behaviour, awaitable."""

    async def put(
        self, key: Key, values: Mapping[str, object], *, ack: Ack | None = None, timeout: float | None = None
    ) -> None:
        """Make the whole record these values, whether or not there is one.

        Columns that are left out get their defaults, NULL without one; those whose default the database works out
        (``now()``, a sequence) keep their value in a row that exists.
        """
        flows, tasks = self._world()
        await self._write(flows, tasks, flows.putting(key, values), ack, timeout)

    async def patch(
        self, key: Key, values: Mapping[str, object], *, ack: Ack | None = None, timeout: float | None = None
    ) -> None:
        """Change some columns, and leave the others; a record that is missing is made, with defaults for them."""
        flows, tasks = self._world()
        await self._write(flows, tasks, flows.patching(key, values), ack, timeout)

    async def delete(
        self, key: Key, *, version: object = None, ack: Ack | None = None, timeout: float | None = None
    ) -> None:
        """Delete the record, if there is one. ``version`` is for mappings with a version column."""
        flows, tasks = self._world()
        await self._write(flows, tasks, flows.deletion(key, version), ack, timeout)

    async def get(self, key: Key, *, timeout: float | None = None) -> Record | None:
        """The exact record, everything pending included: its columns without the key; None where there is none.

        Of a new record, a column whose default the database works out is absent until the row is there.
        """
        flows, tasks = self._world()
        return await tasks.run(flows.get(key, deadline=self._levels.deadline(timeout)))

    async def get_many(self, keys: Sequence[Key], *, timeout: float | None = None) -> dict[Key, Record | None]:
        """The exact records of many keys, by key."""
        flows, tasks = self._world()
        return await tasks.run(flows.get_many(keys, deadline=self._levels.deadline(timeout)))
