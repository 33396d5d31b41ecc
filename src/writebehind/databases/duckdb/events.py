"""Appending events to DuckDB: one INSERT from an Arrow table of texts for each set of columns."""

from __future__ import annotations

from operator import itemgetter

import duckdb

from writebehind.databases.blocks import load_blocks
from writebehind.databases.contract import EventRows, RowsWritten
from writebehind.databases.duckdb.errors import translated
from writebehind.databases.duckdb.given import given
from writebehind.databases.duckdb.shape import quote, quote_table
from writebehind.databases.event_groups import EventGroup, event_groups
from writebehind.errors import RowRefused
from writebehind.mapping import BoundEvents

_SQL = load_blocks(__package__, "events.sql")
_INTEGER = "[+-]?[0-9]+"


def append_events(connection: duckdb.DuckDBPyConnection, change: EventRows) -> RowsWritten:
    """See ``contract.Transaction.append_events``."""
    statements = 0
    with translated(f"appending to {change.log.mapping.table!r}"):
        for group in event_groups(change):
            statements += _append(connection, change.log, group)
    return RowsWritten(len(change.events), statements)


def _append(connection: duckdb.DuckDBPyConnection, log: BoundEvents, group: EventGroup) -> int:
    """Append events that have the same columns; how many statements it took."""
    table = quote_table(connection, log.mapping.table)
    if not group.columns:
        for _ in group.events:
            connection.execute(_SQL["append_defaults"].format(table=table))
        return len(group.events)
    names = {column: f"c{number}" for number, column in enumerate(group.columns)}
    statement = _SQL["append"].format(
        table=table,
        columns=", ".join(map(quote, group.columns)),
        values=", ".join(_value(log, column, name) for column, name in names.items()),
    )
    numbers = {} if group.positions is None else {names[group.columns[-1]]: group.positions}
    texts = {name: list(map(itemgetter(column), group.events)) for column, name in names.items() if name not in numbers}
    with given(connection, texts, numbers):
        connection.execute(statement)
    return 1


def _value(log: BoundEvents, column: str, name: str) -> str:
    """The SQL that makes a column's value of its text, exactly or not at all.

    :raises RowRefused: events of this log cannot have such a column.
    """
    if column == log.mapping.position:
        return name
    if column not in log.columns:
        raise RowRefused(
            f"appending to {log.mapping.table!r} was refused",
            why=f"its events have no column {column!r}",
            sqlstate="22000",
        )
    kept = log.columns[column]
    match kept.kind:
        case "text" if kept.type_name == "VARCHAR":
            return name
        case "bytes":
            return _SQL["value_of_bytes"].format(text=name)
        case "float":
            return _SQL["value_of_float"].format(text=name, type=kept.type_name)
        case "integer":
            return _SQL["value_of_pattern"].format(text=name, type=kept.type_name, pattern=_INTEGER)
        case "decimal":
            pattern = _INTEGER + (rf"(\.[0-9]{{0,{kept.scale}}})?" if kept.scale else "")
            return _SQL["value_of_pattern"].format(text=name, type=kept.type_name, pattern=pattern)
    return _SQL["value"].format(text=name, type=kept.type_name)
