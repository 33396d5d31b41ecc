"""What a counter does, written once: each method is a procedure that both worlds perform.

A flow knows its mapping's partitions; ``Counter`` and ``AsyncCounter`` are thin names over it.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from typing import Generic, TypeVar, cast

from writebehind.cache import calls
from writebehind.client.delivery import Delivery, other_layout
from writebehind.client.effects import Procedure, ask_cache, ask_cache_until, ask_database, await_news, pause
from writebehind.client.flushing import FlushDesk
from writebehind.client.groups import WriteGroup
from writebehind.client.lane import refusal
from writebehind.client.reading import Loader
from writebehind.client.settling import settle
from writebehind.databases.contract import Database
from writebehind.errors import (
    BufferFull,
    CacheUnavailable,
    DatabaseError,
    DeadLettered,
    DurabilityUnknown,
    ReadUnsettled,
    TotalUnavailable,
    WriteBehindError,
)
from writebehind.mapping import BoundCounter
from writebehind.observe import Observer
from writebehind.values import Key, partition_of

Number = TypeVar("Number", int, Decimal)
"""What a counter counts in: int, or Decimal for a NUMERIC column with a scale."""

TOTAL_TRIES = 5
READ_AGAIN_AFTER_S = 0.02
CONFIRM_AGAIN_AFTER_S = 0.01


@dataclass(slots=True)
class Write:
    """One write on its way: the group that it joined, and its place among the group's writes to its field."""

    key: Key
    field: bytes
    units: int
    delivery: Delivery
    group: WriteGroup
    place: int

    @property
    def is_done(self) -> bool:
        """Whether the cache has the whole group, with nothing refused."""
        group = self.group
        return group.resolved and group.error is None and not group.refused


