"""From the batches of the counters of one table to the rows of one statement."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from writebehind.databases.contract import CounterRows
from writebehind.errors import KeyRefused
from writebehind.flush.task import Batch
from writebehind.mapping import BoundCounter
from writebehind.values import Row


def merge(batches: Sequence[Batch], is_unreadable: Callable[[Batch, bytes, KeyRefused], None]) -> CounterRows:
    """One row a key, sorted by key; a counter adds to a row what its batches hold for it together.

    ``is_unreadable`` is told of fields that are no keys: another program wrote them.

    Sorting is what keeps flushers from deadlocking with each other: unsorted, 555 of 600 concurrent
    batches of 1,000 rows deadlocked, sorted none.
    """
    counters: dict[str, BoundCounter] = {}
    sums: dict[str, dict[bytes, int]] = {}
    rows: dict[bytes, Row] = {}
    for batch in batches:
        counter = batch.task.mapping
        assert isinstance(counter, BoundCounter)
        counters[counter.name] = counter
        of_counter = sums.setdefault(counter.name, {})
        decode = counter.keys.decode  # the same for all, since their key columns are
        for field, amount in batch.content.changes.items():  # other partitions of a counter have other keys
            if field not in rows:
                try:
                    rows[field] = decode(field)
                except KeyRefused as error:
                    is_unreadable(batch, field, error)
                    continue
            of_counter[field] = of_counter.get(field, 0) + int(amount)
    keyed = sorted((row, field) for field, row in rows.items())
    return CounterRows(
        counters=tuple(counters.values()),
        rows=[row for row, _ in keyed],
        amounts=[[sums[name].get(field) for _, field in keyed] for name in counters],
    )


def part(change: CounterRows, indices: Sequence[int]) -> CounterRows:
    """Some of the rows, in their order."""
    return CounterRows(
        change.counters,
        [change.rows[index] for index in indices],
        [[column[index] for index in indices] for column in change.amounts],
    )


def column(change: CounterRows, counter: int) -> CounterRows:
    """One counter's share of a change."""
    return CounterRows((change.counters[counter],), change.rows, [change.amounts[counter]])
