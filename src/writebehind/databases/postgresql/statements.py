"""The parts that statements over the user's tables are composed of, and the keys that go into them.

Inside the statements the given rows are called ``d``, with the key columns k0, k1, ...; the user's table is ``t``.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from psycopg.sql import SQL, Composable, Composed, Identifier, Placeholder

from writebehind.databases.postgresql.arrays import EncodedArray, Int8Array, TextArray, UuidArray
from writebehind.databases.postgresql.shape import split_table
from writebehind.errors import RowRefused
from writebehind.values import KeyColumn, Row


def encode_keys(columns: Sequence[KeyColumn], rows: Sequence[Row]) -> dict[str, EncodedArray]:
    """The key columns of rows as parameters k0, k1, ...

    :raises RowRefused: where a key cannot be sent at all.
    """
    encode: dict[str, Any] = {"integer": Int8Array.encode, "text": TextArray.encode, "uuid": UuidArray.encode}
    with refusing_what_cannot_be_sent():
        return {
            f"k{number}": encode[column.kind]([row[number] for row in rows]) for number, column in enumerate(columns)
        }


@contextmanager
def refusing_what_cannot_be_sent() -> Iterator[None]:
    """:raises RowRefused: for what an array inside the block cannot hold."""
    try:
        yield
    except struct.error as error:
        raise RowRefused("a number beyond 64 bits was refused", why=str(error), sqlstate="22003") from error
    except UnicodeEncodeError as error:
        raise RowRefused("a text that is not Unicode was refused", why=str(error), sqlstate="22021") from error


def same_key(columns: Sequence[KeyColumn]) -> Composed:
    """The condition that a row of the table has a given key."""
    conditions = [
        SQL("t.{} = {}").format(identifier(column.name), as_key(column, name))
        for column, name in zip(columns, numbered("d.k", len(columns)), strict=True)
    ]
    return SQL(" AND ").join(conditions)


def as_key(column: KeyColumn, name: Composable) -> Composable:
    """A given key in a type whose equality is the column's.

    char(n) ignores spaces at the end and citext ignores case, which their comparison with text would not.
    No length is given: a cast to char(10) would cut a longer key, and find another's row.
    """
    if column.kind == "text" and column.needs_grouping:
        if column.type_name.startswith(("character(", "bpchar")):
            return SQL("{}::bpchar").format(name)
        if column.type_name == "citext":
            return SQL("{}::citext").format(name)
    return name


def numbered(prefix: str, count: int) -> list[Composable]:
    """``d.k0, d.k1, ...``"""
    return [SQL(f"{prefix}{number}") for number in range(count)]


def placeholders(prefix: str, count: int) -> list[Composable]:
    """The parameters ``k0, k1, ...``"""
    return [Placeholder(f"{prefix}{number}") for number in range(count)]


def comma(parts: Iterable[Composable]) -> Composed:
    """Parts, with commas between them."""
    return SQL(", ").join(parts)


def table_identifier(table: str) -> SQL:
    """The quoted name of a table, with its schema if it was given one."""
    schema, name = split_table(table)
    return identifier(*((schema, name) if schema is not None else (name,)))


def identifier(*names: str) -> SQL:
    """A quoted name. Its percent signs are doubled, or the driver would look for parameters in it."""
    return SQL(Identifier(*names).as_string().replace("%", "%%"))
