"""What a writer process counts, in memory that it shares with the demonstration through a file.

The counts outlive a writer that is killed, so that what it was acknowledged can be audited all the same.
They are made by the caller at each answer, and owe nothing to the library's own figures.
"""

from __future__ import annotations

import mmap
from pathlib import Path

from writebehind.demo.histogram import BUCKETS, Histogram
from writebehind.demo.scenario import VIDEOS

_SLOTS = VIDEOS + 1  # by id, which begin at 1
_ITEM_SIZE_BYTES = 8
_SIZE_BYTES = (2 * _SLOTS + 2 * BUCKETS) * _ITEM_SIZE_BYTES


class Scoreboard:
    """One writer's counts. One process writes, any number read."""

    def __init__(self, path: Path) -> None:
        with path.open("r+b") as file:
            self._memory = mmap.mmap(file.fileno(), _SIZE_BYTES)
        numbers = memoryview(self._memory).cast("q")
        self.begun = numbers[:_SLOTS]
        """Likes by video that were sent, or may have been: what is certainly not written is taken back."""
        self.acknowledged = numbers[_SLOTS : 2 * _SLOTS]
        """Likes by video whose call has returned."""
        self._views = [numbers, self.begun, self.acknowledged]
        self.latencies = self._histogram(numbers[2 * _SLOTS : 2 * _SLOTS + BUCKETS])
        """Of likes through the cache, from the moment when each was due."""
        self.update_latencies = self._histogram(numbers[2 * _SLOTS + BUCKETS :])
        """Of likes by one UPDATE each, from their call."""

    def _histogram(self, view: memoryview) -> Histogram:
        self._views.append(view)
        return Histogram(view)

    @classmethod
    def create(cls, path: Path) -> Scoreboard:
        """Make the file, with all counts 0."""
        path.write_bytes(bytes(_SIZE_BYTES))
        return cls(path)

    def close(self) -> None:
        """Let the memory go; the file stays."""
        for view in reversed(self._views):
            view.release()
        self._memory.close()
