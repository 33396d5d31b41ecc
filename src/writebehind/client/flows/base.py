"""What writing to a mapping of any kind does, written once: procedures that both worlds perform.

A flow knows its mapping's partitions. The doors (``client/doors``) are thin names over it.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

from writebehind.client.delivery import Delivery
from writebehind.client.durability import DURABLE_LEVELS, DurabilityDesk, DurableLevel
from writebehind.client.effects import Procedure, ask_database, await_news, pause
from writebehind.client.flushing import FlushDesk
from writebehind.client.groups import WriteGroup
from writebehind.client.lane import refusal
from writebehind.client.settling import refresh, settle
from writebehind.databases.contract import Database, DeadLetter
from writebehind.errors import (
    BufferFull,
    CacheUnavailable,
    DeadLettered,
    DurabilityUnknown,
    ReadUnsettled,
    WriteBehindError,
)
from writebehind.levels import Ack
from writebehind.mapping import BoundMapping
from writebehind.observe import Observer

READ_AGAIN_AFTER_S = 0.02
CONFIRM_AGAIN_AFTER_S = 0.01


class Intent(NamedTuple):
    """A write that was checked and encoded, before it joins a group. ``key`` is what errors name."""

    key: object
    field: bytes
    change: Any
    delivery: Delivery


@dataclass(slots=True)
class Write:
    """One write on its way: the group that it joined, and its place among the group's writes."""

    key: object
    field: bytes
    change: Any
    delivery: Delivery
    group: WriteGroup
    place: int

    @property
    def is_done(self) -> bool:
        """Whether the cache has the whole group, with nothing refused."""
        group = self.group
        return group.resolved and group.error is None and not group.refused


