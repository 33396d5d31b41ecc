"""Adding to counters when some rows are bad: see ``bisecting``; and what each counter of a bad row is due."""

from __future__ import annotations

from dataclasses import dataclass, field

from writebehind.databases.contract import CounterRows, RowsWritten, Transaction
from writebehind.errors import RowRefused
from writebehind.flush.bisecting import write_all_but_bad
from writebehind.flush.kinds.counter_rows import column, part
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
    """Write all rows that can be written, while all is well in one statement; the rest comes back as ``unwritten``."""
    outcome = WriteOutcome()
    write_all_but_bad(
        len(change.rows),
        lambda indices: _try(transaction, part(change, indices), outcome),
        lambda index, error: _write_single(transaction, part(change, [index]), error, outcome),
    )
    return outcome


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
