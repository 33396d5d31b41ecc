"""Appending events to DuckDB: one INSERT from an Arrow table of texts for each set of columns."""

from __future__ import annotations

from collections.abc import Sequence
from operator import itemgetter

import duckdb
import pyarrow

from writebehind.columns import ColumnType
from writebehind.databases.blocks import load_blocks
from writebehind.databases.contract import EventRows, RowsWritten
from writebehind.databases.duckdb.errors import translated
from writebehind.databases.duckdb.shape import quote, quote_table
from writebehind.databases.event_groups import EventGroup, event_groups
from writebehind.mapping import BoundEvents

_SQL = load_blocks(__package__, "events.sql")


def append_events(connection: duckdb.DuckDBPyConnection, change: EventRows) -> RowsWritten:
    """See ``contract.Transaction.append_events``."""
    statements = 0
    with translated(f"appending to {change.log.mapping.table!r}"):
        for group in event_groups(change):
            statements += _append(connection, change.log, group)
    return RowsWritten(len(change.events), statements)


def _append(connection: duckdb.DuckDBPyConnection, log: BoundEvents, group: EventGroup) -> int:
    """Append events that have the same columns; how many statements it took."""
    table = quote_table(log.mapping.table)
    if not group.columns:
        for _ in group.events:
            connection.execute(_SQL["append_defaults"].format(table=table))
        return len(group.events)
    names = [f"c{number}" for number in range(len(group.columns))]
    connection.register("given", _given(group, names))
    connection.execute(
        _SQL["append"].format(
            table=table,
            columns=", ".join(map(quote, group.columns)),
            values=", ".join(_value(log, column, name) for column, name in zip(group.columns, names, strict=True)),
        )
    )
    connection.unregister("given")  # an error spoils the transaction, and the connection is closed with it
    return 1


def _given(group: EventGroup, names: Sequence[str]) -> pyarrow.Table:
    texts = group.columns if group.positions is None else group.columns[:-1]
    arrays = [pyarrow.array(list(map(itemgetter(column), group.events)), pyarrow.large_string()) for column in texts]
    if group.positions is not None:
        arrays.append(pyarrow.array(group.positions, pyarrow.int64()))
    return pyarrow.Table.from_arrays(arrays, names=list(names))


def _value(log: BoundEvents, column: str, name: str) -> str:
    """The SQL that makes a column's value of its text."""
    if column == log.mapping.position:
        return name
    column_type: ColumnType = log.columns[column]
    if column_type.kind == "text" and column_type.type_name == "VARCHAR":
        return name
    if column_type.kind == "bytes":
        return f"unhex(substr({name}, 3))"  # after \x
    return f"CAST({name} AS {column_type.type_name})"
