"""Event logs: every event a row, in the order of their positions."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from writebehind.columns import Text
from writebehind.databases.contract import Database, EventRows, Transaction
from writebehind.errors import RowRefused
from writebehind.flush.bisecting import write_all_but_bad
from writebehind.flush.kinds.outcome import Outcome, Unwritten
from writebehind.flush.task import Batch
from writebehind.mapping import BoundEvents


class _Events:
    """The events of one log's batches, in order, and rows made of some of them."""

    def __init__(self, batches: Sequence[Batch]) -> None:
        log = batches[0].task.mapping
        assert isinstance(log, BoundEvents)
        self.log = log
        self.entries: list[tuple[int, bytes, Batch]] = []
        self.decoded: list[Mapping[str, Text]] = []
        self.unreadable: list[Unwritten] = []
        for batch in batches:
            for position, text in batch.content.events:
                try:
                    self.decoded.append(_decoded(text, log))
                except ValueError as error:
                    shown = text.decode(errors="replace")
                    self.unreadable.append(
                        Unwritten(batch, b"%d" % position, shown, "row_refused", str(error), "22000")
                    )
                else:
                    self.entries.append((position, text, batch))

    def rows(self, indices: Sequence[int]) -> EventRows:
        if len(indices) == len(self.entries):
            return EventRows(self.log, self.decoded, [position for position, _, _ in self.entries])
        return EventRows(
            self.log, [self.decoded[index] for index in indices], [self.entries[index][0] for index in indices]
        )

    def unwritten(self, index: int, error: RowRefused) -> Unwritten:
        position, text, batch = self.entries[index]
        return Unwritten(batch, b"%d" % position, text.decode(), "row_refused", str(error), error.sqlstate)


def _decoded(text: bytes, log: BoundEvents) -> Mapping[str, Text]:
    """An event's columns.

    :raises ValueError: another program appended what is none, or the table has changed.
    """
    event = json.loads(text)
    if not isinstance(event, dict) or not all(value is None or isinstance(value, str) for value in event.values()):
        raise ValueError("it is no JSON object of texts")  # as where it is no JSON
    for column in event:
        if column not in log.columns:
            raise ValueError(f"the column {column!r}: {log.refusals.get(column, 'the table has none of this name')}")
    return event


def write(database: Database, transaction: Transaction, batches: Sequence[Batch], *, careful: bool) -> Outcome:
    """Append the events of a log's batches; what cannot be appended comes back.

    :raises RowRefused: a row was refused, and without savepoints that spoils the transaction.
    """
    events = _Events(batches)
    outcome = Outcome(unwritten=events.unreadable)
    if database.has_savepoints:
        write_all_but_bad(
            len(events.entries),
            lambda indices: outcome.attempt(transaction, lambda: transaction.append_events(events.rows(indices))),
            lambda index, error: outcome.unwritten.append(events.unwritten(index, error)),
        )
        return outcome
    good: Sequence[int] = range(len(events.entries))
    if careful:
        good = _good_ones(database, events, outcome)
    if good:
        written = transaction.append_events(events.rows(good))
        outcome.rows += written.rows
        outcome.statements += written.statements
    return outcome


def _good_ones(database: Database, events: _Events, outcome: Outcome) -> list[int]:
    """The events that can be appended together, found by trials that are rolled back."""
    good: list[int] = []

    def attempt(indices: Sequence[int]) -> RowRefused | None:
        outcome.statements += 1
        together = sorted([*good, *indices])  # with those before them: two events may be good only one by one
        error = database.try_events(events.rows(together))
        if error is None:
            good.extend(indices)
        return error

    write_all_but_bad(
        len(events.entries), attempt, lambda index, error: outcome.unwritten.append(events.unwritten(index, error))
    )
    return sorted(good)
