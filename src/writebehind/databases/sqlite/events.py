"""Appending events to SQLite: one prepared INSERT for each set of columns, run for every event."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from writebehind.columns import ColumnKind, ColumnType, Text
from writebehind.databases.blocks import load_blocks
from writebehind.databases.contract import EventRows, RowsWritten
from writebehind.databases.event_groups import EventGroup, event_groups
from writebehind.databases.sqlite.errors import translated
from writebehind.databases.sqlite.shape import quote, quote_table
from writebehind.databases.sqlite.texts import Stored, to_stored
from writebehind.errors import RowRefused
from writebehind.mapping import BoundEvents

_SQL = load_blocks(__package__, "events.sql")
_POSITION = ColumnType("integer", "BIGINT", bits=64)
# Asked once a column, since asking for each text takes as long as all the rest.
_KEPT_AS_TEXT: frozenset[ColumnKind] = frozenset(
    {"text", "decimal", "timestamp_tz", "timestamp", "date", "time", "uuid"}
)


def append_events(connection: sqlite3.Connection, change: EventRows) -> RowsWritten:
    """See ``contract.Transaction.append_events``."""
    statements = 0
    with translated(f"appending to {change.log.mapping.table!r}"):
        for group in event_groups(change):
            _append(connection, change.log, group)
            statements += 1
    return RowsWritten(len(change.events), statements)


def _append(connection: sqlite3.Connection, log: BoundEvents, group: EventGroup) -> None:
    table = quote_table(log.mapping.table)
    if not group.columns:
        connection.executemany(_SQL["append_defaults"].format(table=table), [()] * len(group.events))
        return
    statement = _SQL["append"].format(
        table=table, columns=", ".join(map(quote, group.columns)), values=", ".join("?" * len(group.columns))
    )
    for texts in group.slices():
        values = [_stored(log, name, column) for name, column in zip(group.columns, texts, strict=True)]
        connection.executemany(statement, zip(*values, strict=True))


def _stored(log: BoundEvents, name: str, texts: Sequence[Text]) -> Sequence[Stored]:
    """The values of one column as SQLite keeps them.

    :raises RowRefused: a text is not one of the column's kind.
    """
    column = _POSITION if name == log.mapping.position else log.columns[name]
    if column.kind in _KEPT_AS_TEXT:
        return texts
    try:
        return [to_stored(text, column) for text in texts]
    except ValueError as error:
        raise RowRefused(
            f"appending to {log.mapping.table!r} was refused",
            why=f"a text is no value of the column {name!r} of type {column.type_name}: {error}",
            sqlstate="22000",
        ) from error