class CounterFlows(Generic[Number]):
    """One counter's procedures."""

    def __init__(
        self,
        counter: BoundCounter,
        deliveries: Sequence[Delivery],
        database: Database,
        flush_desk: FlushDesk,
        observe: Observer,
    ) -> None:
        self.counter = counter
        self._deliveries = tuple(deliveries)
        self._loaders = tuple(Loader(delivery, database) for delivery in deliveries)
        self._database = database
        self._flush_desk = flush_desk
        self._observe = observe

    def delivery_of(self, field: bytes) -> Delivery:
        """The partition's source at which writes of this field gather."""
        return self._deliveries[partition_of(field, len(self._deliveries))]

    def units(self, amount: int | Decimal, *, negated: bool = False) -> int:
        """The amount in units of the column."""
        return self.counter.amounts.to_units(amount, self.counter.name, negated=negated)

    def _number(self, units: int) -> Number:
        """What the application sees; opening has checked that the column and the declared type agree."""
        return cast("Number", self.counter.amounts.from_units(units))

    # Writing

    def add_local(self, key: Key, amount: int | Decimal) -> Delivery | None:
        """Put a write into this process's buffer; whoever performs kicks the returned source.

        None where the buffer is full: the write has to wait like any other then.
        """
        field, units = self.counter.keys.encode(key), self.units(amount)
        delivery = self.delivery_of(field)
        if not delivery.partition.lane.has_room_for_local_writes:
            return None
        delivery.partition.lane.join(field, units, local=True)
        return delivery

    def begin(self, key: Key, amount: int | Decimal, *, negated: bool = False, watch: bool = False) -> Write:
        """Put a plain write into the group that waits; ``add`` brings it to its end.

        Between the two, whoever performs may wait for the group by itself: where it ``is_done`` then, as it
        nearly always is, nothing is left to do.
        """
        field = self.counter.keys.encode(key)
        return self._join(key, field, self.units(amount, negated=negated), watch=watch)

    def _join(self, key: Key, field: bytes, units: int, *, watch: bool, want_total: bool = False) -> Write:
        delivery = self.delivery_of(field)
        group, place = delivery.partition.lane.join(field, units, want_total=want_total)
        group.watched = group.watched or watch
        return Write(key, field, units, delivery, group, place)

    def add(self, write: Write, *, until_database: bool, deadline: float) -> Procedure[None]:
        """Return when the cache (or the database) has a write that was begun."""
        yield from self._finish(write, deadline)
        if until_database:
            yield from self._until_database(write, deadline)

    def increment(
        self, key: Key, amount: int | Decimal, *, negated: bool, until_database: bool, deadline: float
    ) -> Procedure[Number]:
        """Write, and answer the exact total right after this write."""
        field, units = self.counter.keys.encode(key), self.units(amount, negated=negated)
        delivery = self.delivery_of(field)
        before = delivery.partition.lane.last_unsent_local()
        while before is not None and not before.resolved:
            # A total counts what this process wrote before; such groups are not the ones that totals share.
            if not (yield from await_news(delivery, before, deadline)):
                raise self._not_sent(delivery, key)
        for _ in range(TOTAL_TRIES):
            write = self._join(key, field, units, watch=until_database, want_total=True)
            yield from self._finish(write, deadline)
            if write.group.refused.get(field) != "MISSING":
                if until_database:
                    yield from self._until_database(write, deadline)
                if write.group.totals_unknown:
                    raise self._total_unavailable(key, "the answer was lost when the cache restarted")
                return self._number(write.group.total_of(field, write.place))
            # Nothing of it is written yet: the cache has no total to answer from. Load it, then write.
            try:
                yield from self._load(write.delivery, [field], deadline)
            except (DatabaseError, ReadUnsettled) as error:
                reason: WriteBehindError = error
                break
        else:
            reason = ReadUnsettled("its cached value was evicted again and again")
        write = self._join(key, field, units, watch=until_database)
        yield from self.add(write, until_database=until_database, deadline=deadline)
        raise self._total_unavailable(key, str(reason)) from reason

    def _finish(self, write: Write, deadline: float) -> Procedure[None]:
        """Wait for the end of a write's group; it is written then, or refused as MISSING."""
        field = write.field
        while True:
            group = write.group
            while not group.resolved and field not in group.refused:
                news = yield from await_news(write.delivery, group, deadline)
                if not news and not group.resolved and field not in group.refused:
                    raise self._timed_out(write)
            if group.error is not None:
                raise group.error
            code = group.refused.get(field)
            if code is None or code == "MISSING":
                return
            if group.solo:
                raise refusal(code, self.counter.name, write.key)
            # Its sum with others' amounts was refused: alone it may fit, and if not, it concerns nobody else.
            lane = write.delivery.partition.lane
            write.group = lane.join_alone(field, write.units, want_total=group.want_totals)
            write.group.watched = group.watched
            write.place = 0

    def _timed_out(self, write: Write) -> Exception:
        lane = write.delivery.partition.lane
        if lane.withdraw(write.group, write.field, write.units, write.place):
            return self._not_sent(write.delivery, write.key)
        lane.give_up(write.group, write.field, write.units)
        return self._unknown(write, str(lane.hindrance or "the cache has not answered"))

    def _not_sent(self, delivery: Delivery, key: Key) -> Exception:
        """Nothing was written within the timeout, and nothing will be."""
        hindrance = delivery.partition.lane.hindrance
        if isinstance(hindrance, BufferFull):
            return hindrance
        return CacheUnavailable(
            f"the write to the key {key!r} of {self.counter.name!r} was not sent within its timeout",
            why=str(hindrance or "other groups were on their way"),
            fix="Nothing was written; write again.",
        )

    def _unknown(self, write: Write, why: str) -> DurabilityUnknown:
        partition = write.delivery.partition
        lane = partition.lane
        return DurabilityUnknown(
            f"the outcome of the write to the key {write.key!r} of {self.counter.name!r} is not known yet",
            why=why,
            fix="This process keeps it and settles it by itself: do not write it again.",
            token=f"{partition.label} {lane.producer} {write.group.incarnation} {write.group.sequence}",
        )

    def _total_unavailable(self, key: Key, why: str) -> TotalUnavailable:
        return TotalUnavailable(
            f"the write to the key {key!r} of {self.counter.name!r} was accepted, its total could not be read",
            why=why,
            fix="Do not write it again; get() reads the total later.",
        )

    def _until_database(self, write: Write, deadline: float) -> Procedure[None]:
        """Have the batch flushed now, and wait until the database has the write's group."""
        group, partition = write.group, write.delivery.partition
        lane = partition.lane
        while True:
            try:
                if not group.confirmed:
                    yield from self._flush_desk.flush(deadline)
                    yield from refresh(write.delivery)
                if lane.unsettled:
                    yield from settle(partition, self._database, self._observe)
                if group.confirmed:
                    yield from self._raise_dead_letter(write)
                    return
            except (DeadLettered, DurabilityUnknown):
                raise
            except WriteBehindError as error:
                # The cache has the write, so that this is no failure of it; only its way into the database is open.
                lane.hindrance = error
                if not error.retryable:
                    raise self._unknown(write, str(error)) from error
            if time.monotonic() >= deadline:
                raise self._unknown(write, str(lane.hindrance or "the database has not confirmed it"))
            yield from pause(CONFIRM_AGAIN_AFTER_S)

    def _raise_dead_letter(self, write: Write) -> Procedure[None]:
        """Tell the caller where the write's batch is in the database, and its row has nothing of it."""
        if not write.group.birth:
            raise self._unknown(write, "it is in the database, as a row or as a dead letter")
        name = write.delivery.partition.name
        letters = yield from ask_database(partial(self._database.dead_letters, name, [write.group.birth]))
        for letter in letters:
            if letter.key == write.field.decode():
                raise DeadLettered(
                    f"the write to the key {write.key!r} of {self.counter.name!r} is a dead letter",
                    why=letter.error,
                    fix="See the table writebehind_dead_letters.",
                )

    # Reading

    def get(self, key: Key, *, deadline: float) -> Procedure[Number]:
        """The exact total of one key."""
        totals = yield from self.get_many([key], deadline=deadline)
        return totals[key]

    def get_many(self, keys: Sequence[Key], *, deadline: float) -> Procedure[dict[Key, Number]]:
        """The exact totals of many keys, 0 for a row that does not exist and has nothing pending."""
        fields = {self.counter.keys.encode(key): key for key in keys}
        by_delivery: dict[Delivery, list[bytes]] = {}
        for field in fields:
            by_delivery.setdefault(self.delivery_of(field), []).append(field)
        units: dict[bytes, int] = {}
        for delivery, wanted in by_delivery.items():
            units |= yield from self._read(delivery, wanted, deadline)
        totals = {field: self._number(value) for field, value in units.items()}
        return {key: totals[self.counter.keys.encode(key)] for key in keys}

    def _read(self, delivery: Delivery, fields: list[bytes], deadline: float) -> Procedure[dict[bytes, int]]:
        partition = delivery.partition
        yield from self._see_own_writes(delivery, deadline)
        while True:
            value_keys = [self.counter.value_key(field) for field in fields]
            reply = yield from ask_cache_until(
                calls.read(partition.keys, value_keys, layout=partition.layout), deadline
            )
            match reply:
                case calls.CachedValues(values):
                    break
                case calls.OtherLayout(layout):
                    raise other_layout(partition, layout)
                case calls.NewIncarnation():
                    yield from delivery.enter()
                    yield from self._see_own_writes(delivery, deadline)
        known = {field: value for field, value in zip(fields, values, strict=True) if value is not None}
        missing = [field for field in fields if field not in known]
        if missing:
            known |= yield from self._load(delivery, missing, deadline)
        return known

    def _see_own_writes(self, delivery: Delivery, deadline: float) -> Procedure[None]:
        """Wait for what this process has written and the cache does not have (yet, or any more)."""
        lane = delivery.partition.lane
        if lane.has_unsent_acknowledged_writes():
            group = lane.last_unsent()
            while group is not None and not group.resolved:
                if not (yield from await_news(delivery, group, deadline)):
                    raise self._unsettled(f"its buffered writes were not sent in time ({lane.hindrance})")
        while lane.unsettled:
            yield from settle(delivery.partition, self._database, self._observe)
            if not lane.unsettled:
                group = lane.last_unsent()
                while group is not None and not group.resolved:
                    if not (yield from await_news(delivery, group, deadline)):
                        raise self._unsettled(f"what is written again was not sent in time ({lane.hindrance})")
                return
            if time.monotonic() >= deadline:
                raise self._unsettled("the cache restarted, and what it lost is known after the next flush")
            yield from pause(READ_AGAIN_AFTER_S)

    def _load(self, delivery: Delivery, fields: list[bytes], deadline: float) -> Procedure[dict[bytes, int]]:
        loader = self._loaders[delivery.partition.name.partition]
        totals: dict[bytes, int] = {}
        groups = [loader.join(fields[first : first + 1000]) for first in range(0, len(fields), 1000)]
        for group in groups:
            while not group.resolved:
                if not (yield from await_news(loader, group, deadline)):
                    raise self._unsettled("the database did not answer within the timeout")
            if group.error is not None:
                raise group.error
            totals |= group.totals
        return {field: totals[field] for field in fields}

    def _unsettled(self, why: str) -> ReadUnsettled:
        return ReadUnsettled(f"{self.counter.name!r} cannot be read exactly now", why=why, fix="Read again later.")


def refresh(delivery: Delivery) -> Procedure[None]:
    """Learn how far the database has this producer, and whether the cache was rolled back, without writing."""
    lane = delivery.partition.lane
    incarnation = lane.incarnation
    reply = yield from ask_cache(calls.confirmed(delivery.partition.keys, lane.producer))
    if isinstance(reply, calls.Confirmed) and reply.incarnation == incarnation:
        lane.confirm(reply.sequence, incarnation)
    else:
        present = reply.incarnation if isinstance(reply, calls.Confirmed) else ""
        yield from delivery.meet(present, leaving=incarnation)
