"""Exact reads by key, of counters and records: cached values first, what is missing from the database."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Generic, TypeVar

from writebehind.cache import calls
from writebehind.client.delivery import Delivery, other_layout
from writebehind.client.effects import Procedure, ask_cache_until, await_news
from writebehind.client.readers import Reader
from writebehind.client.reading import Loader
from writebehind.databases.contract import Database
from writebehind.errors import ReadUnsettled

V = TypeVar("V")

FIELDS_A_LOAD = 1000


class KeyedReads(Generic[V]):
    """The reading half of one mapping's procedures.

    ``see_own_writes`` waits for what this process has written and the cache does not have; ``unsettled`` makes the
    error for a read that found no quiet moment.
    """

    def __init__(
        self,
        reader: Reader[V],
        deliveries: Sequence[Delivery],
        database: Database,
        see_own_writes: Callable[[Delivery, float], Procedure[None]],
        unsettled: Callable[[str], ReadUnsettled],
    ) -> None:
        self._reader = reader
        self._deliveries = tuple(deliveries)
        self._loaders = {delivery: Loader(delivery, database, reader) for delivery in deliveries}
        self._see_own_writes = see_own_writes
        self._unsettled = unsettled

    def read(self, fields: Iterable[bytes], deadline: float) -> Procedure[dict[bytes, V]]:
        """The exact value of each field."""
        by_delivery: dict[Delivery, list[bytes]] = {}
        for field in dict.fromkeys(fields):
            delivery = self._deliveries[self._reader.mapping.partition_of(field)]
            by_delivery.setdefault(delivery, []).append(field)
        values: dict[bytes, V] = {}
        for delivery, wanted in by_delivery.items():
            values |= yield from self._read(delivery, wanted, deadline)
        return values

    def _read(self, delivery: Delivery, fields: list[bytes], deadline: float) -> Procedure[dict[bytes, V]]:
        partition = delivery.partition
        while True:
            incarnation = partition.lane.incarnation
            yield from self._see_own_writes(delivery, deadline)
            reply = yield from ask_cache_until(self._reader.cached(partition, fields, incarnation), deadline)
            match reply:
                case calls.OtherLayout(layout):
                    raise other_layout(partition, layout)
                case calls.NewIncarnation(present):
                    yield from delivery.meet(present, leaving=incarnation)
                    continue
            known = self._reader.found(fields, reply)
            missing = [field for field in fields if field not in known]
            if missing:
                known |= yield from self.load(delivery, missing, deadline)
            if partition.lane.incarnation == incarnation:
                return known
            # The cache was rolled back meanwhile: what was read may lack what this process has written.

    def load(self, delivery: Delivery, fields: list[bytes], deadline: float) -> Procedure[dict[bytes, V]]:
        """Exact values from the database and what is pending, put into the cache on the way."""
        loader = self._loaders[delivery]
        values: dict[bytes, V] = {}
        groups = [loader.join(fields[first : first + FIELDS_A_LOAD]) for first in range(0, len(fields), FIELDS_A_LOAD)]
        for group in groups:
            while not group.resolved:
                if not (yield from await_news(loader, group, deadline)):
                    raise self._unsettled("the database did not answer within the timeout")
            if group.error is not None:
                raise group.error
            values |= group.values
        return {field: values[field] for field in fields}
