"""What DuckDB says of a table, and which column types hold an event's values."""

from __future__ import annotations

import re

import duckdb

from writebehind.columns import ColumnKind, ColumnType
from writebehind.databases.blocks import load_blocks
from writebehind.databases.duckdb.connections import rows_of
from writebehind.databases.duckdb.errors import translated
from writebehind.errors import MappingError
from writebehind.mapping import ColumnShape, TableShape
from writebehind.values import KeyKind

_SQL = load_blocks(__package__, "shape.sql")

_INTEGER_BITS = {"TINYINT": 8, "SMALLINT": 16, "INTEGER": 32, "BIGINT": 64}
_KINDS: dict[str, ColumnKind] = {
    "VARCHAR": "text",
    "BOOLEAN": "boolean",
    "TIMESTAMP WITH TIME ZONE": "timestamp_tz",
    "TIMESTAMP": "timestamp",
    "DATE": "date",
    "TIME": "time",
    "UUID": "uuid",
    "JSON": "json",
    "BLOB": "bytes",
}
_KEY_KINDS: dict[str, KeyKind] = {"integer": "integer", "text": "text", "uuid": "uuid"}
_DECIMAL = re.compile(r"DECIMAL\((\d+),(\d+)\)")
_DEFAULT_SCHEMA = "main"


def quote(name: str) -> str:
    """A name as an SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def split_table(table: str) -> tuple[str, str]:
    """Schema and name of ``"warehouse.clicks"``; without a dot it is in ``main``."""
    schema, dot, name = table.partition(".")
    return (schema, name) if dot else (_DEFAULT_SCHEMA, table)


def quote_table(connection: duckdb.DuckDBPyConnection, table: str) -> str:
    """The quoted name of a table, whole: DuckDB would not know whether ``a.b`` is in a schema or a file called a."""
    with translated("asking for the file's name"):
        [(file,)] = connection.execute("SELECT current_database()").fetchall()
    return ".".join(quote(part) for part in (str(file), *split_table(table)))


def read_shape(connection: duckdb.DuckDBPyConnection, table: str) -> TableShape | None:
    """The shape of a table; None where there is none.

    :raises MappingError: where the name is a view's.
    """
    schema, name = split_table(table)
    facts = {"schema": schema, "table": name}
    found = rows_of(connection, _SQL["find_table"], facts)
    if not found:
        return None
    if found[0][0] == "view":
        raise MappingError(
            f"{table!r} is a view",
            why="events are appended to tables alone",
            fix="Name the table that holds the rows.",
        )
    where = quote_table(connection, table)
    columns = {
        column: _column_shape(
            column,
            type_name,
            required,
            has_default=default is not None,
            is_generated=default is not None and _is_generated(connection, where, column),
        )
        for column, type_name, required, default in rows_of(connection, _SQL["columns"], facts)
    }
    sets = rows_of(connection, _SQL["unique_sets"], facts)
    primary = next((tuple(names) for is_primary, names in sets if is_primary), ())
    return TableShape(table, columns, primary, tuple(frozenset(names) for _, names in sets))


def _is_generated(connection: duckdb.DuckDBPyConnection, table: str, column: str) -> bool:
    """Whether nobody may write a column. The catalogs show what it is made of as if that were a default."""
    try:
        connection.execute(_SQL["write_one_column"].format(table=table, column=quote(column)))
    except duckdb.BinderException as error:
        if "generated column" in str(error):
            return True
        raise
    return False


def _column_shape(name: str, type_name: str, required: bool, *, has_default: bool, is_generated: bool) -> ColumnShape:
    value_type, refusal = _value_type(type_name, is_required=required)
    return ColumnShape(
        name=name,
        type_name=type_name,
        key_kind=None if value_type is None else _KEY_KINDS.get(value_type.kind),
        refusal="DuckDB serves event logs alone",
        required=required and not has_default,
        value_type=value_type,
        value_refusal=refusal,
        default_is_computed=has_default,
        is_generated=is_generated,
    )


def _value_type(type_name: str, *, is_required: bool) -> tuple[ColumnType | None, str]:
    """What a column holds, or why its values would not be kept as they are."""
    if type_name in _INTEGER_BITS:
        return ColumnType("integer", type_name, _INTEGER_BITS[type_name], is_required=is_required), ""
    if type_name in ("DOUBLE", "FLOAT"):
        bits = 64 if type_name == "DOUBLE" else 32
        return ColumnType("float", type_name, bits, is_required=is_required, allows_nan=True), ""
    decimal = _DECIMAL.fullmatch(type_name)
    if decimal:
        precision, scale = int(decimal[1]), int(decimal[2])
        return ColumnType("decimal", type_name, precision=precision, scale=scale, is_required=is_required), ""
    if type_name.startswith("ENUM("):
        return ColumnType("text", type_name, is_required=is_required), ""
    if type_name in _KINDS:
        return ColumnType(_KINDS[type_name], type_name, is_required=is_required), ""
    return None, f"the library does not know how values of the type {type_name} are kept in DuckDB"
