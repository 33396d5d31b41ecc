"""What an application declares: which column receives which writes.

A mapping is checked twice: here for what can be known without a server, and by the database when
it is bound to its table (``TableShape`` in, ``BoundCounter`` out).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import quote

from writebehind.errors import ColumnMissing, ColumnRefused, ConfigurationError, TableMissing
from writebehind.values import Amounts, KeyCodec, KeyColumn, KeyKind

Missing = Literal["dead_letter", "insert", "ignore"]
MISSING_POLICIES: tuple[Missing, ...] = ("dead_letter", "insert", "ignore")

MAX_NAME_LENGTH = 200
_NAME = re.compile(r"[^\x00-\x1f\x7f]+")


@dataclass(frozen=True, slots=True)
class CounterMapping:
    """A counter: one numeric column of one table, incremented by key.

    ``table`` may carry a schema (``"shop.videos"``). ``key`` names the key columns; empty means the
    table's primary key. ``missing`` says what happens to an amount whose row does not exist at the
    flush. ``partitions`` spreads the keys; it is part of the declaration and equal everywhere.
    ``cached_value_ttl_ms`` is how long a total that was read from the database may be answered from
    the cache, and so how long a change made in the database from outside may stay unseen.
    """

    table: str
    column: str
    key: tuple[str, ...] = ()
    missing: Missing = "dead_letter"
    partitions: int = 1
    cached_value_ttl_ms: int = 60_000

    @property
    def name(self) -> str:
        """The mapping's name, for example ``videos.likes``; its identity in cache and ledger."""
        return f"{self.table}.{self.column}"

    @classmethod
    def parse(
        cls,
        target: str,
        *,
        key: str | tuple[str, ...] | list[str] | None = None,
        missing: str = "dead_letter",
        partitions: int = 1,
        cached_value_ttl_ms: int = 60_000,
    ) -> CounterMapping:
        """Build a mapping from ``"table.column"`` (or ``"schema.table.column"``).

        :raises ConfigurationError: naming the argument and what it must be.
        """
        where = f"counter({target!r})"
        table, dot, column = target.rpartition(".")
        if not (dot and table and column and len(target) <= MAX_NAME_LENGTH and _NAME.fullmatch(target)):
            raise ConfigurationError(
                f"{where}: the target is not TABLE.COLUMN",
                fix='Name the table and the column, for example "videos.likes".',
            )
        columns = (key,) if isinstance(key, str) else tuple(key or ())
        if any(not isinstance(name, str) or not name for name in columns) or len(set(columns)) != len(columns):
            raise ConfigurationError(
                f"{where}: key={key!r} is not a column name or a list of different ones",
                fix='Write key="id", or key=["board", "player"] for a composite key.',
            )
        if missing not in MISSING_POLICIES:
            raise ConfigurationError(
                f"{where}: missing={missing!r} is not a policy",
                fix=f"Use one of {', '.join(MISSING_POLICIES)}.",
            )
        if not (isinstance(partitions, int) and 1 <= partitions <= 1024):
            raise ConfigurationError(f"{where}: partitions={partitions!r}", fix="Use a number from 1 to 1024.")
        if not (isinstance(cached_value_ttl_ms, int) and cached_value_ttl_ms >= 1):
            raise ConfigurationError(
                f"{where}: cached_value_ttl_ms={cached_value_ttl_ms!r}", fix="Use a positive number of milliseconds."
            )
        return cls(table, column, columns, missing, partitions, cached_value_ttl_ms)


@dataclass(frozen=True, slots=True)
class ColumnShape:
    """One column as the database describes it.

    ``type_name`` is the database's own word, for messages. ``key_kind`` is set where the column's
    type can be a key, ``amounts`` where it can be a counter, ``refusal`` says why neither can be.
    ``required`` is true where an INSERT that leaves the column out fails (NOT NULL, no default,
    not generated).
    """

    name: str
    type_name: str
    key_kind: KeyKind | None = None
    amounts: Amounts | None = None
    refusal: str = ""
    required: bool = False
    needs_grouping: bool = False
    """True where the database calls different texts equal (citext, char(n), some collations)."""


@dataclass(frozen=True, slots=True)
class TableShape:
    """A table as the database describes it. ``unique`` lists the column sets that are unique."""

    table: str
    columns: dict[str, ColumnShape]
    primary_key: tuple[str, ...]
    unique: tuple[frozenset[str], ...] = field(default=())


