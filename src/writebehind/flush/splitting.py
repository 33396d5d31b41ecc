"""Writing rows when some are bad: the bad ones are found, the others are written, in one transaction."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from writebehind.databases.contract import CounterRows, RowsWritten, Transaction
from writebehind.errors import RowRefused
from writebehind.flush.merging import column, part
from writebehind.mapping import BoundCounter
from writebehind.values import Row


@dataclass(frozen=True, slots=True)
class Unwritten:
    """What one counter could not add to one row, and why: ``row_refused``, ``missing_row``, or ``ignored`` where
    the mapping drops amounts of missing rows. ``sqlstate`` is '' for a missing row.
    """

    counter: BoundCounter
    row: Row
    amount: int
    reason: str
    error: str
    sqlstate: str


@dataclass(slots=True)
class WriteOutcome:
    """What writing a change did, all tries together."""

    rows: int = 0
    statements: int = 0
    unwritten: list[Unwritten] = field(default_factory=list)


def write_rows(transaction: Transaction, change: CounterRows) -> WriteOutcome:
    """Write all rows that can be written; the rest comes back as ``unwritten``.

    While all is well this is one statement. For a bad row among n it is at most log2(n) + 2 more: the
    known-bad range is halved, halves that go through stay written, and everything that was set aside
    on the way is tried as one statement again.
    """
    outcome = WriteOutcome()
    aside: Sequence[int] = range(len(change.rows))
    while aside:
        aside = _write_all_or_find_first_bad(transaction, change, aside, outcome)
    return outcome


def _write_all_or_find_first_bad(
    transaction: Transaction, change: CounterRows, indices: Sequence[int], outcome: WriteOutcome
) -> Sequence[int]:
    """Write ``indices`` whole, or find one bad row in them; returns what is still to be written."""
    error = _try(transaction, part(change, indices), outcome)
    if error is None:
        return ()
    bad = indices
    aside: deque[Sequence[int]] = deque()
    while len(bad) > 1:
        middle = len(bad) // 2
        first, second = bad[:middle], bad[middle:]
        error_of_first = _try(transaction, part(change, first), outcome)
        if error_of_first is None:
            bad = second  # the first half is written, so the bad row is in the second
        else:
            bad, error = first, error_of_first
            aside.appendleft(second)
    _write_single(transaction, part(change, bad), error, outcome)
    return [index for half in aside for index in half]


def _write_single(transaction: Transaction, row: CounterRows, error: RowRefused, outcome: WriteOutcome) -> None:
    """A row that is refused as a whole: each counter of it alone, so that a good one is not held back."""
    several = sum(amounts[0] is not None for amounts in row.amounts) > 1
    for index, amounts in enumerate(row.amounts):
        amount = amounts[0]
        if amount is None:
            continue
        refused = _try(transaction, column(row, index), outcome) if several else error
        if refused is not None:
            outcome.unwritten.append(
                Unwritten(row.counters[index], row.rows[0], amount, "row_refused", str(refused), refused.sqlstate)
            )


def _try(transaction: Transaction, change: CounterRows, outcome: WriteOutcome) -> RowRefused | None:
    """Write under a savepoint; the error where the database refused a row."""
    try:
        with transaction.savepoint():
            written: RowsWritten = transaction.add_to_counters(change)
    except RowRefused as error:
        outcome.statements += 1
        return error
    outcome.rows += written.rows
    outcome.statements += written.statements
    for index in written.missing:
        for counter, amounts in zip(change.counters, change.amounts, strict=True):
            amount = amounts[index]
            if amount is not None:
                reason = "ignored" if counter.mapping.missing == "ignore" else "missing_row"
                outcome.unwritten.append(
                    Unwritten(counter, change.rows[index], amount, reason, "the row does not exist", "")
                )
    return None
