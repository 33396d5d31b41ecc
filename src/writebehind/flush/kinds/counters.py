"""Counters: amounts added to rows, those of several counters of a table together."""

from __future__ import annotations

from collections.abc import Sequence

from writebehind.databases.contract import Transaction
from writebehind.flush.kinds.counter_rows import merge
from writebehind.flush.kinds.counter_splitting import write_rows
from writebehind.flush.kinds.outcome import Outcome, Unwritten
from writebehind.flush.task import Batch
from writebehind.mapping import BoundCounter


def write(transaction: Transaction, batches: Sequence[Batch]) -> Outcome:
    """Add the amounts of the batches; what cannot be added comes back."""
    outcome = Outcome()
    change = merge(
        batches,
        lambda batch, field, error: outcome.add_unreadable(batch, field, batch.content.changes[field], error),
    )
    written = write_rows(transaction, change)
    outcome.rows, outcome.statements = written.rows, written.statements
    for each in written.unwritten:
        field = each.counter.keys.encode(each.row)
        batch = _batch_of(batches, each.counter, field)
        outcome.unwritten.append(Unwritten(batch, field, str(each.amount), each.reason, each.error, each.sqlstate))
    return outcome


def _batch_of(batches: Sequence[Batch], counter: BoundCounter, field: bytes) -> Batch:
    """The batch that a row's amount came from: of the counter's partitions one alone has the key."""
    return next(
        batch for batch in batches if batch.task.mapping.name == counter.name and field in batch.content.changes
    )
