"""Changing records and reading them in SQLite: prepared statements, one for each set of columns, run for every row."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from writebehind.columns import Text
from writebehind.databases.blocks import load_blocks
from writebehind.databases.contract import ABSENT, RecordRows, RowAbsent, RowsWritten
from writebehind.databases.records import positions_by_columns
from writebehind.databases.sqlite.counters import encode_keys, same_key
from writebehind.databases.sqlite.errors import translated
from writebehind.databases.sqlite.shape import quote, quote_table
from writebehind.databases.sqlite.texts import Stored, from_stored, to_stored
from writebehind.errors import RowRefused
from writebehind.mapping import BoundRecords
from writebehind.values import Row

_SQL = load_blocks(__package__, "records.sql")


@dataclass(frozen=True, slots=True)
class _Statements:
    """How rows that name the same columns are written."""

    names: Sequence[str]
    update: str
    insert: str


def write_records(connection: sqlite3.Connection, change: RecordRows) -> RowsWritten:
    """See ``contract.Transaction.write_records``. The transaction has the file's only write lock.

    Rows are updated before others are inserted, each in their order: a unique value that one row gives up is free
    for those after it. A statement counts once, however many rows it is run for.
    """
    records = change.records
    keys = encode_keys(records.keys.columns, change.rows)
    used: set[str] = set()

    def run(statement: str, parameters: Sequence[object]) -> sqlite3.Cursor:
        used.add(statement)
        return connection.execute(statement, parameters)

    written = [n for n, each in enumerate(change.changes) if each.operation != "delete"]
    statements = {
        n: prepared
        for names, group in positions_by_columns(change, written)
        for prepared in [_Statements(names, _update_statement(records, names), _insert_statement(records, names))]
        for n in group
    }
    delete = _statement("delete", records)
    missing: list[tuple[int, list[Stored]]] = []
    with translated(f"changing the records {records.name!r}"):
        for key, each in zip(keys, change.changes, strict=True):
            if each.operation != "upsert":
                run(delete, key)
        for n in written:
            values = _stored(change, n, statements[n].names)
            is_there = change.changes[n].operation == "upsert" and _is_updated(
                run(statements[n].update, [*values, *keys[n]])
            )
            if not is_there:
                missing.append((n, values))
        for n, values in missing:
            run(statements[n].insert, [*keys[n], *values])
    return RowsWritten(len(change.rows), len(used))


def read_versions(connection: sqlite3.Connection, records: BoundRecords, rows: Sequence[Row]) -> list[Text | RowAbsent]:
    """See ``contract.Transaction.read_versions``. Nothing has to be locked: there is no other writer."""
    version = records.mapping.version
    assert version is not None, "no version column was declared"
    statement = _statement("read", records, columns=quote(version))
    with translated(f"reading versions of {records.name!r}"):
        found = [connection.execute(statement, key).fetchone() for key in encode_keys(records.keys.columns, rows)]
    return [ABSENT if answer is None else from_stored(answer[0], records.columns[version]) for answer in found]


def read_values(
    connection: sqlite3.Connection, records: BoundRecords, rows: Sequence[Row]
) -> dict[Row, Mapping[str, Text]]:
    """The records that exist, under the keys as they were asked."""
    # Of a mapping without columns too it is asked which rows exist.
    statement = _statement("read", records, columns=", ".join(map(quote, records.columns)) or "1")
    found = (connection.execute(statement, key).fetchone() for key in encode_keys(records.keys.columns, rows))
    return {
        row: {
            name: from_stored(value, column)
            for (name, column), value in zip(records.columns.items(), answer, strict=False)
        }
        for row, answer in zip(rows, found, strict=True)
        if answer is not None
    }


def _is_updated(cursor: sqlite3.Cursor) -> bool:
    """Whether an UPDATE found its row, or the question for it."""
    return cursor.rowcount == 1 or cursor.fetchone() is not None


def _update_statement(records: BoundRecords, names: Sequence[str]) -> str:
    if not names:
        return _statement("find_row", records)  # nothing to set: the row has to be there, no more
    return _statement("update", records, assignments=", ".join(f"{quote(name)} = ?" for name in names))


def _insert_statement(records: BoundRecords, names: Sequence[str]) -> str:
    columns = [*(column.name for column in records.keys.columns), *names]
    return _statement("insert", records, columns=", ".join(map(quote, columns)), values=", ".join("?" * len(columns)))


def _statement(block: str, records: BoundRecords, **parts: str) -> str:
    return _SQL[block].format(
        table=quote_table(records.mapping.table), same_key=same_key(records.keys.columns), **parts
    )


def _stored(change: RecordRows, position: int, names: Sequence[str]) -> list[Stored]:
    """A row's columns as SQLite keeps them.

    :raises RowRefused: a text is not one of its column's kind.
    """
    columns = change.changes[position].columns
    values = []
    for name in names:
        column = change.records.columns[name]
        try:
            values.append(to_stored(columns[name], column))
        except ValueError as error:
            raise RowRefused(
                f"changing the records {change.records.name!r} was refused",
                why=f"the column {name!r} of type {column.type_name} cannot hold {columns[name]!r:.80}: {error}",
                sqlstate="22000",
            ) from error
    return values
