"""Appending events to SQLite: one prepared INSERT for each set of columns, run for every event."""

from __future__ import annotations

import sqlite3

from writebehind.columns import ColumnKind
from writebehind.databases.blocks import load_blocks
from writebehind.databases.contract import EventRows, RowsWritten
from writebehind.databases.event_groups import EventGroup, event_groups
from writebehind.databases.sqlite.errors import translated
from writebehind.databases.sqlite.shape import quote, quote_table
from writebehind.databases.sqlite.values import stored
from writebehind.mapping import BoundEvents

_SQL = load_blocks(__package__, "events.sql")


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
    kinds: list[ColumnKind] = [
        "integer" if name == log.mapping.position else log.columns[name].kind for name in group.columns
    ]
    for columns in group.slices():
        values = [stored(kind, texts) for kind, texts in zip(kinds, columns, strict=True)]
        connection.executemany(statement, zip(*values, strict=True))