class WriteFlows:
    """One mapping's procedures, as far as they do not depend on its kind."""

    def __init__(
        self,
        mapping: BoundMapping,
        deliveries: Sequence[Delivery],
        database: Database,
        flush_desk: FlushDesk,
        observe: Observer,
        replicas: int,
    ) -> None:
        self._name = mapping.name
        self._deliveries = tuple(deliveries)
        self._database = database
        self._flush_desk = flush_desk
        self._observe = observe
        self._desks: dict[tuple[Delivery, DurableLevel], DurabilityDesk] = {
            (delivery, level): DurabilityDesk(delivery, level, replicas)
            for delivery in deliveries
            for level in DURABLE_LEVELS
        }

    # Writing

    def buffer(self, intent: Intent) -> bool:
        """Put a write into this process's buffer; whoever performs kicks the intent's delivery.

        False where the buffer is full: the write has to wait like any other then.
        """
        lane = intent.delivery.partition.lane
        if not lane.has_room_for_local_writes:
            return False
        lane.join(intent.field, intent.change, local=True)
        return True

    def begin(self, intent: Intent, *, watch: bool = False, want_total: bool = False) -> Write:
        """Put a write into the group that waits; ``finish`` brings it to its end.

        Between the two, whoever performs may wait for the group by itself: where it ``is_done`` then, as it
        nearly always is, nothing is left to do.
        """
        key, field, change, delivery = intent
        group, place = delivery.partition.lane.join(field, change, want_total=want_total)
        group.watched = group.watched or watch
        return Write(key, field, change, delivery, group, place)

    def check(self, intent: Intent, level: Ack, deadline: float) -> Procedure[None]:
        """Make sure that a level can be given, before anything is written at it.

        :raises CacheRefused: the server cannot give it truthfully.
        """
        if level in ("replica", "disk"):
            yield from self._desk(intent.delivery, level).check(deadline)

    def finish(self, write: Write, level: Ack, deadline: float) -> Procedure[None]:
        """Return when a write that was begun has got as far as the level says."""
        yield from self._finish(write, deadline)
        yield from self._reach(write, level, deadline)

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
                raise refusal(code, self._name, write.key)
            # Its sum with others' amounts was refused: alone it may fit, and if not, it concerns nobody else.
            lane = write.delivery.partition.lane
            write.group = lane.join_alone(field, write.change, want_total=group.want_totals)
            write.group.watched = group.watched
            write.place = 0

    def _timed_out(self, write: Write) -> Exception:
        lane = write.delivery.partition.lane
        if lane.withdraw(write.group, [(write.field, write.change, write.place)]):
            return self._not_sent(write.delivery, write.key)
        lane.give_up(write.group, write.field, write.change)
        return self._unknown(write, str(lane.hindrance or "the cache has not answered"))

    def _not_sent(self, delivery: Delivery, key: object) -> Exception:
        """Nothing was written within the timeout, and nothing will be."""
        hindrance = delivery.partition.lane.hindrance
        if isinstance(hindrance, BufferFull):
            return hindrance
        return CacheUnavailable(
            f"the write {named(key)} of {self._name!r} was not sent within its timeout",
            why=str(hindrance or "other groups were on their way"),
            fix="Nothing was written; write again.",
        )

    def _unknown(self, write: Write, why: str) -> DurabilityUnknown:
        partition = write.delivery.partition
        lane = partition.lane
        return DurabilityUnknown(
            f"the outcome of the write {named(write.key)} of {self._name!r} is not known yet",
            why=why,
            fix="This process keeps it and settles it by itself: do not write it again.",
            token=f"{partition.label} {lane.producer} {write.group.incarnation} {write.group.sequence}",
        )

    def _reach(self, write: Write, level: Ack, deadline: float) -> Procedure[None]:
        """Wait until a write that the cache has accepted has got as far as the level says."""
        if level == "database":
            yield from self._until_database(write, deadline)
        elif level in ("replica", "disk"):
            yield from self._until_durable(write, self._desk(write.delivery, level), deadline)

    def _desk(self, delivery: Delivery, level: DurableLevel) -> DurabilityDesk:
        return self._desks[delivery, level]

    def _until_durable(self, write: Write, desk: DurabilityDesk, deadline: float) -> Procedure[None]:
        """Wait until replicas, or the disk, have the write's group; what the database has is safer than both."""
        group, lane = write.group, write.delivery.partition.lane
        while not group.confirmed:
            if group.resolved:
                reached = yield from desk.reach(group.incarnation, deadline)
                if desk.is_reached_by(reached):
                    return
                why = desk.shortfall(reached)
            else:
                yield from await_news(write.delivery, group, deadline)  # it is written again after a rollback
                why = "the cache was rolled back, and what it lost is known after the next flush"
            if time.monotonic() >= deadline:
                lane.give_up(group, write.field, write.change)
                raise self._unknown(write, why)
            if group.resolved and group.incarnation != lane.incarnation:
                try:
                    yield from settle(write.delivery.partition, self._database, self._observe)
                    yield from refresh(write.delivery)
                except WriteBehindError as error:
                    lane.hindrance = error
                yield from pause(CONFIRM_AGAIN_AFTER_S)

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
            if self._is_about(letter, write):
                raise DeadLettered(
                    f"the write {named(write.key)} of {self._name!r} is a dead letter",
                    why=letter.error,
                    fix="See the table writebehind_dead_letters.",
                )

    def _is_about(self, letter: DeadLetter, write: Write) -> bool:
        """Whether a dead letter of a write's batch is that write's."""
        return letter.key == write.field.decode()

    # Reading

    def _see_own_writes(self, delivery: Delivery, deadline: float) -> Procedure[None]:
        """Wait for what this process has written and the cache does not have (yet, or any more)."""
        lane = delivery.partition.lane
        while True:
            # Asked first: what another thread settles in between is among what is unsent then.
            is_settled = not lane.unsettled
            if lane.has_unsent_acknowledged_writes():
                group = lane.last_unsent()
                while group is not None and not group.resolved:
                    if not (yield from await_news(delivery, group, deadline)):
                        raise self._unsettled(f"writes of this process were not sent in time ({lane.hindrance})")
            if is_settled:
                return
            yield from settle(delivery.partition, self._database, self._observe)
            if lane.unsettled:
                if time.monotonic() >= deadline:
                    raise self._unsettled("the cache restarted, and what it lost is known after the next flush")
                yield from pause(READ_AGAIN_AFTER_S)

    def _unsettled(self, why: str) -> ReadUnsettled:
        return ReadUnsettled(f"{self._name!r} cannot be read exactly now", why=why, fix="Read again later.")


def named(key: object) -> str:
    """A write's key in a sentence; events have none."""
    return "to the event log" if key is None else f"to the key {key!r}"
