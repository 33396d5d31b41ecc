"""What a counter does."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Generic, TypeVar, cast

from writebehind.client.delivery import Delivery
from writebehind.client.effects import Procedure, await_news
from writebehind.client.flows.base import Intent, WriteFlows
from writebehind.client.flows.values import KeyedReads
from writebehind.client.flushing import FlushDesk
from writebehind.client.groups import AmountGroup, WriteGroup
from writebehind.client.readers import CounterReader
from writebehind.databases.contract import Database
from writebehind.errors import DatabaseError, ReadUnsettled, TotalUnavailable, WriteBehindError
from writebehind.levels import BEYOND_MEMORY, Ack
from writebehind.mapping import BoundCounter
from writebehind.observe import Observer
from writebehind.values import Key, partition_of

Number = TypeVar("Number", int, Decimal)
"""What a counter counts in: int, or Decimal for a NUMERIC column with a scale."""

TOTAL_TRIES = 5


class CounterFlows(WriteFlows, Generic[Number]):
    """One counter's procedures."""

    def __init__(
        self,
        counter: BoundCounter,
        deliveries: Sequence[Delivery],
        database: Database,
        flush_desk: FlushDesk,
        observe: Observer,
        replicas: int,
    ) -> None:
        super().__init__(counter, deliveries, database, flush_desk, observe, replicas)
        self._counter = counter
        self._reads = KeyedReads(CounterReader(counter), deliveries, database, self._see_own_writes, self._unsettled)

    def addition(self, key: Key, amount: int | Decimal, *, negated: bool = False) -> Intent:
        """A plain write, checked."""
        field = self._counter.keys.encode(key)
        units = self._counter.amounts.to_units(amount, self._name, negated=negated)
        return Intent(key, field, units, self._deliveries[partition_of(field, len(self._deliveries))])

    def _number(self, units: int) -> Number:
        """What the application sees; opening has checked that the column and the declared type agree."""
        return cast("Number", self._counter.amounts.from_units(units))

    def increment(
        self, key: Key, amount: int | Decimal, *, negated: bool, level: Ack, deadline: float
    ) -> Procedure[Number]:
        """Write, and answer the exact total right after this write."""
        intent = self.addition(key, amount, negated=negated)
        field, delivery = intent.field, intent.delivery
        yield from self.check(intent, level, deadline)
        before = delivery.partition.lane.last_unsent_local()
        while before is not None and not before.resolved:
            # A total counts what this process wrote before; such groups are not the ones that totals share.
            if not (yield from await_news(delivery, before, deadline)):
                raise self._not_sent(delivery, key)
        for _ in range(TOTAL_TRIES):
            write = self.begin(intent, watch=level in BEYOND_MEMORY, want_total=True)
            yield from self._finish(write, deadline)
            if write.group.refused.get(field) != "MISSING":
                yield from self._reach(write, level, deadline)
                if write.group.totals_unknown:
                    raise self._total_unavailable(key, "the answer was lost when the cache restarted")
                return self._number(_amounts(write.group).total_of(field, write.place))
            # Nothing of it is written yet: the cache has no total to answer from. Load it, then write.
            try:
                yield from self._reads.load(write.delivery, [field], deadline)
            except (DatabaseError, ReadUnsettled) as error:
                reason: WriteBehindError = error
                break
        else:
            reason = ReadUnsettled("its cached value was evicted again and again")
        write = self.begin(intent, watch=level in BEYOND_MEMORY)
        yield from self.finish(write, level, deadline)
        raise self._total_unavailable(key, str(reason)) from reason

    def _total_unavailable(self, key: Key, why: str) -> TotalUnavailable:
        return TotalUnavailable(
            f"the write to the key {key!r} of {self._name!r} was accepted, its total could not be read",
            why=why,
            fix="Do not write it again; get() reads the total later.",
        )

    def get(self, key: Key, *, deadline: float) -> Procedure[Number]:
        """The exact total of one key."""
        totals = yield from self.get_many([key], deadline=deadline)
        return totals[key]

    def get_many(self, keys: Sequence[Key], *, deadline: float) -> Procedure[dict[Key, Number]]:
        """The exact totals of many keys, 0 for a row that does not exist and has nothing pending."""
        fields = {key: self._counter.keys.encode(key) for key in keys}
        units = yield from self._reads.read(fields.values(), deadline)
        return {key: self._number(units[field]) for key, field in fields.items()}


def _amounts(group: WriteGroup) -> AmountGroup:
    assert isinstance(group, AmountGroup)
    return group
