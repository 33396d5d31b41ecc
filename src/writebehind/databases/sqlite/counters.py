"""Adding to counters and reading them in SQLite: one prepared statement, run for every row."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence

from writebehind.databases.blocks import load_blocks
from writebehind.databases.contract import CounterRows, RowsWritten
from writebehind.databases.sqlite.errors import translated
from writebehind.databases.sqlite.shape import quote, quote_table
from writebehind.mapping import BoundCounter
from writebehind.values import KeyColumn, Row

_SQL = load_blocks(__package__, "tables.sql")


def add_to_counters(connection: sqlite3.Connection, change: CounterRows) -> RowsWritten:
    """See ``contract.Transaction.add_to_counters``. The transaction has the file's only write lock."""
    if not change.rows:
        return RowsWritten(0, 0)
    counters = change.counters
    table, columns = counters[0].mapping.table, counters[0].keys.columns
    keys = encode_keys(columns, change.rows)
    twice = [amounts for amounts in change.amounts for _ in range(2)]  # the block "sum" has its amount twice
    assignments = ", ".join(f"{name} = {_sum(name, '?')}" for name in _columns(counters))
    statement = _SQL["update"].format(table=quote_table(table), assignments=assignments, same_key=same_key(columns))
    with translated(f"adding to {table!r}"):
        parameters = [(*amounts, *key) for *amounts, key in zip(*twice, keys, strict=True)]
        updated = connection.executemany(statement, parameters).rowcount
        if updated == len(change.rows):
            return RowsWritten(updated, 1)
        find = _SQL["find_row"].format(table=quote_table(table), same_key=same_key(columns))
        missing = [n for n, key in enumerate(keys) if connection.execute(find, key).fetchone() is None]
        if counters[0].mapping.missing == "insert":
            return RowsWritten(len(change.rows), 1 + _insert(connection, change, keys, missing))
    return RowsWritten(len(change.rows) - len(missing), 1, missing)


def _insert(connection: sqlite3.Connection, change: CounterRows, keys: Sequence[Row], missing: Sequence[int]) -> int:
    """Insert missing rows: one statement for each set of counters that rows have amounts for; how many.

    A counter without an amount is left out of the statement, so that the column's own default is used.
    """
    rows_of: dict[tuple[int, ...], list[int]] = {}
    for position in missing:
        given = tuple(c for c in range(len(change.counters)) if change.amounts[c][position] is not None)
        rows_of.setdefault(given, []).append(position)
    rows_of.pop((), None)  # no amount at all: there is nothing to insert
    key_names = [quote(column.name) for column in change.counters[0].keys.columns]
    for given, positions in rows_of.items():
        names = _columns([change.counters[c] for c in given])
        statement = _SQL["insert"].format(
            table=quote_table(change.counters[0].mapping.table),
            columns=", ".join([*key_names, *names]),
            values=", ".join("?" * (len(key_names) + len(names))),
            key_columns=", ".join(key_names),
            conflict_assignments=", ".join(f"{name} = {_sum(name, f'excluded.{name}')}" for name in names),
        )
        connection.executemany(
            statement, [(*keys[position], *(change.amounts[c][position] for c in given)) for position in positions]
        )
    return len(rows_of)


def read_values(connection: sqlite3.Connection, counter: BoundCounter, rows: Sequence[Row]) -> dict[Row, int]:
    """The values of the rows that exist, under the keys as they were asked."""
    columns = counter.keys.columns
    statement = _SQL["read_counter"].format(
        column=quote(counter.mapping.column),
        table=quote_table(counter.mapping.table),
        same_key=same_key(columns),
    )
    found = (connection.execute(statement, key).fetchone() for key in encode_keys(columns, rows))
    return {row: int(value[0]) for row, value in zip(rows, found, strict=True) if value is not None}


def encode_keys(columns: Sequence[KeyColumn], rows: Sequence[Row]) -> list[Row]:
    """Keys as SQLite stores them: UUIDs as their text."""
    if all(column.kind != "uuid" for column in columns):
        return list(rows)
    return [
        tuple(str(part) if column.kind == "uuid" else part for part, column in zip(row, columns, strict=True))
        for row in rows
    ]


def _columns(counters: Iterable[BoundCounter]) -> list[str]:
    return [quote(counter.mapping.column) for counter in counters]


def _sum(column: str, amount: str) -> str:
    return _SQL["sum"].format(column=column, amount=amount)


def same_key(columns: Sequence[KeyColumn]) -> str:
    """The condition that a row has a given key."""
    return " AND ".join(f"{quote(column.name)} = ?" for column in columns)
