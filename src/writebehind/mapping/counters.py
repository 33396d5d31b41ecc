"""Counters: one numeric column of one table, incremented by key."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from writebehind.errors import ColumnRefused, ConfigurationError
from writebehind.mapping.bound import Kind
from writebehind.mapping.naming import check_partitions, check_ttl, column_names, split_target
from writebehind.mapping.shape import TableShape, bind_key, check_columns, check_insertable, required_shape
from writebehind.values import Amounts, KeyCodec, partition_of

Missing = Literal["dead_letter", "insert", "ignore"]
MISSING_POLICIES: tuple[Missing, ...] = ("dead_letter", "insert", "ignore")


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
        table, column = split_target(target, where)
        columns = column_names(key, where)
        if missing not in MISSING_POLICIES:
            raise ConfigurationError(
                f"{where}: missing={missing!r} is not a policy",
                fix=f"Use one of {', '.join(MISSING_POLICIES)}.",
            )
        check_partitions(partitions, where)
        check_ttl(cached_value_ttl_ms, where)
        return cls(table, column, columns, missing, partitions, cached_value_ttl_ms)

    def bind(self, shape: TableShape | None) -> BoundCounter:
        """Check the mapping against its table and choose the codecs; see ``bind_counter``."""
        return bind_counter(self, shape)


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

    @property
    def kind(self) -> Kind:
        return "counter"

    @property
    def table_group(self) -> tuple[object, ...]:
        mapping = self.mapping
        return ("counter", mapping.table, tuple(column.name for column in self.keys.columns), mapping.missing)

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

    def partition_of(self, field: bytes) -> int:
        return partition_of(field, self.mapping.partitions)

    def value_key(self, field: bytes) -> bytes:
        """The cache's key of the running total: ``videos:123:likes``, with a namespace ``shop:videos:123:likes``."""
        mapping = self.mapping
        return b"%s%s:%s:%s" % (self.value_prefix, mapping.table.encode(), field, mapping.column.encode())


def bind_counter(mapping: CounterMapping, shape: TableShape | None) -> BoundCounter:
    """Check a mapping against its table and choose the codecs.

    :raises TableMissing, ColumnMissing, ColumnRefused: naming table, column, type and the fix.
    """
    what = f"the counter {mapping.name!r}"
    shape = required_shape(shape, mapping.table, what)
    check_columns(shape, (*mapping.key, mapping.column), what)
    if mapping.column in (mapping.key or shape.primary_key):
        raise ColumnRefused(f"the column {mapping.column!r} of {mapping.table!r} is its key", fix="Count another.")
    keys = bind_key(shape, mapping.key, mapping.name, what)
    counted = shape.columns[mapping.column]
    if counted.amounts is None:
        raise ColumnRefused(
            f"the column {mapping.column!r} of {mapping.table!r} has the type {counted.type_name}",
            why=counted.refusal,
            fix="A counter needs an integer column, or NUMERIC with a scale where the database keeps it exactly.",
        )
    if mapping.missing == "insert":
        given = (*(column.name for column in keys.columns), mapping.column)
        check_insertable(
            shape, given, what, fix='Give them defaults, or declare the counter with missing="dead_letter".'
        )
    return BoundCounter(mapping, keys, counted.amounts)
