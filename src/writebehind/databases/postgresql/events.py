"""Appending events by COPY, in its text format: the columns' canonical texts are what the server reads."""

from __future__ import annotations

from collections.abc import Sequence

from psycopg.sql import SQL

from writebehind.columns import Text
from writebehind.databases.blocks import load_blocks
from writebehind.databases.contract import EventRows, RowsWritten
from writebehind.databases.event_groups import EventGroup, event_groups
from writebehind.databases.postgresql.connections import PgConnection
from writebehind.databases.postgresql.errors import translated
from writebehind.databases.postgresql.statements import (
    comma,
    identifier,
    refusing_what_cannot_be_sent,
    table_identifier,
)
from writebehind.errors import RowRefused

_SQL = load_blocks(__package__, "events.sql")

_NULL = "\\N"
# The backslash comes first: the others are replaced by some. A bare carriage return would be read as a line's end.
_ESCAPES = {"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"}
_BETWEEN = "\x00"
"""PostgreSQL's texts cannot hold it, so it may stand between them while all are escaped at once."""


def append_events(connection: PgConnection, change: EventRows) -> RowsWritten:
    """See ``contract.Transaction.append_events``: one COPY for each set of columns that the events have."""
    statements = 0
    with translated(f"appending to {change.log.mapping.table!r}"), refusing_what_cannot_be_sent():
        for group in event_groups(change):
            _append(connection, change.log.mapping.table, group)
            statements += 1
    return RowsWritten(len(change.events), statements)


def try_to_append(connection: PgConnection, change: EventRows) -> None:
    """Append events, and check at once what would be checked at the commit.

    :raises RowRefused: some event's data is refused.
    """
    append_events(connection, change)
    with translated(f"appending to {change.log.mapping.table!r}"):
        connection.execute(_SQL["check_now"])


def _append(connection: PgConnection, table: str, group: EventGroup) -> None:
    if not group.columns:
        insert = SQL(_SQL["insert_defaults"]).format(table=table_identifier(table))
        connection.execute(insert, {"count": len(group.events)})
        return
    columns = comma(identifier(name) for name in group.columns)
    statement = SQL(_SQL["copy"]).format(table=table_identifier(table), columns=columns).as_bytes()
    # Without parameters the driver leaves percent signs as they are, which names have twice.
    with connection.cursor() as cursor, cursor.copy(statement.replace(b"%%", b"%")) as copy:
        for columns_of_slice in group.slices():
            copy.write(encode_lines(columns_of_slice))


def encode_lines(columns: Sequence[Sequence[Text]]) -> bytes:
    """Columns of texts as the lines that COPY reads.

    :raises RowRefused: a text has a NUL character.
    """
    lines = map("\t".join, zip(*map(_escaped, columns), strict=True))
    return ("\n".join(lines) + "\n").encode()


def _escaped(values: Sequence[Text]) -> Sequence[str]:
    """The texts with their backslashes and the characters that separate fields and lines escaped.

    All are searched and replaced as one text, since a call for each of them would take longer than all the rest.
    """
    nulls = [number for number, value in enumerate(values) if value is None] if None in values else []
    texts = ["" if value is None else value for value in values] if nulls else values
    whole = _BETWEEN.join(texts)  # type: ignore[arg-type]  # without None
    if any(character in whole for character in _ESCAPES):
        for character, escape in _ESCAPES.items():
            whole = whole.replace(character, escape)
        texts = whole.split(_BETWEEN)
        if len(texts) != len(values):
            raise RowRefused("a text with a NUL character was refused", sqlstate="22021")
    if nulls:
        texts = list(texts)
        for number in nulls:
            texts[number] = _NULL
    return texts  # type: ignore[return-value]  # without None
