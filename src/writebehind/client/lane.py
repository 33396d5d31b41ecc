"""A producer's writes to one partition: the groups that wait, the one on its way, and the ring.

A pure state machine, no I/O: ``delivery`` carries groups to the cache and reports back. Thread-safe.

::

    join ──> waiting ──take──> flying ──written──> ring ──confirmed──> forgotten
                ^                 │ new incarnation          │
                │                 v                          v
                └──written again── old lane (unconfirmed groups) ──settled──> confirmed

The ring keeps what the database has not confirmed. When the cache begins a new incarnation, the lane goes
on at once under new sequence numbers, and what the old lane had unconfirmed waits until the database's
mark for it is final (``settling``): what is above the mark is written again, the rest is done.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Iterable, Sequence
from typing import Any

from writebehind.cache.calls import Refused, Written
from writebehind.changes import Rules
from writebehind.client.flights import Flight, OldLane
from writebehind.client.groups import AmountGroup, WriteGroup
from writebehind.client.replays import WrittenSince, merged
from writebehind.client.ring import Ring, RingBounds
from writebehind.client.waiting import NewGroup, WaitingGroups
from writebehind.errors import SumOutOfRange, ValueRefused, WriteBehindError

LOCAL_GROUPS = 64
"""How many groups may wait before a write with ``ack="local"`` waits like any other: 64,000 keys at the most."""


class Lane:
    """One partition's lane. ``partition`` names it in errors; ``rules`` say how changes follow each other, None
    where that does not matter (sums) or nothing is merged (events).
    """

    def __init__(
        self,
        partition: str,
        bounds: RingBounds,
        new_group: NewGroup = AmountGroup,
        rules: Rules[Any] | None = None,
    ) -> None:
        self.partition = partition
        self._new_group = new_group
        self._rules = rules
        self.producer = secrets.token_hex(12)
        self.incarnation = ""
        self.old: list[OldLane] = []
        self.hindrance: WriteBehindError | None = None
        """Why groups do not get through at present; what a timeout reports as its cause."""
        self.settlements = 0
        """How often groups left an old lane: what they hold may wait to be sent again since then."""
        self.lost_local_writes = 0
        self.ring = Ring(partition, bounds)
        self._lock = threading.Lock()
        self._waiting = WaitingGroups(new_group)
        self._superseded: list[WriteGroup] = []
        self._flying: WriteGroup | None = None
        self._flight: Flight | None = None
        self._abandoned = False
        self._sequence = 0
        self._met: set[str] = set()

    # Joining

    def join(
        self, field: bytes, change: Any, *, want_total: bool = False, local: bool = False, anyway: bool = False
    ) -> tuple[WriteGroup, int]:
        """Put one write into the group that waits; returns the group and the write's place in it.

        ``anyway``: it belongs to writes that have joined other lanes already, and joins even where the ring is full.
        :raises BufferFull: the ring is full and the policy is to refuse.
        """
        with self._lock:
            if self.ring.refuses and not anyway:
                raise self.ring.full_error()
            group = self._waiting.accepting(field, change, want_total=want_total)
            place = group.add(field, change)
            if local:
                group.add_local(field, change)
            return group, place

    def join_all(self, writes: Sequence[tuple[bytes, Any]]) -> tuple[WriteGroup, list[int]]:
        """Put as many writes, from the first on, into the group that waits as it takes, at least one; at once, so that
        they go together. Returns the group and their places in it.

        :raises BufferFull: the ring is full and the policy is to refuse.
        """
        with self._lock:
            if self.ring.refuses:
                raise self.ring.full_error()
            group = self._waiting.accepting(*writes[0])
            places: list[int] = []
            for field, change in writes:
                if places and not group.accepts(field, change):
                    break
                places.append(group.add(field, change))
            return group, places

    def join_alone(self, field: bytes, change: Any, *, want_total: bool = False, local: bool = False) -> WriteGroup:
        """Put one write into a group of its own, so that a refusal concerns nobody else."""
        group = self._new_group(want_totals=want_total, solo=True)
        group.add(field, change)
        if local:
            group.add_local(field, change)
        with self._lock:
            self._waiting.put_last(group)
        return group

    def withdraw(self, group: WriteGroup, writes: Iterable[tuple[bytes, Any, int]]) -> bool:
        """Take writes of a group back (field, change, place) that were certainly never sent; False, and nothing is
        taken back, where they may have been.
        """
        with self._lock:
            if group.resolved or group.executed_maybe or group is self._flying or group.is_firm or group.is_replay:
                return False
            for field, change, place in writes:
                if field not in group.refused:
                    group.remove(field, change, place)
            if group.is_empty and not group.sleepers:
                self._waiting.discard(group)
            return True

    def give_up(self, group: WriteGroup, field: bytes, change: Any) -> None:
        """Its caller was told that the outcome is not known, and waits no more: the lane settles it alone."""
        with self._lock:
            if not group.resolved and field not in group.refused:
                group.add_local(field, change)

    # On the way

    def take(self) -> WriteGroup | None:
        """The next group, with its sequence number, or None while one flies, none waits or the ring is full."""
        with self._lock:
            while self._flying is None and self._waiting:
                if not self.ring.make_room():
                    self.hindrance = self.ring.full_error()
                    return None
                group = self._waiting.take_first()
                if group.is_empty:
                    self._end_unsent(group)
                    continue
                self._sequence += 1
                group.sequence = self._sequence
                group.incarnation = self.incarnation
                self._flying = group
                return group
            return None

    def _end_unsent(self, group: WriteGroup) -> None:
        """Nothing of the group is left: it was taken back, or has been written over since. Who waits for the database
        to have it waits for what has been, which may be in a lane that is not settled yet.
        """
        if group.watched and self.old:
            self._superseded.append(group)
        elif group.watched:
            self.ring.follow(group)
        self._resolve(group)

    def wake_next_leader(self) -> bool:
        """Wake one caller of the next group, which then takes it; False where nobody sleeps there."""
        with self._lock:
            if self._flying is not None or not self._waiting:
                return True
            sleepers = self._waiting.first.sleepers
            if not sleepers:
                return False
            sleepers.pop()()
            return True

    @property
    def is_idle(self) -> bool:
        """Nothing waits and nothing flies."""
        return not self._waiting and self._flying is None

    @property
    def unsent_groups(self) -> int:
        """Groups that have no answer yet."""
        return len(self._waiting) + (self._flying is not None)

    def depart(self, group: WriteGroup) -> Flight | None:
        """Begin a try of the group that ``take`` or ``resume`` gave; None where it is not to be sent any more."""
        with self._lock:
            if self._flying is not group:
                return None
            self._flight = Flight(group, self.incarnation, group.sequence, group.executed_maybe)
            group.executed_maybe = True  # until an answer says otherwise, whatever interrupts the asking
            return self._flight

    def not_executed(self, flight: Flight) -> None:
        """This try changed nothing in the cache; what becomes of the group is decided next."""
        with self._lock:
            if self._flight is flight:
                flight.group.executed_maybe = flight.tried_before
            elif not flight.tried_before and self._leave_old_lane(flight):
                self._send_first(flight.group)

    def _land(self, flight: Flight) -> bool:
        """The flight is over; False where it was not the lane's present one."""
        if self._flight is not flight:
            return False
        self._flying = self._flight = None
        self._abandoned = False
        return True

    def _old_lane_of(self, flight: Flight) -> OldLane | None:
        """Where the group is after the lane moved on during its flight; None once that is settled."""
        for old in self.old:
            if old.incarnation == flight.incarnation and any(group is flight.group for group in old.groups):
                return None if flight.group.resolved else old
        return None

    def _leave_old_lane(self, flight: Flight) -> bool:
        """Take a group that was not written there, and never will be, out of its old lane.

        It comes after what was written since that lane ended, so that only what is still to be written stays in it.
        """
        old = self._old_lane_of(flight)
        if old is None:
            return False
        self.settlements += 1
        old.groups = [group for group in old.groups if group is not flight.group]
        self.ring.old_groups -= 1
        self._written_since(old).rewrite(flight.group)
        if not old.groups:
            self._forget_old(old)
        return True

    def _forget_old(self, old: OldLane) -> None:
        index = self.old.index(old)
        if index:
            self.old[index - 1].since.follow_with(old.since)
        self.old.remove(old)
        if not self.old:
            self._waiting.put_last(*self._superseded)
            self._superseded.clear()

    def _send_first(self, group: WriteGroup) -> None:
        group.executed_maybe = False
        group.sequence = 0
        self._waiting.put_first([group])

    def written(self, flight: Flight, reply: Written) -> None:
        """The cache has the group."""
        group = flight.group
        with self._lock:
            is_present, old = self._land(flight), self._old_lane_of(flight)
            if not is_present and old is None:
                return
            self.hindrance = None
            group.birth = reply.birth
            group.fields_open = reply.fields
            group.written(reply.totals)
            before = self.old if old is None else self.old[: self.old.index(old)]
            if before:
                before[-1].since.note(group)
            self.ring.keep(group, of_old_lane=not is_present)
            if is_present:
                self.ring.confirm(reply.confirmed)
            self._resolve(group)

    def refused(self, flight: Flight, reply: Refused) -> None:
        """The cache took nothing of the group; what was not refused is sent again under a new number."""
        group = flight.group
        with self._lock:
            if self._flight is not flight and self._old_lane_of(flight) is None:
                return
            self.hindrance = None
            for index, code in reply.codes.items():
                group.refuse(index, code)
            group.drop_refused()
            if self._land(flight):
                self.ring.confirm(reply.confirmed)
            else:
                self._leave_old_lane(flight)
            for name, change, code in group.take_refused_local():
                self._refuse_local(group, name, change, code)
            group.executed_maybe = False
            if not group.is_empty:
                self._waiting.put_first([group])
                group.wake_all()
            else:
                self._resolve(group)

    def _refuse_local(self, group: WriteGroup, name: bytes, change: Any, code: str) -> None:
        """Nobody waits for this part of the group: try it alone, and count it where even that is refused.

        Refused as MISSING, it needs nothing but to be written without a total.
        """
        if group.solo and code != "MISSING":
            self.lost_local_writes += 1
            return
        alone = self._new_group(solo=True)
        alone.add(name, change)
        alone.add_local(name, change)
        self._waiting.put_last(alone)

    def put_back(self, flight: Flight, hindrance: WriteBehindError) -> None:
        """This try was certainly not executed. Was no other, the group can be sent later under the same number."""
        group = flight.group
        with self._lock:
            self.hindrance = hindrance
            if flight.tried_before:
                if self._flight is flight:
                    self._abandon(group)
            elif self._land_unexecuted(flight):
                self._send_first(group)

    def _land_unexecuted(self, flight: Flight) -> bool:
        """The flight is over and its group was not written; False where settling has decided already."""
        if not self._land(flight):
            return self._leave_old_lane(flight)
        self._sequence -= 1  # the cache has not seen it: without the number the next group would leave a gap
        return True

    def keep_flying(self, flight: Flight, hindrance: WriteBehindError) -> None:
        """The group may have been executed: it is sent again under its number until there is an answer."""
        with self._lock:
            self.hindrance = hindrance
            if self._flight is flight:
                self._abandon(flight.group)

    def abandon(self, group: WriteGroup) -> None:
        """Whoever carried the group was interrupted: ``resume`` gives it to another."""
        with self._lock:
            self._abandon(group)

    def _abandon(self, group: WriteGroup) -> None:
        if self._flying is group:
            self._flight = None
            self._abandoned = True

    def resume(self) -> WriteGroup | None:
        """The group that flies without anybody waiting for its answer, else what ``take`` gives."""
        with self._lock:
            if self._abandoned and self._flying is not None:
                self._abandoned = False
                return self._flying
        return self.take()

    def fail(self, flight: Flight, error: Exception) -> None:
        """The group, which no try of was executed, cannot be written; its callers are told."""
        group = flight.group
        with self._lock:
            if not self._land_unexecuted(flight):
                return
            group.error = error
            self.lost_local_writes += group.local_writes
            self._resolve(group)

    def _resolve(self, group: WriteGroup) -> None:
        group.resolved = True
        group.wake_all()

    # Confirmation and the ring

    def confirm(self, sequence: int, incarnation: str) -> None:
        """The database has this lane up to ``sequence``."""
        with self._lock:
            if incarnation == self.incarnation:
                self.ring.confirm(sequence)

    @property
    def unsettled(self) -> bool:
        """Whether an old lane's end is not known yet."""
        return bool(self.old)

    @property
    def has_room_for_local_writes(self) -> bool:
        """Whether a write that nobody waits for may join: while the cache is away, or the ring is full, what
        waits must not grow without bound.
        """
        return len(self._waiting) < LOCAL_GROUPS

    def has_unsent_acknowledged_writes(self) -> bool:
        """Whether a read must wait to see this process's own writes: local ones, and those written again."""
        with self._lock:
            groups = (*self._waiting, self._flying) if self._flying else tuple(self._waiting)
            return any(group.local_writes or group.is_replay for group in groups)

    def last_unsent_local(self) -> WriteGroup | None:
        """The youngest group that is not yet answered and has writes that nobody waits for."""
        with self._lock:
            groups = (*self._waiting, self._flying) if self._flying else tuple(self._waiting)
            return next((group for group in reversed(groups) if group.local_writes), None)

    def last_unsent(self) -> WriteGroup | None:
        """The youngest group that is not yet answered."""
        with self._lock:
            return self._waiting.last if self._waiting else self._flying

    # Incarnations

    def has_left(self, incarnation: str) -> bool:
        """Whether this lane was in an incarnation before the present one: its numbers there are used up."""
        with self._lock:
            return incarnation in self._met and incarnation != self.incarnation

    def move_to(self, incarnation: str, *, leaving: str) -> None:
        """Go on in a new incarnation; what is unconfirmed becomes an old lane.

        ``leaving`` is the lane's incarnation when the cache was asked: an answer that comes after the lane
        has moved is old. A lane never goes back to an incarnation that it has left.
        A group that the cache refused at its first try for being of the old incarnation was certainly not
        written; it simply goes first in the new lane.
        """
        with self._lock:
            if leaving != self.incarnation or incarnation in self._met:
                return
            self._met.add(incarnation)
            groups = self.ring.hand_over()
            flying, self._flying, self._flight = self._flying, None, None
            self._abandoned = False
            if flying is not None:
                if flying.executed_maybe:
                    groups.append(flying)
                else:
                    flying.sequence = 0
                    self._waiting.put_first([flying])
            for old in self.old:
                old.met_since.append(incarnation)
            if groups:
                self.old.append(OldLane(self.incarnation, groups, WrittenSince(self._rules), [incarnation]))
                self.ring.old_groups += len(groups)
            self.incarnation = incarnation
            self._sequence = 0

    def settled(self, old: OldLane, mark: int) -> tuple[int, int]:
        """The database's mark for an old lane is final: groups up to it are done, the rest is written again.

        Returns how many groups were confirmed and how many are written again.
        """
        with self._lock:
            if old not in self.old:
                return 0, 0  # another thread was first
            self.settlements += 1
            since = self._written_since(old)
            self._forget_old(old)
            self.ring.old_groups -= len(old.groups)
            again: list[WriteGroup] = []
            for group in old.groups:
                if group.resolved:
                    self.ring.size_bytes -= group.size_bytes
                if group.sequence <= mark:
                    group.confirmed = True
                    if not group.resolved:
                        group.totals_unknown = True
                        self._resolve(group)
                else:
                    again.append(group)
            self._waiting.put_first(merged(again, since, self._new_group))
            return len(old.groups) - len(again), len(again)

    def _written_since(self, old: OldLane) -> WrittenSince:
        """What this producer has written after an old lane's groups, or may have, as the cache has not answered yet.

        Such groups must reach the cache now, whatever becomes of their callers. What waits is none of them: it is
        sent after what is written again, and may be taken back until then.
        """
        since = WrittenSince(self._rules)
        if self._rules is None:
            return since
        since.follow_with(old.since)
        for later in self.old[self.old.index(old) + 1 :]:
            for group in later.groups:
                if not group.resolved:
                    since.note(group)
                    group.is_firm = True
            since.follow_with(later.since)
        if self._flying is not None:
            since.note(self._flying)
            self._flying.is_firm = True
        return since


def refusal(code: str, mapping: str, key: object) -> ValueRefused:
    """The error for a code of the cache's."""
    if code == "RANGE":
        return SumOutOfRange(
            f"the sum for the key {key!r} of {mapping!r} would leave the range of 64-bit integers",
            fix="Nothing was written. Flush first, or write smaller amounts.",
        )
    return ValueRefused(f"the cache refused the amount for the key {key!r} of {mapping!r}", why=code)
