"""The ring: what a producer keeps of its writes until the database has confirmed them, bounded.

Groups of the present lane are in order of their sequence numbers. Groups of old lanes, whose end is not
known yet, are kept by ``lane.OldLane`` and counted here, for they occupy the same memory. Not thread-safe:
a lane uses it under its own lock.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Literal

from writebehind.client.groups import WriteGroup
from writebehind.errors import BufferFull


@dataclass(frozen=True, slots=True)
class RingBounds:
    """How much a producer keeps for replay, per partition, and what a write meets beyond it."""

    groups: int
    size_bytes: int
    when_full: Literal["block", "refuse", "release"]


class Ring:
    """One lane's ring. ``partition`` names it in errors."""

    def __init__(self, partition: str, bounds: RingBounds) -> None:
        self._partition = partition
        self._bounds = bounds
        self._groups: deque[WriteGroup] = deque()
        self.old_groups = 0
        """How many groups old lanes keep."""
        self.size_bytes = 0
        """What all of them occupy in this process, about."""
        self.released_groups = 0
        """How many groups ``release`` let go."""

    @property
    def groups(self) -> int:
        """Groups kept for replay, those of old lanes included."""
        return len(self._groups) + self.old_groups

    @property
    def is_full(self) -> bool:
        return self.groups >= self._bounds.groups or self.size_bytes >= self._bounds.size_bytes

    @property
    def is_half_full(self) -> bool:
        """Time to ask for a flush."""
        return self.groups * 2 >= self._bounds.groups or self.size_bytes * 2 >= self._bounds.size_bytes

    @property
    def refuses(self) -> bool:
        """Whether a new write is to be refused at once."""
        return self._bounds.when_full == "refuse" and self.is_full

    def keep(self, group: WriteGroup, *, of_old_lane: bool = False) -> None:
        """Keep a group that the cache has; one of an old lane is kept there already, and only counted."""
        self.size_bytes += group.size_bytes
        if not of_old_lane:
            self._groups.append(group)

    def follow(self, group: WriteGroup) -> None:
        """Nothing of this group is left to be sent: it is confirmed when everything is that was sent before."""
        if self._groups:
            group.sequence = self._groups[-1].sequence
            self.keep(group)
        else:
            group.confirmed = True

    def confirm(self, sequence: int) -> None:
        """The database has the present lane up to ``sequence``."""
        while self._groups and self._groups[0].sequence <= sequence:
            group = self._groups.popleft()
            group.confirmed = True
            self.size_bytes -= group.size_bytes

    def make_room(self) -> bool:
        """Whether one more group may be sent; ``release`` lets the oldest fall back to its level without replay."""
        while self.is_full:
            if self._bounds.when_full != "release" or not self._groups:
                return False
            self.size_bytes -= self._groups.popleft().size_bytes
            self.released_groups += 1
        return True

    def hand_over(self) -> list[WriteGroup]:
        """The present lane has ended: its groups, for an old lane to keep. Their size stays counted here."""
        groups = list(self._groups)
        self._groups.clear()
        return groups

    def full_error(self) -> BufferFull:
        """What a write is told that finds the ring full."""
        return BufferFull(
            f"the ring of {self._partition} is full",
            why=f"{self.groups} groups ({self.size_bytes} bytes) are not yet in the database",
            fix="Check that a worker runs and the database accepts its flushes; or raise ring_groups and ring_bytes.",
        )
