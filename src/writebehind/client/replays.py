"""What is written again after a rollback of the cache, in as few groups as hold it."""

from __future__ import annotations

from collections.abc import Iterable

from writebehind.client.groups import WriteGroup


def merged(groups: Iterable[WriteGroup]) -> Iterable[WriteGroup]:
    """The groups to send again; those that callers still wait for stay their own, the others are merged by key."""
    replay: WriteGroup | None = None
    for group in groups:
        group.sequence = 0
        group.executed_maybe = False
        if not group.resolved or group.watched:
            # Its totals are known, if it is only watched: a replay must not be refused for one.
            group.want_totals = group.want_totals and not group.resolved
            group.is_replay = group.resolved
            group.resolved = False
            yield group
            continue
        for name, units in group.amounts.items():
            if replay is None or not replay.accepts(name, units):
                if replay is not None:
                    yield replay
                replay = WriteGroup()
                replay.is_replay = True
            replay.add(name, units)
    if replay is not None:
        yield replay
