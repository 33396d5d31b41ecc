"""One try to bring a group into the cache, and what a lane leaves behind when its incarnation ends."""

from __future__ import annotations

from dataclasses import dataclass, field

from writebehind.client.groups import WriteGroup
from writebehind.client.replays import WrittenSince


@dataclass(slots=True, eq=False)
class OldLane:
    """What a lane had unconfirmed when its incarnation ended.

    ``met_since`` are the incarnations met after it, in order: once a fence of one of them is applied, the
    database's mark for this lane is final. ``since`` is what the cache had of this producer's groups from this lane's
    end to that of the next one in ``Lane.old``.
    """

    incarnation: str
    groups: list[WriteGroup]
    since: WrittenSince
    met_since: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True, eq=False)
class Flight:
    """One try to bring a group into the cache, under the incarnation and the number that the lane had then.

    ``tried_before``: an earlier try under the same number may have been executed. A flight may end after
    the lane has moved on; its group is part of an old lane then, where settling decides, unless the answer does.
    """

    group: WriteGroup
    incarnation: str
    sequence: int
    tried_before: bool
