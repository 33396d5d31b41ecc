"""Making the tables that a command was asked to make."""

from __future__ import annotations

from collections.abc import Sequence

from writebehind.databases.blocks import load_blocks
from writebehind.databases.duckdb.shape import quote, quote_table
from writebehind.mapping import NewColumn, NewKind

_SQL = load_blocks(__package__, "events.sql")
_TYPES: dict[NewKind, str] = {"text": "VARCHAR", "integer": "BIGINT", "timestamp_tz": "TIMESTAMPTZ"}


def create_table_statement(table: str, columns: Sequence[NewColumn]) -> str:
    """The block ``create_table``."""
    definitions = ", ".join(map(_definition, columns))
    return _SQL["create_table"].format(table=quote_table(table), definitions=definitions)


def _definition(column: NewColumn) -> str:
    required = " NOT NULL" if column.is_required else ""
    default = "" if column.default is None else f" DEFAULT {column.default:d}"
    return f"{quote(column.name)} {_TYPES[column.kind]}{required}{default}"
