"""A group: the writes that share one round trip, merged by key.

Two kinds never mix: plain writes, which must never wait for a read of the database, and writes that ask
for their totals, which may be refused as MISSING until the total has been loaded.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import accumulate
from typing import Any

from writebehind.values import INT64_MAX, INT64_MIN

GROUP_FIELDS = 1000
"""The most keys in one group: bounds how long one group occupies the server."""

_GROUP_SIZE_BYTES = 500
_ENTRY_SIZE_BYTES = 150
"""What a group and an entry of it occupy in this process, about: a dict entry, its bytes and int."""

_NOTHING: dict[bytes, Any] = {}
"""Shared by all groups that refused nothing, hold no totals and so on: a ring may keep very many groups."""


class WriteGroup:
    """Amounts by field, and the callers that wait for them.

    ``sequence`` is 0 until the group is sent. ``refused`` holds, by field, why the cache did not take
    its amount; the rest of the group is then sent again without it. ``confirmed`` is set when the
    database has the group; ``watched`` groups have a caller that waits for it, and are never merged.
    ``repeats`` counts, by field, the writes after the first. ``is_replay``: it is written again after a
    rollback, its callers had their answer.
    """

    __slots__ = (
        "amounts",
        "birth",
        "confirmed",
        "error",
        "executed_maybe",
        "fields_open",
        "incarnation",
        "is_replay",
        "local",
        "parts",
        "refused",
        "repeats",
        "resolved",
        "sequence",
        "size_bytes",
        "sleepers",
        "solo",
        "totals",
        "totals_unknown",
        "want_totals",
        "watched",
        "writes",
    )

    def __init__(self, *, want_totals: bool = False, solo: bool = False) -> None:
        self.amounts: dict[bytes, int] = {}
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
        self.birth = ""
        self.fields_open = 0
        self.size_bytes = _GROUP_SIZE_BYTES
        self.error: Exception | None = None
        self.refused: dict[bytes, str] = _NOTHING
        self.totals: dict[bytes, list[int]] = _NOTHING
        self.parts: dict[bytes, list[int]] = _NOTHING
        self.local: dict[bytes, int] = _NOTHING
        self.repeats: dict[bytes, int] = _NOTHING
        self.sleepers: list[Callable[[], None]] = []

    def accepts(self, field: bytes, units: int) -> bool:
        """Whether one more write fits: neither too many keys nor a sum beyond 64 bits."""
        before = self.amounts.get(field)
        if before is None:
            return len(self.amounts) < GROUP_FIELDS
        return INT64_MIN <= before + units <= INT64_MAX

    def add(self, field: bytes, units: int) -> int:
        """Merge one write; returns its place among the group's writes to this field (totals only)."""
        before = self.amounts.get(field)
        if before is None:
            self.amounts[field] = units
            self.size_bytes += _ENTRY_SIZE_BYTES + len(field)
        else:
            self.amounts[field] = before + units
            if self.repeats is _NOTHING:
                self.repeats = {}
            self.repeats[field] = self.repeats.get(field, 0) + 1
        self.writes += 1
        if not self.want_totals:
            return 0
        if self.parts is _NOTHING:
            self.parts = {}
        parts = self.parts.setdefault(field, [])
        parts.append(units)
        return len(parts) - 1

    def add_local(self, field: bytes, units: int) -> None:
        """Remember that nobody waits for this part of the group."""
        if self.local is _NOTHING:
            self.local = {}
        self.local[field] = self.local.get(field, 0) + units

    def refuse(self, field: bytes, code: str) -> None:
        """The cache did not take this field's amount; it leaves the group."""
        if self.refused is _NOTHING:
            self.refused = {}
        self.refused[field] = code
        del self.amounts[field]

    def remove(self, field: bytes, units: int, place: int) -> None:
        """Take a write back, which is possible until the group was first sent."""
        self.writes -= 1
        if not self.repeats.get(field):
            del self.amounts[field]  # nobody else wrote to this key
            self.parts.pop(field, None)
            return
        self.repeats[field] -= 1
        self.amounts[field] -= units
        if self.want_totals:
            self.parts[field][place] = 0

    def forget_repeats(self) -> None:
        """Nothing can be taken back any more: a ring may keep very many groups."""
        self.repeats = _NOTHING

    def set_totals(self, totals: Sequence[int]) -> None:
        """Work out each caller's total from the totals after the whole group, in the order of ``amounts``."""
        self.totals = {}
        for (field, amount), total in zip(self.amounts.items(), totals, strict=True):
            running = accumulate(self.parts[field], initial=total - amount)
            self.totals[field] = list(running)[1:]

    def total_of(self, field: bytes, place: int) -> int:
        """The exact total right after the write at ``place``, as if the group's writes came one by one."""
        return self.totals[field][place]

    def flat(self) -> list[bytes | str | int]:
        """field, amount, field, amount, ..."""
        return [part for entry in self.amounts.items() for part in entry]

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
