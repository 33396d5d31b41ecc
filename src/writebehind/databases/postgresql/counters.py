"""Adding to counters and reading them: composing the statements, encoding their columns.

Inside the statements the given rows are called ``d``, with the key columns k0, k1, ... and the amounts
a0, a1, ...; the user's table is ``t``. Amounts are 64-bit units; where the column is NUMERIC, a unit is
10 to the power of minus its scale, and both directions are exact.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal

from psycopg.sql import SQL, Composable, Composed, Placeholder

from writebehind.databases.blocks import load_blocks
from writebehind.databases.contract import CounterRows, RowsWritten
from writebehind.databases.postgresql.arrays import EncodedArray, Int8Array
from writebehind.databases.postgresql.connections import PgConnection
from writebehind.databases.postgresql.errors import translated
from writebehind.databases.postgresql.statements import (
    as_key,
    comma,
    encode_keys,
    identifier,
    numbered,
    refusing_what_cannot_be_sent,
    same_key,
    table_identifier,
)
from writebehind.mapping import BoundCounter
from writebehind.values import Amounts, KeyColumn, Row

_SQL = load_blocks(__package__, "flush.sql")


def add_to_counters(connection: PgConnection, change: CounterRows) -> RowsWritten:
    """See ``contract.Transaction.add_to_counters``.

    First a plain UPDATE, whose count says whether all rows were there, as they nearly always are. If not, it
    is undone, and done again by a statement that also tells which were not there, a fifth slower.
    """
    if not change.rows:
        return RowsWritten(0, 0)
    counters, size = change.counters, len(change.rows)
    parameters = _parameters(counters, change.rows, change.amounts)
    with translated(f"adding to {counters[0].mapping.table!r}"):
        if not _is_grouped(counters):  # there, fewer rows are no sign of anything
            connection.execute("SAVEPOINT writebehind_update")
            if connection.execute(_update("update", counters), parameters).rowcount == size:
                # The savepoint is left to the transaction's end, which saves a round trip.
                return RowsWritten(size, 1)
            connection.execute("ROLLBACK TO SAVEPOINT writebehind_update; RELEASE SAVEPOINT writebehind_update")
        found = connection.execute(_update("update_and_find_missing", counters), parameters).fetchall()
        missing = sorted(position for (position,) in found)
        written = RowsWritten(size - len(missing), 1 if _is_grouped(counters) else 2, missing)
        if missing and counters[0].mapping.missing == "insert":
            return _insert(connection, change, written)
    return written


def _is_grouped(counters: Sequence[BoundCounter]) -> bool:
    return any(column.needs_grouping for column in counters[0].keys.columns)


def _update(block: str, counters: Sequence[BoundCounter]) -> Composed:
    assignments = [
        SQL("{0} = COALESCE(t.{0} + {1}, {1}, t.{0})").format(identifier(counter.mapping.column), amount)
        for counter, amount in zip(counters, _amount_values(counters), strict=True)
    ]
    return _block(block).format(
        table=table_identifier(counters[0].mapping.table),
        given=_given(counters),
        assignments=comma(assignments),
        same_key=same_key(counters[0].keys.columns),
    )


def _insert(connection: PgConnection, change: CounterRows, written: RowsWritten) -> RowsWritten:
    """Insert the missing rows: one statement for each set of counters that rows have amounts for.

    A counter without an amount is left out of the statement, so that a new row gets the column's own
    default. Existing rows were updated before and not by the ON CONFLICT: its INSERT half would check
    constraints, such as ``likes >= 0``, against the amount alone, and use up a sequence's numbers.
    """
    rows_of: dict[tuple[int, ...], list[int]] = {}
    for position in written.missing:
        given = tuple(c for c in range(len(change.counters)) if change.amounts[c][position] is not None)
        rows_of.setdefault(given, []).append(position)
    rows_of.pop((), None)  # no amount at all: there is nothing to insert
    for given, positions in rows_of.items():
        counters = [change.counters[c] for c in given]
        rows = [change.rows[position] for position in positions]
        amounts = [[change.amounts[c][position] for position in positions] for c in given]
        connection.execute(_insert_statement(counters), _parameters(counters, rows, amounts))
    return RowsWritten(len(change.rows), written.statements + len(rows_of))


def _insert_statement(counters: Sequence[BoundCounter]) -> Composed:
    keys = [identifier(column.name) for column in counters[0].keys.columns]
    columns = [identifier(counter.mapping.column) for counter in counters]
    return _block("insert").format(
        table=table_identifier(counters[0].mapping.table),
        columns=comma([*keys, *columns]),
        values=comma([*numbered("d.k", len(keys)), *_amount_values(counters)]),
        given=_given(counters),
        key_columns=comma(keys),
        conflict_assignments=comma(
            SQL("{0} = COALESCE(t.{0} + excluded.{0}, excluded.{0})").format(column) for column in columns
        ),
    )


def read_counter_statement(counter: BoundCounter) -> Composed:
    """The block ``read_counter`` for one counter: its parameters are those of the ledger and the key arrays."""
    columns = counter.keys.columns
    value = SQL("COALESCE(t.{}, 0)").format(identifier(counter.mapping.column))
    if counter.amounts.scale:
        value = SQL("({} * {})::bigint").format(value, SQL(str(10**counter.amounts.scale)))
    return _block("read_counter").format(
        units=SQL("{}::bigint").format(value),
        table=table_identifier(counter.mapping.table),
        arrays=comma(Placeholder(f"k{number}") for number in range(len(columns))),
        names=comma(numbered("k", len(columns))),
        same_key=same_key(columns),
    )


def _parameters(
    counters: Sequence[BoundCounter], rows: Sequence[Row], amounts: Sequence[Sequence[int | None]]
) -> Mapping[str, EncodedArray]:
    parameters = encode_keys(counters[0].keys.columns, rows)
    with refusing_what_cannot_be_sent():
        return parameters | {f"a{number}": Int8Array.encode(column) for number, column in enumerate(amounts)}


def _given(counters: Sequence[BoundCounter]) -> Composed:
    """The rows that the parameters hold; grouped where different texts can be equal keys."""
    columns = counters[0].keys.columns
    keys, amounts = numbered("k", len(columns)), numbered("a", len(counters))
    facts = {
        "keys": comma(_cast(column, name) for column, name in zip(columns, keys, strict=True)),
        "amounts": comma(amounts),
        "arrays": comma(
            [Placeholder(f"k{n}") for n in range(len(keys))] + [Placeholder(f"a{n}") for n in range(len(amounts))]
        ),
        "names": comma([*keys, *amounts]),
    }
    if not _is_grouped(counters):
        return _block("given").format(**facts)
    return _block("given_grouped").format(
        **facts,
        table=table_identifier(counters[0].mapping.table),
        table_keys=comma(
            SQL("t.{} AS {}").format(identifier(column.name), name) for column, name in zip(columns, keys, strict=True)
        ),
        null_amounts=comma(SQL("NULL::bigint AS {}").format(name) for name in amounts),
        grouped_keys=comma(keys),
        sums=comma(SQL("sum({0}) AS {0}").format(name) for name in amounts),
        group_by=comma(keys),
    )


def _cast(column: KeyColumn, name: Composable) -> Composable:
    """The given key as ``k0``, in a type whose equality is the column's."""
    return SQL("{} AS {}").format(as_key(column, name), name)


def _amount_values(counters: Sequence[BoundCounter]) -> list[Composable]:
    return [
        _in_column(name, counter.amounts)
        for name, counter in zip(numbered("d.a", len(counters)), counters, strict=True)
    ]


def _in_column(units: Composable, amounts: Amounts) -> Composable:
    if not amounts.scale:
        return units
    return SQL("({} * {})").format(units, SQL(f"{Decimal(1).scaleb(-amounts.scale):f}"))


def _block(name: str) -> SQL:
    return SQL(_SQL[name])
