"""Groups of changes of records and scores: merged by key, by the kind's rules, in the order of the calls."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from writebehind.cache.calls import Argument
from writebehind.changes import Rules
from writebehind.client.groups import ENTRY_SIZE_BYTES, GROUP_FIELDS, GROUP_SIZE_BYTES, NOTHING, WriteGroup


class ChangeGroup(WriteGroup):
    """Changes by field, each in the order of its writes until the group is written, merged after that.

    ``arguments`` makes of field and encoded change what the cache's function is sent.
    """

    __slots__ = ("_arguments", "_changes", "_local", "_rules", "_text_size_bytes")

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
        self._changes: dict[bytes, list[Any]] = {}
        self._local: dict[bytes, list[Any]] = NOTHING
        self._text_size_bytes = 0

    @property
    def is_empty(self) -> bool:
        return not self._changes

    def accepts(self, field: bytes, change: Any) -> bool:
        if field not in self._changes and len(self._changes) >= GROUP_FIELDS:
            return False
        return not self._changes or self._text_size_bytes + len(self._rules.encode(change)) <= GROUP_SIZE_BYTES

    def add(self, field: bytes, change: Any) -> int:
        size_bytes = len(self._rules.encode(change))
        self._text_size_bytes += size_bytes
        self.size_bytes += size_bytes
        changes = self._changes.get(field)
        if changes is None:
            changes = self._changes[field] = []
            self.size_bytes += ENTRY_SIZE_BYTES + len(field)
        changes.append(change)
        self.writes += 1
        return len(changes) - 1

    def remove(self, field: bytes, change: Any, place: int) -> None:  # noqa: ARG002  # others need the change
        self.writes -= 1
        changes = self._changes[field]
        changes[place] = None  # the places of the others stay
        if not any(each is not None for each in changes):
            del self._changes[field]

    def items(self) -> Iterable[tuple[bytes, Any]]:
        return [(field, self._merged(changes)) for field, changes in self._changes.items()]

    def _merged(self, changes: Sequence[Any]) -> Any:
        merged = None
        for change in changes:
            if change is not None:
                merged = change if merged is None else self._rules.then(merged, change)
        return merged

    def replace(self, changes: Sequence[tuple[bytes, Any]]) -> None:
        self._changes = {field: [change] for field, change in changes}

    def flat(self) -> list[Argument]:
        return [part for field, change in self.items() for part in self._arguments(field, self._rules.encode(change))]

    def written(self, totals: Sequence[int]) -> None:  # noqa: ARG002  # only counters have totals
        self.replace(list(self.items()))

    @property
    def local_writes(self) -> int:
        return len(self._local)

    def add_local(self, field: bytes, change: Any) -> None:
        if self._local is NOTHING:
            self._local = {}
        self._local.setdefault(field, []).append(change)

    def take_refused_local(self) -> list[tuple[bytes, Any, str]]:
        taken = [field for field in self._local if field in self.refused]
        return [(field, self._merged(self._local.pop(field)), self.refused[field]) for field in taken]

    def drop_refused(self) -> None:
        for field in self.refused:
            self._changes.pop(field, None)
