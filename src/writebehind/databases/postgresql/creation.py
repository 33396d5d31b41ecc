"""Making the tables that a command was asked to make."""

from __future__ import annotations

from collections.abc import Sequence

from psycopg.sql import SQL, Composable, Composed

from writebehind.databases.blocks import load_blocks
from writebehind.databases.postgresql.statements import comma, identifier, table_identifier
from writebehind.mapping import NewColumn, NewKind

_SQL = load_blocks(__package__, "flush.sql")
_TYPES: dict[NewKind, str] = {"text": "text", "integer": "bigint", "timestamp_tz": "timestamptz"}


def create_table_statement(table: str, columns: Sequence[NewColumn], key: Sequence[str]) -> Composed:
    """The block ``create_table``."""
    definitions: list[Composable] = [_definition(column) for column in columns]
    if key:
        definitions.append(SQL("PRIMARY KEY ({})").format(comma(map(identifier, key))))
    return SQL(_SQL["create_table"]).format(table=table_identifier(table), definitions=comma(definitions))


def _definition(column: NewColumn) -> Composed:
    required = " NOT NULL" if column.is_required else ""
    default = "" if column.default is None else f" DEFAULT {column.default:d}"
    return SQL("{} {}").format(identifier(column.name), SQL(_TYPES[column.kind] + required + default))
