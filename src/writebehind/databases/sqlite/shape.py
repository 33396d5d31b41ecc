"""What SQLite says of a table, and which declared types can be keys and counters."""

from __future__ import annotations

import sqlite3

from writebehind.databases.blocks import load_blocks
from writebehind.databases.sqlite.column_types import constant_default, value_type
from writebehind.errors import MappingError
from writebehind.mapping import ColumnShape, TableShape
from writebehind.values import Amounts, KeyKind

_SQL = load_blocks(__package__, "tables.sql")
_SCHEMAS = ("main", "temp")
_DISTINCT_TEXTS = 3
_DECIMALS = ("NUMERIC", "DECIMAL", "REAL", "FLOA", "DOUB")


def quote(name: str) -> str:
    """A name as an SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def split_table(table: str) -> tuple[str, str]:
    """Schema and name: ``main`` and ``temp`` are SQLite's only schemas, other dots belong to the name."""
    schema, dot, name = table.partition(".")
    return (schema, name) if dot and schema in _SCHEMAS else ("main", table)


def quote_table(table: str) -> str:
    """The quoted name of a table, with its schema."""
    return ".".join(quote(part) for part in split_table(table))


def read_shape(connection: sqlite3.Connection, table: str) -> TableShape | None:
    """The shape of a table; None where there is none.

    :raises MappingError: where the name is a view's.
    """
    schema, name = split_table(table)
    found = connection.execute(_SQL["find_table"].format(schema=quote(schema)), {"name": name}).fetchone()
    if found is None:
        return None
    kind, name = found
    if kind == "view":
        raise MappingError(
            f"{table!r} is a view",
            why="rows are counted in tables alone",
            fix="Name the table that holds the rows.",
        )
    rows = connection.execute(_SQL["columns"], {"table": name, "schema": schema}).fetchall()
    primary = tuple(row[0] for row in sorted(rows, key=lambda row: row[4]) if row[4])
    # "INTEGER PRIMARY KEY" is another name for the row's number, which SQLite gives out itself.
    numbered = (
        primary
        if len(primary) == 1 and any(row[0] == primary[0] and row[1].upper() == "INTEGER" for row in rows)
        else ()
    )
    columns = {}
    for column, type_name, not_null, default, _, hidden in rows:
        key_kind = _key_kind(type_name)
        is_generated = hidden in (2, 3)
        amounts, refusal = _amounts(type_name, is_generated=is_generated)
        kept, value_refusal = value_type(type_name, is_required=bool(not_null) or column in numbered)
        default_text, default_is_computed = constant_default(default, kept)
        columns[column] = ColumnShape(
            name=column,
            type_name=type_name or "none",
            key_kind=key_kind,
            amounts=amounts,
            refusal=refusal,
            required=bool(not_null) and default is None and not hidden and column not in numbered,
            needs_grouping=key_kind == "text" and _has_loose_equality(connection, table, column),
            value_type=kept,
            value_refusal=value_refusal,
            default_text=default_text,
            default_is_computed=default_is_computed or column in numbered,
            is_generated=is_generated,
        )
    loose = {column.name for column in columns.values() if column.needs_grouping}
    unique = _unique_sets(connection, schema, name, loose)
    return TableShape(table, columns, primary, tuple({*unique, frozenset(primary)} - {frozenset()}))


def _unique_sets(connection: sqlite3.Connection, schema: str, table: str, loose: set[str]) -> list[frozenset[str]]:
    """The column sets of whole unique indexes over plain columns.

    An index that tells apart what the column's own comparison calls equal does not make it unique.
    """
    sets = []
    for (index,) in connection.execute(_SQL["unique_indexes"], {"table": table, "schema": schema}).fetchall():
        parts = connection.execute(_SQL["index_columns"], {"index": index, "schema": schema}).fetchall()
        if all(name is not None and not (name in loose and collation.upper() == "BINARY") for name, collation in parts):
            sets.append(frozenset(name for name, _ in parts))
    return sets


def _has_loose_equality(connection: sqlite3.Connection, table: str, column: str) -> bool:
    statement = _SQL["count_different"].format(column=quote(column), table=quote_table(table))
    return bool(connection.execute(statement).fetchone()[0] != _DISTINCT_TEXTS)


def _key_kind(type_name: str) -> KeyKind | None:
    declared = type_name.upper()
    if "INT" in declared:
        return "integer"
    if any(word in declared for word in ("CHAR", "CLOB", "TEXT")):
        return "text"
    return "uuid" if declared == "UUID" else None


def _amounts(type_name: str, *, is_generated: bool) -> tuple[Amounts | None, str]:
    declared = type_name.upper()
    if is_generated:
        return None, "the database computes the column itself (GENERATED ALWAYS)"
    if "INT" in declared:
        return Amounts(), ""
    if any(word in declared for word in _DECIMALS):
        return (
            None,
            "SQLite keeps decimals as floating-point numbers, whose sums are not exact: count cents in an INTEGER",
        )
    if not declared:
        return None, "a column without a declared type can hold anything"
    return None, "it is not declared as an integer"
