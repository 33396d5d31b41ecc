"""What is written again after a rollback of the cache, in as few groups as hold it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from writebehind.changes import Rules
from writebehind.client.groups import WriteGroup


class WrittenSince:
    """What a producer has written since its lane left an incarnation, where that decides what is written again.

    Sums and event logs do not ask: ``rules`` is None for them.
    """

    def __init__(self, rules: Rules[Any] | None) -> None:
        self.rules = rules
        self._changes: dict[bytes, Any] = {}

    def note(self, group: WriteGroup) -> None:
        """This group was written later than what may be written again."""
        if self.rules is None:
            return
        for field, change in group.items():
            before = self._changes.get(field)
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


def merged(
    groups: Iterable[WriteGroup], since: WrittenSince, new_group: Callable[[], WriteGroup]
) -> Iterable[WriteGroup]:
    """The groups to send again; those that callers still wait for stay their own, the others are merged.

    A group of which nothing is left is given too, empty: its callers are to be told.
    """
    replay: WriteGroup | None = None
    for group in groups:
        left = since.left_of(group)
        group.sequence = 0
        group.executed_maybe = False
        if not group.resolved or group.watched:
            # Its totals are known, if it is only watched: a replay must not be refused for one.
            group.want_totals = group.want_totals and not group.resolved
            group.is_replay = group.resolved
            group.resolved = False
            if since.rules is not None:
                group.replace(left)
            if replay is not None:  # what is older goes first
                yield replay
                replay = None
            yield group
            continue
        for field, change in left:
            if replay is None or not replay.accepts(field, change):
                if replay is not None:
                    yield replay
                replay = new_group()
                replay.is_replay = True
            replay.add(field, change)
    if replay is not None:
        yield replay
