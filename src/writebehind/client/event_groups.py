"""Groups of events: every one is kept, in the order of the calls."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from writebehind.cache.calls import Argument
from writebehind.client.groups import ENTRY_SIZE_BYTES, GROUP_FIELDS, GROUP_SIZE_BYTES, WriteGroup

NO_FIELD = b""
"""Events have no keys."""


class EventGroup(WriteGroup):
    """Events as their texts; one that was taken back leaves a None in its place."""

    __slots__ = ("_events", "_left", "_local_writes", "_text_size_bytes")

    def __init__(self, *, want_totals: bool = False, solo: bool = False) -> None:
        super().__init__(want_totals=want_totals, solo=solo)
        self._events: list[str | None] = []
        self._left = 0
        self._local_writes = 0
        self._text_size_bytes = 0

    @property
    def is_empty(self) -> bool:
        return not self._left

    def accepts(self, field: bytes, change: str) -> bool:  # noqa: ARG002  # others have fields
        if len(self._events) >= GROUP_FIELDS:
            return False
        return not self._events or self._text_size_bytes + len(change) <= GROUP_SIZE_BYTES

    def add(self, field: bytes, change: str) -> int:  # noqa: ARG002  # others have fields
        self._events.append(change)
        self._left += 1
        self._text_size_bytes += len(change)
        self.size_bytes += ENTRY_SIZE_BYTES + len(change)
        self.writes += 1
        return len(self._events) - 1

    def remove(self, field: bytes, change: str, place: int) -> None:  # noqa: ARG002  # the place says all
        self.writes -= 1
        self._left -= 1
        self._events[place] = None

    def items(self) -> Iterable[tuple[bytes, str]]:
        return [(NO_FIELD, event) for event in self._events if event is not None]

    def replace(self, changes: Sequence[tuple[bytes, str]]) -> None:
        self._events = [event for _, event in changes]
        self._left = len(self._events)

    def flat(self) -> list[Argument]:
        return [event for event in self._events if event is not None]

    def written(self, totals: Sequence[int]) -> None:
        """Nothing of it can be left out: it may have to be written again."""

    @property
    def local_writes(self) -> int:
        return self._local_writes

    def add_local(self, field: bytes, change: str) -> None:  # noqa: ARG002  # the cache refuses no event
        self._local_writes += 1

    def take_refused_local(self) -> list[tuple[bytes, str, str]]:
        return []

    def drop_refused(self) -> None:
        """The cache refuses no event."""