@dataclass(frozen=True, slots=True)
class BoundCounter:
    """A counter mapping together with the codecs that its table's column types ask for."""

    mapping: CounterMapping
    keys: KeyCodec
    amounts: Amounts
    value_prefix: bytes = b""
    """Keeps the cached values of a namespace that was asked for apart from those of others on the same cache."""

    @property
    def name(self) -> str:
        return self.mapping.name

    def declaration(self) -> dict[str, object]:
        """What two processes must agree on, as JSON-ready values; kept in the ledger."""
        return {
            "kind": "counter",
            "key": [f"{column.name}:{column.kind}" for column in self.keys.columns],
            "scale": self.amounts.scale,
            "missing": self.mapping.missing,
            "partitions": self.mapping.partitions,
            "cached_value_ttl_ms": self.mapping.cached_value_ttl_ms,
        }

    def value_key(self, key_field: bytes) -> bytes:
        """The cache's key of the running total: ``videos:123:likes``, with a namespace ``shop:videos:123:likes``."""
        mapping = self.mapping
        return b"%s%s:%s:%s" % (self.value_prefix, mapping.table.encode(), key_field, mapping.column.encode())


def bind_counter(mapping: CounterMapping, shape: TableShape | None) -> BoundCounter:
    """Check a mapping against its table and choose the codecs.

    :raises TableMissing, ColumnMissing, ColumnRefused: naming table, column, type and the fix.
    """
    if shape is None:
        raise TableMissing(
            f"the table {mapping.table!r} of the counter {mapping.name!r} does not exist",
            why="it is not there, or this user may not see it",
            fix="Create it, or correct the name; a schema is written schema.table.column.",
        )
    names = mapping.key or shape.primary_key
    if not names:
        raise ColumnRefused(
            f"the table {mapping.table!r} has no primary key",
            fix=f'Name the key column of the counter {mapping.name!r}: counter(..., key="id").',
        )
    for name in (*names, mapping.column):
        if name not in shape.columns:
            raise ColumnMissing(
                f"the table {mapping.table!r} has no column {name!r}",
                why=f"it has {', '.join(sorted(shape.columns))}",
                fix=f"Correct the counter {mapping.name!r} or add the column.",
            )
    if mapping.column in names:
        raise ColumnRefused(f"the column {mapping.column!r} of {mapping.table!r} is its key", fix="Count another.")
    if frozenset(names) not in shape.unique:
        raise ColumnRefused(
            f"nothing makes the key ({', '.join(names)}) of {mapping.table!r} unique",
            why="one write could then change several rows",
            fix="Add a primary key or a unique constraint on exactly these columns.",
        )
    keys = []
    for name in names:
        column = shape.columns[name]
        if column.key_kind is None:
            raise ColumnRefused(
                f"the key column {name!r} of {mapping.table!r} has the type {column.type_name}",
                why=column.refusal,
                fix="Use an integer, text or UUID key.",
            )
        keys.append(KeyColumn(name, column.key_kind, column.type_name, column.needs_grouping))
    counted = shape.columns[mapping.column]
    if counted.amounts is None:
        raise ColumnRefused(
            f"the column {mapping.column!r} of {mapping.table!r} has the type {counted.type_name}",
            why=counted.refusal,
            fix="A counter needs an integer column, or NUMERIC with a scale where the database keeps it exactly.",
        )
    if mapping.missing == "insert":
        others = [c.name for c in shape.columns.values() if c.required and c.name not in (*names, mapping.column)]
        if others:
            raise ColumnRefused(
                f"missing rows of {mapping.table!r} cannot be inserted by the counter {mapping.name!r}",
                why=f"the columns {', '.join(others)} are NOT NULL and have no default",
                fix='Give them defaults, or declare the counter with missing="dead_letter".',
            )
    return BoundCounter(mapping, KeyCodec(tuple(keys), mapping.name), counted.amounts)


def partition_tag(namespace: str, mapping: str, partition: int) -> str:
    """The text inside the hash tag of a partition's keys; braces and spaces are escaped."""
    return f"{quote(namespace, safe='')}:{quote(mapping, safe='.')}:{partition}"
