"""A group: the writes that share one round trip.

``WriteGroup`` is what a lane needs to know; each kind of mapping has a group of its own: counters merge amounts by key
(here), records and scores merge changes by key (``change_groups``), an event log merges nothing (``event_groups``).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from itertools import accumulate
from typing import Any

from writebehind.cache.calls import Argument
from writebehind.values import INT64_MAX, INT64_MIN

GROUP_FIELDS = 1000
"""The most keys in one group: bounds how long one group occupies the server."""
GROUP_SIZE_BYTES = 1 << 20
"""The most bytes that texts of a group have together, if it has more than one."""

EMPTY_GROUP_SIZE_BYTES = 500
ENTRY_SIZE_BYTES = 150
"""What a group and an entry of it occupy in this process, about: a dict entry, its bytes and its value."""

NOTHING: dict[bytes, Any] = {}
"""Shared by all groups that refused nothing, hold no totals and so on: a ring may keep very many groups."""


class WriteGroup(ABC):
    """The writes of one round trip, and the callers that wait for them.

    ``sequence`` is 0 until the group is sent. ``refused`` holds, by field, why the cache did not take
    its change; the rest of the group is then sent again without it. ``confirmed`` is set when the
    database has the group; ``watched`` groups have a caller that waits for it, and are never merged.
    ``is_replay``: it is written again after a rollback, its callers had their answer. ``is_firm``: something else is
    not written again because this will be, or it was rewritten itself: nothing of it can be taken back any more, and it
    must not fail.
    """

    __slots__ = (
        "birth",
        "confirmed",
        "error",
        "executed_maybe",
        "fields_open",
        "incarnation",
        "is_firm",
        "is_replay",
        "refused",
        "resolved",
        "sequence",
        "size_bytes",
        "sleepers",
        "solo",
        "totals_unknown",
        "want_totals",
        "watched",
        "writes",
    )

    def __init__(self, *, want_totals: bool = False, solo: bool = False) -> None:
        self.want_totals = want_totals
        self.solo = solo
        self.writes = 0
        self.sequence = 0
        self.incarnation = ""
        self.executed_maybe = False
        self.resolved = False
        self.confirmed = False
        self.totals_unknown = False
        self.watched = False
        self.is_replay = False
        self.is_firm = False
        self.birth = ""
        self.fields_open = 0
        self.size_bytes = EMPTY_GROUP_SIZE_BYTES
        self.error: Exception | None = None
        self.refused: dict[bytes, str] = NOTHING
        self.sleepers: list[Callable[[], None]] = []

    # Its content

    @property
    @abstractmethod
    def is_empty(self) -> bool:
        """Nothing is left to be sent."""

    @abstractmethod
    def accepts(self, field: bytes, change: Any) -> bool:
        """Whether one more write fits."""

    @abstractmethod
    def add(self, field: bytes, change: Any) -> int:
        """Merge one write; returns its place among the group's writes, by which it can be taken back."""

    @abstractmethod
    def remove(self, field: bytes, change: Any, place: int) -> None:
        """Take a write back, which is possible until the group was first sent."""

    @abstractmethod
    def items(self) -> Iterable[tuple[bytes, Any]]:
        """Fields and merged changes, in the order in which they are sent."""

    @abstractmethod
    def replace(self, changes: Sequence[tuple[bytes, Any]]) -> None:
        """Have these instead: what is left of it when it is written again."""

    @abstractmethod
    def flat(self) -> list[Argument]:
        """What the cache's function is sent."""

    @abstractmethod
    def written(self, totals: Sequence[int]) -> None:
        """The cache has the group: nothing can be taken back any more, and a ring may keep very many groups."""

    # Writes that nobody waits for

    @property
    @abstractmethod
    def local_writes(self) -> int:
        """How many fields or events have writes that nobody waits for."""

    @abstractmethod
    def add_local(self, field: bytes, change: Any) -> None:
        """Remember that nobody waits for this part of the group."""

    @abstractmethod
    def take_refused_local(self) -> list[tuple[bytes, Any, str]]:
        """The parts that were refused and that nobody waits for: field, change, code. They are here no more."""

    # Its callers

    def refuse(self, index: int, code: str) -> None:
        """The cache did not take the entry at this place of ``items``; ``drop_refused`` takes it out."""
        if self.refused is NOTHING:
            self.refused = {}
        field, _ = list(self.items())[index]
        self.refused[field] = code

    @abstractmethod
    def drop_refused(self) -> None:
        """Take out what was refused."""

    def add_sleeper(self, wake: Callable[[], None]) -> None:
        self.sleepers.append(wake)

    def remove_sleeper(self, wake: Callable[[], None]) -> bool:
        """The caller sleeps no more; False where it was woken already."""
        try:
            self.sleepers.remove(wake)
        except ValueError:
            return False
        return True

    def wake_all(self) -> None:
        """Tell every caller that there is news."""
        sleepers, self.sleepers = self.sleepers, []
        for wake in sleepers:
            wake()


