"""Making the tables that a command was asked to make."""

from __future__ import annotations

from collections.abc import Sequence

import duckdb

from writebehind.databases.blocks import load_blocks
from writebehind.databases.duckdb.shape import quote, quote_table
from writebehind.mapping import NewColumn, NewKind

_SQL = load_blocks(__package__, "events.sql")
_TYPES: dict[NewKind, str] = {"text": "VARCHAR", "integer": "BIGINT", "timestamp_tz": "TIMESTAMPTZ"}


def create_table(connection: duckdb.DuckDBPyConnection, table: str, columns: Sequence[NewColumn]) -> None:
    """The block ``create_table``."""
    definitions = ", ".join(map(_definition, columns))
    connection.execute(_SQL["create_table"].format(table=quote_table(connection, table), definitions=definitions))


def _definition(column: NewColumn) -> str:
    required = " NOT NULL" if column.is_required else ""
    default = "" if column.default is None else f" DEFAULT {column.default:d}"
    return f"{quote(column.name)} {_TYPES[column.kind]}{required}{default}"
