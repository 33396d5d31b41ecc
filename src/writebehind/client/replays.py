"""What is written again after a rollback of the cache, in as few groups as hold it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from writebehind.changes import Rules
from writebehind.client.groups import WriteGroup


class WrittenSince:
    """What a producer has written after a lane's end, where that decides what is written again.

    Sums and event logs do not ask: ``rules`` is None for them.
    """

    def __init__(self, rules: Rules[Any] | None) -> None:
        self.rules = rules
        self._changes: dict[bytes, Any] = {}

    def note(self, group: WriteGroup) -> None:
        """This group was written later than what may be written again."""
        if self.rules is None:
            return
        self._note(group.items())

    def follow_with(self, other: WrittenSince) -> None:
        """All that the other one has was written later still."""
        self._note(other._changes.items())

    def _note(self, changes: Iterable[tuple[bytes, Any]]) -> None:
        for field, change in changes:
            before = self._changes.get(field)
            assert self.rules is not None, "nothing is noted without rules"
            self._changes[field] = change if before is None else self.rules.then(before, change)

    def left_of(self, group: WriteGroup) -> list[tuple[bytes, Any]]:
        """What of a group is still to be written."""
        if self.rules is None:
            return list(group.items())
        left = []
        changes: Mapping[bytes, Any] = self._changes
        for field, change in group.items():
            since = changes.get(field)
            rest = change if since is None else self.rules.before(change, since)
            if rest is not None:
                left.append((field, rest))
        return left

    def rewrite(self, group: WriteGroup) -> None:
        """Leave in a group what is still to be written of it, without its callers' parts if that is less."""
        if self.rules is None:
            return
        left = self.left_of(group)
        if left != list(group.items()):
            group.replace(left)
            group.is_firm = True


def merged(
    groups: Iterable[WriteGroup], since: WrittenSince, new_group: Callable[[], WriteGroup]
) -> Iterable[WriteGroup]:
    """The groups to send again; those that callers still wait for stay their own, the others are merged.

    A group of which nothing is left is given too, empty: its callers are to be told.
    """
    replay: WriteGroup | None = None
    for group in groups:
        group.sequence = 0
        group.executed_maybe = False
        if not group.resolved or group.watched:
            # Its totals are known, if it is only watched: a replay must not be refused for one.
            group.want_totals = group.want_totals and not group.resolved
            group.is_replay = group.resolved
            group.resolved = False
            since.rewrite(group)
            if replay is not None:  # what is older goes first
                yield replay
                replay = None
            yield group
            continue
        for field, change in since.left_of(group):
            if replay is None or not replay.accepts(field, change):
                if replay is not None:
                    yield replay
                replay = new_group()
                replay.is_replay = True
            replay.add(field, change)
    if replay is not None:
        yield replay
