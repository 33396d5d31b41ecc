"""Changing records and reading them: composing the statements, encoding their columns.

Deletions come first, then one UPDATE of all rows that are there, then the rows that are not. Existing rows are not
updated by an INSERT ... ON CONFLICT: its INSERT half would refuse a change that leaves out a NOT NULL column.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from psycopg.sql import SQL, Composable, Composed

from writebehind.changes import RecordChange
from writebehind.columns import ColumnType, Text
from writebehind.databases.blocks import load_blocks
from writebehind.databases.contract import ABSENT, RecordRows, RowAbsent, RowsWritten
from writebehind.databases.postgresql.arrays import EncodedArray, Int8Array, TextArray
from writebehind.databases.postgresql.connections import PgConnection
from writebehind.databases.postgresql.errors import translated
from writebehind.databases.postgresql.statements import (
    comma,
    encode_keys,
    identifier,
    numbered,
    placeholders,
    refusing_what_cannot_be_sent,
    same_key,
    table_identifier,
)
from writebehind.databases.postgresql.texts import canonical_maker, text_expression
from writebehind.databases.records import named_columns, positions_by_columns
from writebehind.mapping import BoundRecords
from writebehind.values import Row

_SQL = load_blocks(__package__, "records.sql")

MAX_STATEMENT_CHARACTERS = 64 * 2**20
"""A batch with more text is written in several statements: the server takes no message of 1 GiB."""
_MASK_BITS = 63


def write_records(connection: PgConnection, change: RecordRows) -> RowsWritten:
    """See ``contract.Transaction.write_records``."""
    with translated(f"changing the records {change.records.name!r}"):
        operations = [each.operation for each in change.changes]
        statements = _delete(connection, change, [n for n, operation in enumerate(operations) if operation != "upsert"])
        missing, updates = _update(connection, change, [n for n, what in enumerate(operations) if what == "upsert"])
        renewed = (n for n, operation in enumerate(operations) if operation == "renew")
        statements += updates + _insert(connection, change, sorted([*missing, *renewed]))
    return RowsWritten(len(change.rows), statements)


def _delete(connection: PgConnection, change: RecordRows, positions: Sequence[int]) -> int:
    """Delete rows; how many statements it took."""
    if not positions:
        return 0
    keys = change.records.keys.columns
    statement = _block("delete").format(
        table=table_identifier(change.records.mapping.table),
        arrays=comma(placeholders("k", len(keys))),
        names=comma(numbered("k", len(keys))),
        same_key=same_key(keys),
    )
    connection.execute(statement, encode_keys(keys, [change.rows[n] for n in positions]))
    return 1


def _update(connection: PgConnection, change: RecordRows, positions: Sequence[int]) -> tuple[Sequence[int], int]:
    """Update the rows that are there; which are not, and how many statements it took."""
    names = named_columns(change, positions)
    if not names:
        return positions, 0  # nothing to set: the rows have to be there, no more
    missing: list[int] = []
    statements = 0
    for part in _parts(change, positions):
        masks = _masks([change.changes[n] for n in part], names)
        statement = _update_statement(change.records, names, len(masks))
        parameters = _parameters(change, part, names) | {
            f"m{number}": Int8Array.encode(mask) for number, mask in enumerate(masks)
        }
        there = {part[found] for (found,) in connection.execute(statement, parameters).fetchall()}
        missing += [n for n in part if n not in there]
        statements += 1
    return missing, statements


def _update_statement(records: BoundRecords, names: Sequence[str], masks: int) -> Composed:
    keys = len(records.keys.columns)
    assignments = []
    for number, name in enumerate(names):
        column, value = identifier(name), _typed(records.columns[name], number)
        if masks:
            is_given = SQL(f"d.m{number // _MASK_BITS} & {1 << number % _MASK_BITS} <> 0")
            value = SQL("CASE WHEN {} THEN {} ELSE t.{} END").format(is_given, value, column)
        assignments.append(SQL("{} = {}").format(column, value))
    prefixes = {"k": keys, "v": len(names), "m": masks}
    return _block("update").format(
        table=table_identifier(records.mapping.table),
        assignments=comma(assignments),
        arrays=comma(part for prefix, count in prefixes.items() for part in placeholders(prefix, count)),
        names=comma(part for prefix, count in prefixes.items() for part in numbered(prefix, count)),
        same_key=same_key(records.keys.columns),
    )


def _masks(changes: Sequence[RecordChange], names: Sequence[str]) -> list[list[int]]:
    """Which columns each row names, in words of 63 bits; none where every row names them all."""
    if all(len(change.columns) == len(names) for change in changes):
        return []
    bits = {name: 1 << number for number, name in enumerate(names)}
    whole = [sum(map(bits.__getitem__, change.columns)) for change in changes]
    words = range(0, len(names), _MASK_BITS)
    return [[mask >> start & (1 << _MASK_BITS) - 1 for mask in whole] for start in words]


def _insert(connection: PgConnection, change: RecordRows, positions: Sequence[int]) -> int:
    """Insert rows: one statement for each set of columns, so that the others get their defaults; how many."""
    statements = 0
    for names, group in positions_by_columns(change, positions):
        statement = _insert_statement(change.records, names)
        for part in _parts(change, group):
            connection.execute(statement, _parameters(change, part, names))
            statements += 1
    return statements


def _insert_statement(records: BoundRecords, names: Sequence[str]) -> Composed:
    keys = [identifier(column.name) for column in records.keys.columns]
    columns = [identifier(name) for name in names]
    values = [_typed(records.columns[name], number) for number, name in enumerate(names)]
    assignments = [SQL("{0} = excluded.{0}").format(column) for column in columns]
    return _block("insert").format(
        table=table_identifier(records.mapping.table),
        columns=comma([*keys, *columns]),
        values=comma([*numbered("d.k", len(keys)), *values]),
        arrays=comma([*placeholders("k", len(keys)), *placeholders("v", len(names))]),
        names=comma([*numbered("k", len(keys)), *numbered("v", len(names))]),
        key_columns=comma(keys),
        on_conflict=SQL("UPDATE SET {}").format(comma(assignments)) if assignments else SQL("NOTHING"),
    )


def _typed(column: ColumnType, number: int) -> Composable:
    return SQL("d.v{}::{}").format(SQL(str(number)), SQL(column.sql_type.replace("%", "%%")))


def _parameters(change: RecordRows, positions: Sequence[int], names: Sequence[str]) -> dict[str, EncodedArray]:
    """Keys, and the texts of columns; NULL also for a column that the row does not name."""
    parameters = encode_keys(change.records.keys.columns, [change.rows[n] for n in positions])
    columns = [change.changes[n].columns for n in positions]
    with refusing_what_cannot_be_sent():
        for number, name in enumerate(names):
            parameters[f"v{number}"] = TextArray.encode([texts.get(name) for texts in columns])
    return parameters


def _parts(change: RecordRows, positions: Sequence[int]) -> Iterator[Sequence[int]]:
    """The positions, in as few parts as one message to the server allows."""
    start, characters = 0, 0
    for number, position in enumerate(positions):
        size = sum(map(len, filter(None, change.changes[position].columns.values())))
        if characters and characters + size > MAX_STATEMENT_CHARACTERS:
            yield positions[start:number]
            start, characters = number, 0
        characters += size
    yield positions[start:]


def read_versions(connection: PgConnection, records: BoundRecords, rows: Sequence[Row]) -> list[Text | RowAbsent]:
    """See ``contract.Transaction.read_versions``."""
    version = records.mapping.version
    assert version is not None, "no version column was declared"
    keys, kind = records.keys.columns, records.columns[version]
    statement = _block("read_versions").format(
        version=text_expression(kind, _column(version)),
        arrays=comma(placeholders("k", len(keys))),
        names=comma(numbered("k", len(keys))),
        table=table_identifier(records.mapping.table),
        same_key=same_key(keys),
    )
    versions: list[Text | RowAbsent] = [ABSENT] * len(rows)
    with translated(f"reading versions of {records.name!r}"):
        found = connection.execute(statement, encode_keys(keys, rows)).fetchall()
    for (position, _), text in zip(found, _canonical([text for _, text in found], kind), strict=True):
        versions[position] = text
    return versions


def read_records_statement(records: BoundRecords) -> Composed:
    """The block ``read_records``: its parameters are those of the ledger and the key arrays."""
    keys = records.keys.columns
    values = [
        SQL("{} AS c{}").format(text_expression(column, _column(name)), SQL(str(number)))
        for number, (name, column) in enumerate(records.columns.items())
    ]
    return _block("read_records").format(
        values=comma([SQL("d.position - 1 AS position"), *values]),
        table=table_identifier(records.mapping.table),
        arrays=comma(placeholders("k", len(keys))),
        names=comma(numbered("k", len(keys))),
        same_key=same_key(keys),
    )


def found_records(
    records: BoundRecords, rows: Sequence[Row], found: Sequence[tuple[Any, ...]]
) -> dict[Row, Mapping[str, Text]]:
    """The records in the answer of ``read_records_statement``, under the keys as they were asked."""
    there = [answer[2:] for answer in found if answer[2] is not None]
    columns = [
        _canonical([answer[number] for answer in there], column)
        for number, column in enumerate(records.columns.values(), 1)
    ]
    names = tuple(records.columns)
    return {
        rows[answer[0]]: dict(zip(names, (texts[number] for texts in columns), strict=True))
        for number, answer in enumerate(there)
    }


def _canonical(texts: Sequence[Text], column: ColumnType) -> Sequence[Text]:
    make = canonical_maker(column)
    return texts if make is None else [None if text is None else make(text) for text in texts]


def _column(name: str) -> Composable:
    return SQL("t.{}").format(identifier(name))


def _block(name: str) -> SQL:
    return SQL(_SQL[name])
