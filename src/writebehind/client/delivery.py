"""How a group gets from a lane into the cache, whatever the cache answers.

``Delivery`` is the ``Source`` at which the writers of one partition gather.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass

from writebehind.cache import calls
from writebehind.cache.replies import NotExecuted
from writebehind.chain import new_identity
from writebehind.client.effects import Procedure, ask_cache
from writebehind.client.flights import Flight
from writebehind.client.groups import WriteGroup
from writebehind.client.partition import Partition
from writebehind.client.writing import Writing
from writebehind.errors import BufferFull, CacheUnavailable, MappingConflict, WriteBehindError
from writebehind.observe import IncarnationEntered, Observer


@dataclass(frozen=True, slots=True)
class DeliverySettings:
    """What a delivery needs to know of the configuration."""

    batch_fields: int
    max_pending_rows: int
    refuse_when_full: bool


class Delivery:
    """Carries one partition's groups. Everything that is raised here, a retry can mend."""

    def __init__(self, partition: Partition, writing: Writing, settings: DeliverySettings, observe: Observer) -> None:
        self.partition = partition
        self._writing = writing
        self._settings = settings
        self._observe = observe

    def take(self) -> WriteGroup | None:
        return self.partition.lane.take()

    def resume(self) -> WriteGroup | None:
        return self.partition.lane.resume()

    def abandon(self, group: WriteGroup) -> None:
        self.partition.lane.abandon(group)

    def wake_next_leader(self) -> bool:
        return self.partition.lane.wake_next_leader()

    def deliver(self, group: WriteGroup) -> Procedure[None]:
        """Send the group once and act on the answer.

        :raises CacheUnavailable, BufferFull: call again later, with what ``take`` then gives, or with the
            same group where it still flies.
        """
        lane = self.partition.lane
        flight = lane.depart(group)
        if flight is None:
            return
        try:
            reply = yield from ask_cache(self._call(flight))
        except WriteBehindError as error:
            if isinstance(error, CacheUnavailable) and not isinstance(error, NotExecuted):
                lane.keep_flying(flight, error)
                raise
            self._not_executed(flight, error)
            return
        match reply:
            case calls.Written():
                lane.written(flight, reply)
                if reply.fields >= self._settings.batch_fields:
                    yield from self._seal()
            case calls.Refused():
                lane.refused(flight, reply)
            case calls.Full():
                with suppress(WriteBehindError):  # that the bound is reached is what has to be told
                    yield from ask_cache(calls.ask_for_flush(self.partition.keys))
                self._not_executed(flight, self._full())
            case calls.LaneForgotten():
                yield from self._change_incarnation(flight, self.enter(leave=flight.incarnation))
            case calls.NewIncarnation(incarnation):
                yield from self._change_incarnation(flight, self.meet(incarnation, leaving=flight.incarnation))
            case calls.OtherLayout(layout):
                self._not_executed(flight, other_layout(self.partition, layout))

    def _call(self, flight: Flight) -> calls.Call[calls.WriteReply]:
        partition, group = self.partition, flight.group
        head = calls.GroupHead(
            layout=partition.layout,
            incarnation=flight.incarnation,
            producer=partition.lane.producer,
            sequence=flight.sequence,
            writes=group.writes,
            max_pending_fields=self._settings.max_pending_rows,
        )
        return self._writing.call(partition.keys, head, group)

    def _not_executed(self, flight: Flight, error: WriteBehindError) -> None:
        """This try changed nothing: a retry mends it, or else the callers are told.

        They cannot be told "nothing was written" where an earlier try may have been executed, and nobody
        is there to be told where an acknowledged group is written again, or left out because of this one: these are
        tried for ever.
        """
        lane = self.partition.lane
        mendable = isinstance(error, NotExecuted | CacheUnavailable | BufferFull)
        must_succeed = flight.tried_before or flight.group.is_replay or flight.group.is_firm
        if must_succeed:
            lane.put_back(flight, error)
        elif not mendable or (isinstance(error, BufferFull) and self._settings.refuse_when_full):
            lane.fail(flight, error)
        else:
            lane.put_back(flight, error)
        if mendable:
            raise error
        if must_succeed:
            raise CacheUnavailable(error.what, why=error.why, fix=error.fix) from error

    def _change_incarnation(self, flight: Flight, change: Procedure[None]) -> Procedure[None]:
        """The group was not written, for it named an incarnation that has ended: begin or learn the present one."""
        self.partition.lane.not_executed(flight)
        try:
            yield from change
        except WriteBehindError as error:
            self._not_executed(flight, error)

    def meet(self, incarnation: str, *, leaving: str) -> Procedure[None]:
        """Go on in the incarnation that the cache says it is in ('': nobody has entered it yet)."""
        lane = self.partition.lane
        if not incarnation:
            yield from self.enter()
        elif lane.has_left(incarnation):
            # The cache has gone back to an incarnation in which this lane has used numbers already.
            yield from self.enter(leave=incarnation)
        else:
            lane.move_to(incarnation, leaving=leaving)

    def enter(self, leave: str = "") -> Procedure[None]:
        """Begin the server's present incarnation in this partition, or learn that another has."""
        partition = self.partition
        leaving = partition.lane.incarnation
        reply = yield from ask_cache(
            calls.enter(
                partition.keys,
                layout=partition.layout,
                batch=new_identity(),
                fence=new_identity(),
                leave=leave,
                cached_value_ttl_ms=partition.mapping.mapping.cached_value_ttl_ms,
            )
        )
        if isinstance(reply, calls.OtherLayout):
            raise other_layout(partition, reply.layout)
        if reply.began:
            self._observe(IncarnationEntered(partition.label, reply.incarnation))
        partition.lane.move_to(reply.incarnation, leaving=leaving)

    def _seal(self) -> Procedure[None]:
        """The open batch has reached its cap: close it, so that no batch grows without bound.

        Where that fails, the next group's delivery tries it again: its writers need not be told.
        """
        try:
            yield from ask_cache(
                calls.seal(
                    self.partition.keys,
                    layout=self.partition.layout,
                    batch=new_identity(),
                    batch_fields=self._settings.batch_fields,
                    ledger="",
                    commit=0,
                )
            )
        except WriteBehindError as error:
            self.partition.lane.hindrance = error

    def _full(self) -> BufferFull:
        return BufferFull(
            f"{self.partition.label} has {self._settings.max_pending_rows} pending rows",
            why="that is the bound max_pending_rows, or the mapping's own max_length",
            fix="Nothing was written. Check that a worker runs and the database accepts its flushes.",
        )


def other_layout(partition: Partition, layout: str) -> MappingConflict:
    """The error for a partition that the cache lays out differently."""
    return MappingConflict(
        f"{partition.name.mapping!r} has {partition.layout} partitions here and {layout} in the cache",
        why="another process declares the mapping differently",
        fix="Use the same partitions= everywhere.",
    )
