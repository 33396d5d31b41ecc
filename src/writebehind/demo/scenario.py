"""The scenario: how many likes, on which videos, by how many clients, for how long."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate

VIDEOS = 10_001
"""Their ids are 1 to this number."""

VIRAL_VIDEO = 123
"""The one that everybody likes; the other 10,000 are the long tail."""

TAIL_SHARE = 0.1
"""The tail gets this much on top of the viral video's likes, spread by Zipf's law."""

TABLE = "videos"
TABLE_OF_UPDATES = "videos_updated_directly"
"""A copy of the table, for the same likes by one UPDATE each."""

_DRAWN_AT_ONCE = 1000


@dataclass(frozen=True, slots=True)
class Scenario:
    """The settings of one run. ``rate`` is the viral video's likes a second, by all clients together."""

    rate: int = 10_000
    seconds: float = 30.0
    clients: int = 64
    processes: int = 2
    flush_after_s: float = 1.0
    update_seconds: float = 4.0
    game_rate: int = 500
    """Of the second act: games a second, by all its clients together."""
    game_seconds: float = 5.0

    @property
    def total_rate(self) -> float:
        """Likes a second, the tail included."""
        return self.rate * (1 + TAIL_SHARE)

    @property
    def likes_due(self) -> int:
        """How many likes the schedule holds."""
        return round(self.total_rate * self.seconds)

    def clients_of(self, process: int) -> range:
        """The numbers of the clients that live in a process, counted from 0."""
        return range(process, self.clients, self.processes)


QUICK = Scenario(
    rate=4_000, seconds=2.0, clients=32, flush_after_s=0.5, update_seconds=1.0, game_rate=400, game_seconds=1.5
)
"""Everything in a few seconds, the start of the servers included."""


def likes(seed: int) -> Iterator[int]:
    """The videos that are liked, one after the other, for ever. A seed's order is always the same."""
    chance = random.Random(seed)  # noqa: S311  # likes are no secret
    videos = [VIRAL_VIDEO, *(video for video in range(1, VIDEOS + 1) if video != VIRAL_VIDEO)]
    tail = [1 / rank for rank in range(1, VIDEOS)]
    weights = list(accumulate([sum(tail) / TAIL_SHARE, *tail]))
    while True:
        yield from chance.choices(videos, cum_weights=weights, k=_DRAWN_AT_ONCE)
