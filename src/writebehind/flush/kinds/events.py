"""Event logs: every event a row, in the order of their positions."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from writebehind.column_texts import Unfit, check_characters
from writebehind.columns import Text
from writebehind.databases.contract import Database, EventRows, Transaction
from writebehind.errors import RowRefused
from writebehind.flush.bisecting import write_all_but_bad
from writebehind.flush.kinds.outcome import Outcome, Unwritten
from writebehind.flush.task import Batch
from writebehind.mapping import BoundEvents


class _Events:
    """The events of one log's batches, in order, and rows made of some of them."""

    def __init__(self, batches: Sequence[Batch], outcome: Outcome) -> None:
        log = batches[0].task.mapping
        assert isinstance(log, BoundEvents)
        self.log = log
        self.entries: list[tuple[int, bytes, Batch]] = []
        self.decoded: list[Mapping[str, Text]] = []
        for batch in batches:
            for position, text in batch.content.events:
                try:
                    event = _decoded(text, log)
                except (ValueError, RecursionError) as error:
                    outcome.add_unreadable(batch, b"%d" % position, text, error)
                    continue
                self.entries.append((position, text, batch))
                self.decoded.append(event)

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
    """An event's columns. Another program may have written anything; the texts' kinds are the database's to check.

    :raises ValueError: it is no event of this log.
    """
    event = json.loads(text)
    if type(event) is not dict:
        raise Unfit("it is not a JSON object of column to text")
    for name, value in event.items():
        if name not in log.columns:
            why = log.refusals.get(name, "the table has no such column")
            raise Unfit(f"the column {name!r} cannot be written: {why}")
        if type(value) is str:
            if b"\\u" in text:  # only an escape can stand for what no text may have
                check_characters(value)
        elif value is not None:
            raise Unfit(f"the column {name!r} has neither a text nor null")
    return event


def write(database: Database, transaction: Transaction, batches: Sequence[Batch], *, careful: bool) -> Outcome:
    """Append the events of a log's batches; what cannot be appended comes back.

    :raises RowRefused: a row was refused, and without savepoints that spoils the transaction.
    """
    outcome = Outcome()
    events = _Events(batches, outcome)
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


def _good_ones(database: Database, events: _Events, outcome: Outcome) -> Sequence[int]:
    """The events that can be appended together, found by trials that are rolled back.

    Each part is tried by itself, which is quick; where the good ones refuse each other all the same (two with one
    unique value), each part is tried together with what was found to be good before it.
    """
    good, bad = _tried(database, events, outcome, cumulative=False)
    outcome.statements += 1
    if database.try_events(events.rows(good)) is not None:
        good, bad = _tried(database, events, outcome, cumulative=True)
    outcome.unwritten += [events.unwritten(index, error) for index, error in sorted(bad.items())]
    return good


def _tried(
    database: Database, events: _Events, outcome: Outcome, *, cumulative: bool
) -> tuple[list[int], dict[int, RowRefused]]:
    """The good events in their order, and the bad ones with their errors."""
    good: list[int] = []
    bad: dict[int, RowRefused] = {}

    def attempt(indices: Sequence[int]) -> RowRefused | None:
        outcome.statements += 1
        error = database.try_events(events.rows(sorted([*good, *indices]) if cumulative else indices))
        if error is None:
            good.extend(indices)
        return error

    write_all_but_bad(len(events.entries), attempt, bad.__setitem__)
    return sorted(good), bad
