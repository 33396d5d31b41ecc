"""What PostgreSQL's catalogs say of a table, and which column types can be keys and counters."""

from __future__ import annotations

from dataclasses import dataclass

from psycopg.rows import class_row

from writebehind.databases.blocks import load_blocks
from writebehind.databases.postgresql.column_types import CatalogColumn, constant_default, unpack_numeric, value_type
from writebehind.databases.postgresql.connections import PgConnection
from writebehind.errors import MappingError
from writebehind.mapping import ColumnShape, TableShape
from writebehind.values import INT64_MAX, INT64_MIN, Amounts, KeyKind

_SQL = load_blocks(__package__, "shape.sql")

_INTEGER_BITS = {"int2": 16, "int4": 32, "int8": 64}
_TEXT_TYPES = ("text", "varchar", "bpchar")
_KIND_WORDS = {"v": "a view", "m": "a materialized view", "f": "a foreign table", "S": "a sequence"}
MAX_SCALE = 18
"""The most decimal places of a counter: with more, not even 9 would fit into 64 bits."""


@dataclass(frozen=True, slots=True)
class _CatalogIndex:
    """A row of the block ``unique_indexes``."""

    names: list[str]
    is_primary: bool
    is_unique: bool


def split_table(table: str) -> tuple[str | None, str]:
    """Schema and name of ``"shop.videos"``; without a dot the search_path decides."""
    schema, dot, name = table.partition(".")
    return (schema, name) if dot else (None, table)


def read_shape(connection: PgConnection, table: str) -> TableShape | None:
    """The shape of a table; None where there is none.

    :raises MappingError: where the name is a view's or another thing's that has no rows of its own.
    """
    schema, name = split_table(table)
    found = connection.execute(_SQL["find_table"], {"schema": schema, "table": name}).fetchone()
    if found is None:
        return None
    identity, kind = found
    if kind not in ("r", "p"):
        raise MappingError(
            f"{table!r} is {_KIND_WORDS.get(kind, 'not a table')}",
            why="rows are counted in tables alone",
            fix="Name the table that holds the rows.",
        )
    with connection.cursor(row_factory=class_row(CatalogColumn)) as cursor:
        columns = cursor.execute(_SQL["columns"], {"table": identity}).fetchall()
    with connection.cursor(row_factory=class_row(_CatalogIndex)) as index_cursor:
        indexes = index_cursor.execute(_SQL["unique_indexes"], {"table": identity}).fetchall()
    primary = next((tuple(index.names) for index in indexes if index.is_primary), ())
    unique = tuple(frozenset(index.names) for index in indexes if index.is_unique)
    return TableShape(table, {column.name: _column_shape(column) for column in columns}, primary, unique)


def _column_shape(column: CatalogColumn) -> ColumnShape:
    key_kind, key_refusal = _key_kind(column)
    amounts, amounts_refusal = _amounts(column)
    kept, value_refusal = value_type(column)
    default_text, default_is_computed = constant_default(column, kept)
    return ColumnShape(
        name=column.name,
        type_name=column.type_name,
        key_kind=key_kind,
        amounts=amounts,
        refusal="; ".join(filter(None, (amounts_refusal, key_refusal))),
        required=column.required and not column.is_generated,
        needs_grouping=key_kind == "text" and (column.base in ("bpchar", "citext") or column.has_loose_equality),
        value_type=kept,
        value_refusal=value_refusal,
        default_text=default_text,
        default_is_computed=default_is_computed,
        is_generated=column.is_always_generated,
    )


def _key_kind(column: CatalogColumn) -> tuple[KeyKind | None, str]:
    if column.is_builtin and column.base in _INTEGER_BITS:
        return "integer", ""
    if column.is_builtin and column.base in _TEXT_TYPES:
        return "text", ""
    if column.is_builtin and column.base == "uuid":
        return "uuid", ""
    if column.base == "citext" and column.is_visible:
        return "text", ""
    if column.base == "citext":
        return None, "citext is in a schema outside the search_path, so that its = would compare as text does"
    return None, "keys of this type have no one text that stands for them"


def _amounts(column: CatalogColumn) -> tuple[Amounts | None, str]:
    if column.is_generated:
        return None, "the database computes the column itself (GENERATED ALWAYS)"
    if column.is_builtin and column.base in _INTEGER_BITS:
        half = 2 ** (_INTEGER_BITS[column.base] - 1)
        return Amounts(lowest=-half, highest=half - 1), ""
    if column.is_builtin and column.base == "numeric":
        return _decimal_amounts(column.modifier)
    if column.is_builtin and column.base in ("float4", "float8"):
        return None, "sums of floating-point numbers would not be exact"
    return None, "it does not hold numbers that can be added exactly"


def _decimal_amounts(modifier: int) -> tuple[Amounts | None, str]:
    if modifier < 0:
        return None, "NUMERIC needs a scale (for example NUMERIC(18, 2))"
    precision, scale = unpack_numeric(modifier)
    if not 0 <= scale <= MAX_SCALE:
        return None, f"NUMERIC with a scale of {scale} is not among the 0 to {MAX_SCALE} that 64 bits allow"
    limit = 10**precision - 1
    return Amounts(scale, max(-limit, INT64_MIN), min(limit, INT64_MAX)), ""
