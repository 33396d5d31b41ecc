"""The audit: every acknowledged like against the rows in the database, row by row."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Difference:
    """One row that is wrong. ``stored`` is None where the row is missing."""

    video: int
    acknowledged: int
    begun: int
    stored: int | None

    @property
    def excess(self) -> int:
        """How many likes are too many (or, negative, lost)."""
        stored = self.stored or 0
        return stored - min(max(stored, self.acknowledged), self.begun)

    def __str__(self) -> str:
        expected = f"{self.acknowledged:,}"
        if self.begun != self.acknowledged:
            expected += f" to {self.begun:,}"
        found = "no row" if self.stored is None else f"{self.stored:,}"
        return f"video {self.video}: acknowledged {expected}, in PostgreSQL {found}"


@dataclass(frozen=True, slots=True)
class Audit:
    """The outcome. ``unanswered`` likes were sent by a writer that ended, or was told so, without an answer:
    the database may rightly have them or not.
    """

    rows: int
    acknowledged: int
    unanswered: int
    stored: int
    differences: tuple[Difference, ...]

    @property
    def is_exact(self) -> bool:
        """Nothing lost, nothing doubled, in any row."""
        return not self.differences


def compare(begun: Sequence[int], acknowledged: Sequence[int], stored: Mapping[int, int]) -> Audit:
    """Compare likes by video id with the rows. Begun and acknowledged are indexed by id; 0 is no video."""
    differences = []
    videos = {video for video, count in enumerate(begun) if count} | set(stored)
    for video in sorted(videos):
        least = acknowledged[video] if video < len(acknowledged) else 0
        most = begun[video] if video < len(begun) else 0
        found = stored.get(video)
        if found is None or not least <= found <= most:
            differences.append(Difference(video, least, most, found))
    return Audit(
        rows=len(stored),
        acknowledged=sum(acknowledged),
        unanswered=sum(begun) - sum(acknowledged),
        stored=sum(stored.values()),
        differences=tuple(differences),
    )


def summed(columns: Iterable[Sequence[int] | memoryview]) -> list[int]:
    """Counts of several writers, by video."""
    return [sum(counts) for counts in zip(*columns, strict=True)]