class AmountGroup(WriteGroup):
    """Amounts by field.

    Two kinds never mix: plain writes, which must never wait for a read of the database, and writes that ask
    for their totals, which may be refused as MISSING until the total has been loaded. ``repeats`` counts, by field,
    the writes after the first.
    """

    __slots__ = ("amounts", "local", "parts", "repeats", "totals")

    def __init__(self, *, want_totals: bool = False, solo: bool = False) -> None:
        super().__init__(want_totals=want_totals, solo=solo)
        self.amounts: dict[bytes, int] = {}
        self.totals: dict[bytes, list[int]] = NOTHING
        self.parts: dict[bytes, list[int]] = NOTHING
        self.local: dict[bytes, int] = NOTHING
        self.repeats: dict[bytes, int] = NOTHING

    @property
    def is_empty(self) -> bool:
        return not self.amounts

    def accepts(self, field: bytes, change: int) -> bool:
        """Whether one more write fits: neither too many keys nor a sum beyond 64 bits."""
        before = self.amounts.get(field)
        if before is None:
            return len(self.amounts) < GROUP_FIELDS
        return INT64_MIN <= before + change <= INT64_MAX

    def add(self, field: bytes, change: int) -> int:
        """Merge one write; returns its place among the group's writes to this field (totals only)."""
        before = self.amounts.get(field)
        if before is None:
            self.amounts[field] = change
            self.size_bytes += ENTRY_SIZE_BYTES + len(field)
        else:
            self.amounts[field] = before + change
            if self.repeats is NOTHING:
                self.repeats = {}
            self.repeats[field] = self.repeats.get(field, 0) + 1
        self.writes += 1
        if not self.want_totals:
            return 0
        if self.parts is NOTHING:
            self.parts = {}
        parts = self.parts.setdefault(field, [])
        parts.append(change)
        return len(parts) - 1

    def remove(self, field: bytes, change: int, place: int) -> None:
        self.writes -= 1
        if not self.repeats.get(field):
            del self.amounts[field]  # nobody else wrote to this key
            self.parts.pop(field, None)
            return
        self.repeats[field] -= 1
        self.amounts[field] -= change
        if self.want_totals:
            self.parts[field][place] = 0

    def items(self) -> Iterable[tuple[bytes, int]]:
        return self.amounts.items()

    def replace(self, changes: Sequence[tuple[bytes, int]]) -> None:
        self.amounts = dict(changes)

    def flat(self) -> list[Argument]:
        """field, amount, field, amount, ..."""
        return [part for entry in self.amounts.items() for part in entry]

    def written(self, totals: Sequence[int]) -> None:
        self.repeats = NOTHING
        if self.want_totals and len(totals) == len(self.amounts):
            self.set_totals(totals)
        elif not self.totals:
            self.totals_unknown = True

    def set_totals(self, totals: Sequence[int]) -> None:
        """Work out each caller's total from the totals after the whole group, in the order of ``amounts``."""
        self.totals = {}
        for (field, amount), total in zip(self.amounts.items(), totals, strict=True):
            running = accumulate(self.parts[field], initial=total - amount)
            self.totals[field] = list(running)[1:]

    def total_of(self, field: bytes, place: int) -> int:
        """The exact total right after the write at ``place``, as if the group's writes came one by one."""
        return self.totals[field][place]

    @property
    def local_writes(self) -> int:
        return len(self.local)

    def add_local(self, field: bytes, change: int) -> None:
        if self.local is NOTHING:
            self.local = {}
        self.local[field] = self.local.get(field, 0) + change

    def take_refused_local(self) -> list[tuple[bytes, int, str]]:
        taken = [(field, change, self.refused[field]) for field, change in self.local.items() if field in self.refused]
        for field, _, _ in taken:
            del self.local[field]
        return taken

    def drop_refused(self) -> None:
        for field in self.refused:
            self.amounts.pop(field, None)
