"""Making the tables that a command was asked to make."""

from __future__ import annotations

from collections.abc import Sequence

from writebehind.databases.blocks import load_blocks
from writebehind.databases.sqlite.shape import quote, quote_table
from writebehind.mapping import NewColumn, NewKind

_SQL = load_blocks(__package__, "tables.sql")
_TYPES: dict[NewKind, str] = {"text": "TEXT", "integer": "INTEGER", "timestamp_tz": "TIMESTAMPTZ"}


def create_table_statement(table: str, columns: Sequence[NewColumn], key: Sequence[str]) -> str:
    """The block ``create_table``."""
    definitions = [_definition(column) for column in columns]
    if key:
        definitions.append(f"PRIMARY KEY ({', '.join(map(quote, key))})")
    return _SQL["create_table"].format(table=quote_table(table), definitions=", ".join(definitions))


def _definition(column: NewColumn) -> str:
    required = " NOT NULL" if column.is_required else ""
    default = "" if column.default is None else f" DEFAULT {column.default:d}"
    return f"{quote(column.name)} {_TYPES[column.kind]}{required}{default}"
