"""Groups of changes of records and scores: merged by key, by the kind's rules, in the order of the calls."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import reduce
from typing import Any

from writebehind.cache.calls import Argument
from writebehind.changes import Rules
from writebehind.client.groups import ENTRY_SIZE_BYTES, GROUP_FIELDS, GROUP_SIZE_BYTES, NOTHING, WriteGroup


class ChangeGroup(WriteGroup):
    """Changes by field, merged; and each by itself, in the order of its writes, until the group is written.

    ``arguments`` makes of field and encoded change what the cache's function is sent.
    """

    __slots__ = ("_arguments", "_local", "_merged", "_parts", "_rules", "_text_size_bytes")

    def __init__(
        self,
        rules: Rules[Any],
        arguments: Callable[[bytes, str], Sequence[Argument]],
        *,
        want_totals: bool = False,
        solo: bool = False,
    ) -> None:
        super().__init__(want_totals=want_totals, solo=solo)
        self._rules = rules
        self._arguments = arguments
        self._merged: dict[bytes, Any] = {}
        self._parts: dict[bytes, list[Any]] = {}
        self._local: dict[bytes, list[Any]] = NOTHING
        self._text_size_bytes = 0

    @property
    def is_empty(self) -> bool:
        return not self._merged

    def accepts(self, field: bytes, change: Any) -> bool:
        """Whether one more write fits. Where versions decide, one of a field does: the cache judges each by its own."""
        if field in self._merged and not self._rules.merges_in_groups:
            return False
        before = self._merged.get(field)
        if before is None and len(self._merged) >= GROUP_FIELDS:
            return False
        if before is not None and not self._rules.is_exact(self._rules.then(before, change)):
            return False
        return not self._merged or self._text_size_bytes + len(self._rules.encode(change)) <= GROUP_SIZE_BYTES

    def add(self, field: bytes, change: Any) -> int:
        size_bytes = len(self._rules.encode(change))
        self._text_size_bytes += size_bytes
        self.size_bytes += size_bytes
        if field in self._merged:
            self._merged[field] = self._rules.then(self._merged[field], change)
        else:
            self._merged[field] = change
            self.size_bytes += ENTRY_SIZE_BYTES + len(field)
        parts = self._parts.setdefault(field, [])
        parts.append(change)
        self.writes += 1
        return len(parts) - 1

    def remove(self, field: bytes, change: Any, place: int) -> None:  # noqa: ARG002  # others need the change
        self.writes -= 1
        parts = self._parts[field]
        parts[place] = None  # the places of the others stay
        left = [part for part in parts if part is not None]
        if left:
            self._merged[field] = reduce(self._rules.then, left)
        else:
            del self._merged[field], self._parts[field]

    def items(self) -> Iterable[tuple[bytes, Any]]:
        return self._merged.items()

    def replace(self, changes: Sequence[tuple[bytes, Any]]) -> None:
        self._merged = dict(changes)
        self._parts = NOTHING

    def flat(self) -> list[Argument]:
        return [part for field, change in self.items() for part in self._arguments(field, self._rules.encode(change))]

    def written(self, totals: Sequence[int]) -> None:  # noqa: ARG002  # only counters have totals
        self._parts = NOTHING

    @property
    def local_writes(self) -> int:
        return len(self._local)

    def add_local(self, field: bytes, change: Any) -> None:
        if self._local is NOTHING:
            self._local = {}
        self._local.setdefault(field, []).append(change)

    def take_refused_local(self) -> list[tuple[bytes, Any, str]]:
        taken = [field for field in self._local if field in self.refused]
        return [(field, reduce(self._rules.then, self._local.pop(field)), self.refused[field]) for field in taken]

    def drop_refused(self) -> None:
        for field in self.refused:
            self._merged.pop(field, None)
            self._parts.pop(field, None)
