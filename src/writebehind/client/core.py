"""The client as a whole, without its world: partitions, deliveries, and the housekeeping."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

from writebehind.cache import calls
from writebehind.cache.keys import PartitionKeys
from writebehind.cache.link import Links
from writebehind.client.delivery import Delivery, DeliverySettings
from writebehind.client.effects import Procedure, ask_cache, ask_database, await_news
from writebehind.client.flows.counters import CounterFlows
from writebehind.client.flows.events import EventFlows
from writebehind.client.flows.leaderboards import LeaderboardFlows
from writebehind.client.flows.records import RecordFlows
from writebehind.client.flushing import FlushDesk
from writebehind.client.lane import Lane
from writebehind.client.partition import Partition
from writebehind.client.ring import RingBounds
from writebehind.client.settling import refresh, settle
from writebehind.client.writing import writing_of
from writebehind.databases.contract import Database, PartitionName
from writebehind.errors import BufferFull, FlushTimeout, WriteBehindError
from writebehind.mapping import BoundCounter, BoundEvents, BoundLeaderboard, BoundMapping, BoundRecords
from writebehind.observe import Observer

MAKE_ROOM_AFTER_S = 0.1
"""How long sending may stand still before a flush looks whether it waits for room."""

Kept = tuple[Delivery, Database]
AnyFlows: TypeAlias = CounterFlows[Any] | LeaderboardFlows[Any] | RecordFlows | EventFlows


@dataclass(frozen=True, slots=True)
class ClientSettings:
    """What the client needs to know of the configuration."""

    delivery: DeliverySettings
    ring: RingBounds
    replicas: int


class Client:
    """All lanes of one producer process."""

    def __init__(self, namespace: str, cache: Links, settings: ClientSettings, observe: Observer) -> None:
        self._namespace = namespace
        self._cache = cache
        self._settings = settings
        self._observe = observe
        self._kept: list[Kept] = []

    def bind(self, mapping: BoundMapping, database: Database, flush_desk: FlushDesk) -> AnyFlows:
        """The procedures of one mapping, on lanes of its own."""
        deliveries = []
        writing = writing_of(mapping)
        for number in range(mapping.mapping.partitions):
            name = PartitionName(self._namespace, mapping.name, number)
            keys = PartitionKeys.of(self._namespace, mapping.name, number)
            lane = Lane(f"{mapping.name}/{number}", self._settings.ring, writing.new_group, writing.rules)
            partition = Partition(name, keys, mapping, lane)
            deliveries.append(Delivery(partition, writing, self._delivery_settings(mapping), self._observe))
        self._kept.extend((delivery, database) for delivery in deliveries)
        replicas = self._settings.replicas
        match mapping:
            case BoundCounter():
                return CounterFlows(mapping, deliveries, database, flush_desk, self._observe, replicas)
            case BoundLeaderboard():
                return LeaderboardFlows(mapping, deliveries, database, flush_desk, self._observe, replicas, self._cache)
            case BoundRecords():
                return RecordFlows(mapping, deliveries, database, flush_desk, self._observe, replicas)
            case BoundEvents():
                return EventFlows(mapping, deliveries, database, flush_desk, self._observe, replicas)
        raise AssertionError(f"a kind of mapping that is not known: {mapping.kind}")

    def _delivery_settings(self, mapping: BoundMapping) -> DeliverySettings:
        settings = self._settings.delivery
        if not isinstance(mapping, BoundEvents):
            return settings
        max_length, when_full = mapping.mapping.max_length, mapping.mapping.when_full
        return replace(
            settings,
            max_pending_rows=settings.max_pending_rows if max_length is None else max_length,
            refuse_when_full=settings.refuse_when_full if when_full is None else when_full == "refuse",
        )

    def enter_all(self) -> Procedure[None]:
        """Begin, in every partition, with the incarnation that the cache is in."""
        for delivery, _ in self._kept:
            yield from delivery.enter()

    @property
    def deliveries(self) -> Iterable[Delivery]:
        return (delivery for delivery, _ in self._kept)

    def housekeeping(self) -> Procedure[tuple[bool, list[Delivery]]]:
        """Settle old lanes, free the ring, ask for a flush before it is full. Answers whether there
        is such work still, and the sources that have something to send.

        An error here is the servers' being away; it is kept as the lane's hindrance, where the status
        and a timed-out caller show it, and the work is tried again at the next turn.
        """
        busy = False
        for delivery, database in self._kept:
            lane = delivery.partition.lane
            try:
                if lane.unsettled:
                    busy = True
                    yield from settle(delivery.partition, database, self._observe)
                if lane.ring.groups:
                    busy = True
                    if lane.ring.is_half_full:
                        yield from ask_cache(calls.ask_for_flush(delivery.partition.keys))
                    yield from refresh(delivery)
            except WriteBehindError as error:
                lane.hindrance = error
        return busy, [delivery for delivery, _ in self._kept if not delivery.partition.lane.is_idle]

    def send_all(self, deadline: float) -> Procedure[bool]:
        """Wait until everything that was written is in the cache; False where the deadline passes first."""
        for delivery, _ in self._kept:
            while (group := delivery.partition.lane.last_unsent()) is not None:
                if not (yield from await_news(delivery, group, deadline)):
                    return False
        return True

    def _send_all_making_room(self, flush_now: Callable[[], None], deadline: float) -> Procedure[bool]:
        """``send_all``, where a full ring, or the cache's bound, holds writes back until a flush has made room."""
        while not (yield from self.send_all(min(deadline, time.monotonic() + MAKE_ROOM_AFTER_S))):
            if time.monotonic() >= deadline:
                return False
            full = [delivery for delivery, _ in self._kept if _needs_room(delivery.partition.lane)]
            if full:
                yield from ask_database(flush_now)
            for delivery in full:
                yield from refresh(delivery)
        return True

    def leave(self, flush_now: Callable[[], None], deadline: float) -> Procedure[bool]:
        """Bring what only this process has into the cache before it goes; False where that did not succeed.

        After a rollback of the cache that takes a flush: what was lost is known only then.
        """
        try:
            if not any(delivery.partition.lane.unsettled for delivery, _ in self._kept):
                return (yield from self._send_all_making_room(flush_now, deadline))
            yield from self.flush(flush_now, deadline)
        except WriteBehindError as error:
            for delivery, _ in self._kept:
                delivery.partition.lane.hindrance = error
            return False
        return (yield from self.send_all(deadline))

    def flush(self, flush_now: Callable[[], None], deadline: float) -> Procedure[None]:
        """Bring everything that this producer has written into the database.

        What it wrote before a rollback of the cache is part of that: settled, and written again where it
        was lost. ``flush_now`` flushes what is in the cache; it waits for the database.
        :raises FlushTimeout: the deadline passed first.
        """
        while True:
            settlements = self._settlements()
            if not (yield from self._send_all_making_room(flush_now, deadline)):
                raise FlushTimeout(
                    "the flush did not end within its timeout",
                    why="writes of this process could not be sent to the cache",
                    fix="They are kept, and sent as soon as it answers; flush again.",
                )
            yield from ask_database(flush_now)
            unsettled = False
            for delivery, database in self._kept:
                if delivery.partition.lane.ring.groups:
                    yield from refresh(delivery)
                if delivery.partition.lane.unsettled:
                    unsettled = True
                    yield from settle(delivery.partition, database, self._observe)
            # Others settle too: what they queued again since may have missed this round.
            if not unsettled and settlements == self._settlements():
                return

    def _settlements(self) -> int:
        return sum(delivery.partition.lane.settlements for delivery, _ in self._kept)


def _needs_room(lane: Lane) -> bool:
    return lane.ring.is_full or isinstance(lane.hindrance, BufferFull)
