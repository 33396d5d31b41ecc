"""A table as its database describes it: what a mapping is checked against, and the checks that all kinds share."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from writebehind.columns import ColumnType, Text
from writebehind.errors import ColumnMissing, ColumnRefused, TableMissing
from writebehind.values import Amounts, KeyCodec, KeyColumn, KeyKind


@dataclass(frozen=True, slots=True)
class ColumnShape:
    """One column as the database describes it.

    ``type_name`` is the database's own word, for messages. ``key_kind`` is set where the column's
    type can be a key, ``amounts`` where it can be a counter, ``refusal`` says why neither can be.
    ``required`` is true where an INSERT that leaves the column out fails (NOT NULL, no default,
    not generated). ``value_type`` is set where the column can hold a record's or an event's value,
    ``value_refusal`` says why it cannot. ``is_generated``: nobody may write it.
    """

    name: str
    type_name: str
    key_kind: KeyKind | None = None
    amounts: Amounts | None = None
    refusal: str = ""
    required: bool = False
    needs_grouping: bool = False
    """True where the database calls different texts equal (citext, char(n), some collations)."""
    value_type: ColumnType | None = None
    value_refusal: str = ""
    default_text: Text = None
    """The column's default where it is a constant, in the column's canonical text; None is NULL."""
    default_is_computed: bool = False
    """True where the database works the default out anew for each row: now(), a sequence, a random UUID."""
    is_generated: bool = False


NewKind: TypeAlias = Literal["text", "integer", "timestamp_tz"]
"""What a column of a table that the library makes can hold: text, 64-bit integers, moments with a time zone."""


@dataclass(frozen=True, slots=True)
class NewColumn:
    """A column of a table that is to be made. ``default`` is for integers alone; None is none, and so NULL."""

    name: str
    kind: NewKind = "text"
    is_required: bool = False
    default: int | None = None


def counter_columns(key: Sequence[str], columns: Sequence[str]) -> list[NewColumn]:
    """The columns of a table for counting: text keys, and 64-bit counts that begin at 0."""
    return [
        *(NewColumn(name, "text", is_required=True) for name in key),
        *(NewColumn(name, "integer", is_required=True, default=0) for name in columns),
    ]


@dataclass(frozen=True, slots=True)
class TableShape:
    """A table as the database describes it. ``unique`` lists the column sets that are unique."""

    table: str
    columns: dict[str, ColumnShape]
    primary_key: tuple[str, ...]
    unique: tuple[frozenset[str], ...] = field(default=())


def required_shape(shape: TableShape | None, table: str, what: str) -> TableShape:
    """The shape of a table that is there. ``what`` names the mapping: ``the counter 'videos.likes'``.

    :raises TableMissing: it is not.
    """
    if shape is None:
        raise TableMissing(
            f"the table {table!r} of {what} does not exist",
            why="it is not there, or this user may not see it",
            fix="Create it, or correct the name; a schema is written schema.table.",
        )
    return shape


def check_columns(shape: TableShape, names: Iterable[str], what: str) -> None:
    """:raises ColumnMissing: the table has no column of one of these names."""
    for name in names:
        if name not in shape.columns:
            raise ColumnMissing(
                f"the table {shape.table!r} has no column {name!r}",
                why=f"it has {', '.join(sorted(shape.columns))}",
                fix=f"Correct {what} or add the column.",
            )


def bind_key(shape: TableShape, declared: tuple[str, ...], name: str, what: str) -> KeyCodec:
    """The codec of the key columns: those declared, else the primary key. ``name`` is the mapping's.

    :raises ColumnMissing, ColumnRefused: a column is not there, is of no type for keys, or they are not unique.
    """
    names = declared or shape.primary_key
    if not names:
        raise ColumnRefused(
            f"the table {shape.table!r} has no primary key", fix=f'Name the key column of {what}: key="id".'
        )
    check_columns(shape, names, what)
    if frozenset(names) not in shape.unique:
        raise ColumnRefused(
            f"nothing makes the key ({', '.join(names)}) of {shape.table!r} unique",
            why="one write could then change several rows",
            fix="Add a primary key or a unique constraint on exactly these columns.",
        )
    keys = []
    for each in names:
        column = shape.columns[each]
        if column.key_kind is None:
            raise ColumnRefused(
                f"the key column {each!r} of {shape.table!r} has the type {column.type_name}",
                why=column.refusal,
                fix="Use an integer, text or UUID key.",
            )
        keys.append(KeyColumn(each, column.key_kind, column.type_name, column.needs_grouping))
    return KeyCodec(tuple(keys), name)


def check_insertable(shape: TableShape, given: Iterable[str], what: str, fix: str) -> None:
    """:raises ColumnRefused: a new row with only the columns ``given`` would lack a required one."""
    others = [column.name for column in shape.columns.values() if column.required and column.name not in set(given)]
    if others:
        raise ColumnRefused(
            f"missing rows of {shape.table!r} cannot be inserted by {what}",
            why=f"the columns {', '.join(others)} are NOT NULL and have no default",
            fix=fix,
        )
