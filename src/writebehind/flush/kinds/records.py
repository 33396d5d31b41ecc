"""Records: columns set, rows deleted and made anew, mixed in one batch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from writebehind.changes import RecordChange, RecordRules
from writebehind.columns import Text
from writebehind.databases.contract import RecordRows, RowAbsent, Transaction
from writebehind.errors import RowRefused, ValueRefused
from writebehind.flush.bisecting import write_all_but_bad
from writebehind.flush.kinds.outcome import Outcome, Unwritten
from writebehind.flush.task import Batch
from writebehind.mapping import BoundRecords
from writebehind.values import Row

UNIQUE_VIOLATION = "23505"


@dataclass(slots=True)
class _Entry:
    row: Row
    field: bytes
    batch: Batch
    change: RecordChange


def write(transaction: Transaction, batches: Sequence[Batch]) -> Outcome:
    """Write the changes of a record mapping's batches, sorted by key; what cannot be written comes back."""
    records = batches[0].task.mapping
    assert isinstance(records, BoundRecords)
    outcome = Outcome()
    entries = _entries(records, batches, outcome)
    if records.mapping.version is not None and entries:
        entries = _without_outdated(transaction, records, entries)
        outcome.statements += 1

    def attempt(indices: Sequence[int]) -> RowRefused | None:
        some = [entries[index] for index in indices]
        change = RecordRows(records, [entry.row for entry in some], [entry.change for entry in some])
        return outcome.attempt(transaction, lambda: transaction.write_records(change))

    bad: dict[int, RowRefused] = {}
    write_all_but_bad(len(entries), attempt, bad.__setitem__)
    for index in [index for index, error in bad.items() if error.sqlstate == UNIQUE_VIOLATION]:
        # A row written later may have given up the unique value that this one takes.
        error = attempt([index])
        if error is None:
            del bad[index]
    for index, error in sorted(bad.items()):
        outcome.unwritten.append(_unwritten(entries[index], str(error), error.sqlstate))
    return outcome


def _unwritten(entry: _Entry, error: str, sqlstate: str) -> Unwritten:
    return Unwritten(entry.batch, entry.field, entry.change.encode(), "row_refused", error, sqlstate)


def _entries(records: BoundRecords, batches: Sequence[Batch], outcome: Outcome) -> list[_Entry]:
    """The changes, their texts made canonical: plain Redis commands may have written them."""
    entries = []
    for batch in batches:
        for field, text in batch.content.changes.items():
            try:
                entry = _Entry(records.keys.decode(field), field, batch, RecordChange.decode(text))
                columns = {name: _canonical(records, name, value) for name, value in entry.change.columns.items()}
            except ValueError as error:
                outcome.add_unreadable(batch, field, text, error)
                continue
            entry.change = replace(entry.change, columns=columns)
            entries.append(entry)
    entries.sort(key=lambda entry: entry.row)
    return entries


def _canonical(records: BoundRecords, column: str, text: Text) -> Text:
    column_type = records.columns.get(column)
    if column_type is None:
        raise ValueRefused(
            f"{records.name!r} has no column {column!r} that can be written",
            why=records.refusals.get(column) or "the table has changed, perhaps",
        )
    return None if text is None else column_type.canonical(text)


def _without_outdated(transaction: Transaction, records: BoundRecords, entries: Sequence[_Entry]) -> list[_Entry]:
    """The changes without what the rows' versions have outdated. The rows are locked from here on."""
    version = records.version_type
    assert version is not None
    rules = RecordRules("integer" if version.kind == "integer" else "text")
    versions = transaction.read_versions(records, [entry.row for entry in entries])
    left = []
    for entry, present in zip(entries, versions, strict=True):
        change: RecordChange | None = entry.change
        if not isinstance(present, RowAbsent):
            change = rules.since_row(entry.change, present)
        if change is not None:
            entry.change = change
            left.append(entry)
    return left
