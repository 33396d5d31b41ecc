"""The groups of a lane that wait to be sent, in their order. Not thread-safe: a lane uses them under its own lock."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from typing import Any, Protocol

from writebehind.client.groups import WriteGroup


class NewGroup(Protocol):
    """Makes an empty group of the lane's kind."""

    def __call__(self, *, want_totals: bool = False, solo: bool = False) -> WriteGroup: ...


class WaitingGroups:
    """The queue, and the two groups in it that writes may still join: one of plain writes, one of those that ask for
    their totals.
    """

    def __init__(self, new_group: NewGroup) -> None:
        self._new_group = new_group
        self._groups: deque[WriteGroup] = deque()
        self._plain: WriteGroup | None = None
        self._totals: WriteGroup | None = None

    def __len__(self) -> int:
        return len(self._groups)

    def __iter__(self) -> Iterator[WriteGroup]:
        return iter(self._groups)

    @property
    def first(self) -> WriteGroup:
        return self._groups[0]

    @property
    def last(self) -> WriteGroup:
        return self._groups[-1]

    def accepting(self, field: bytes, change: Any, *, want_total: bool = False) -> WriteGroup:
        """The group that a write joins: the one that is being gathered, or a new one where that is full."""
        group = self._totals if want_total else self._plain
        if group is None or not group.accepts(field, change):
            group = self._new_group(want_totals=want_total)
            self._groups.append(group)
            if want_total:
                self._totals = group
            else:
                self._plain = group
        return group

    def put_last(self, *groups: WriteGroup) -> None:
        self._groups.extend(groups)

    def put_first(self, groups: Iterable[WriteGroup]) -> None:
        """Groups that are older than all that wait, in their order."""
        self._groups.extendleft(reversed(list(groups)))

    def take_first(self) -> WriteGroup:
        """The next group to be sent; nothing joins it any more."""
        group = self._groups.popleft()
        self._close(group)
        return group

    def discard(self, group: WriteGroup) -> None:
        """A group of which everything was taken back."""
        if group in self._groups:
            self._groups.remove(group)
            self._close(group)

    def _close(self, group: WriteGroup) -> None:
        if group is self._plain:
            self._plain = None
        if group is self._totals:
            self._totals = None
