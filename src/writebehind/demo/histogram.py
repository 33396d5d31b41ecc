"""Durations in a fixed number of buckets: any number of them costs no memory, and processes' simply add up.

A bucket is at most 1/32 (3 %) wide, from one microsecond to more than an hour. A quantile is its
bucket's upper end, so that the error never flatters.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, MutableSequence, Sequence

_BITS = 5
_HALF = 1 << _BITS
_LONGEST_US = (1 << 32) - 1


def _bucket(duration_us: int) -> int:
    shift = max(0, duration_us.bit_length() - _BITS - 1)
    return (shift << _BITS) + (duration_us >> shift)


def _end_us(bucket: int) -> int:
    shift = max(0, (bucket >> _BITS) - 1)
    return ((bucket - (shift << _BITS)) + 1) << shift


BUCKETS = _bucket(_LONGEST_US) + 1


class Histogram:
    """Counts of durations in a sequence of ``BUCKETS`` integers that its owner gives, shared memory perhaps."""

    __slots__ = ("_counts",)

    def __init__(self, counts: MutableSequence[int] | memoryview) -> None:
        assert len(counts) == BUCKETS
        self._counts = counts

    def record(self, seconds: float) -> None:
        """Count one duration."""
        self._counts[_bucket(min(max(0, int(seconds * 1e6)), _LONGEST_US))] += 1

    def counts(self) -> list[int]:
        """A copy of the buckets."""
        return list(self._counts)


def merged(histograms: Iterable[Histogram]) -> list[int]:
    """The counts of several histograms together."""
    return [sum(counts) for counts in zip([0] * BUCKETS, *(each.counts() for each in histograms), strict=True)]


def since(now: Sequence[int], before: Sequence[int]) -> list[int]:
    """What was counted between two looks."""
    return [new - old for new, old in zip(now, before, strict=True)]


def quantile(counts: Sequence[int], share: float) -> float | None:
    """The duration in seconds that ``share`` of the counted did not exceed; None where nothing was counted."""
    total = sum(counts)
    if not total:
        return None
    rank = max(1, math.ceil(share * total))
    for bucket, count in enumerate(counts):
        rank -= count
        if rank <= 0:
            return _end_us(bucket) / 1e6
    raise AssertionError("the counts changed while they were added up")
