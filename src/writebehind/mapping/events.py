"""Event logs: one row for each event, appended in the order in which the cache accepted them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from writebehind.columns import ColumnType
from writebehind.errors import ColumnRefused, ConfigurationError
from writebehind.mapping.bound import Kind
from writebehind.mapping.naming import check_name, check_partitions, column_names
from writebehind.mapping.shape import TableShape, check_columns, required_shape
from writebehind.values import partition_of

WhenFull = Literal["block", "refuse"]


@dataclass(frozen=True, slots=True)
class EventMapping:
    """An event log: rows appended to ``table``.

    ``position`` names an integer column that receives each event's place: it rises in the order in which the cache
    accepted the events of one partition, since a table has no order. ``columns`` restricts what may be written.
    ``max_length`` bounds how many events of a partition may wait in the cache; at the bound a write blocks or is
    refused, as ``when_full`` says. None means as the settings say.
    """

    table: str
    columns: tuple[str, ...] = ()
    position: str | None = None
    partitions: int = 1
    max_length: int | None = None
    when_full: WhenFull | None = None
    cached_value_ttl_ms: int = 1
    """No event has a cached value."""

    @property
    def name(self) -> str:
        return self.table

    @classmethod
    def parse(
        cls,
        table: str,
        *,
        columns: str | tuple[str, ...] | list[str] | None = None,
        position: str | None = None,
        partitions: int = 1,
        max_length: int | None = None,
        when_full: str | None = None,
    ) -> EventMapping:
        """Build a mapping from ``"table"`` (or ``"schema.table"``).

        :raises ConfigurationError: naming the argument and what it must be.
        """
        where = f"events({table!r})"
        check_name(table, where, fix='Name the table, for example "clicks".')
        check_partitions(partitions, where)
        chosen = column_names(columns, where, "columns")
        if position is not None and (len(column_names(position, where, "position")) != 1 or position in chosen):
            raise ConfigurationError(f"{where}: position={position!r}", fix="Name a column that events do not write.")
        if max_length is not None and not (isinstance(max_length, int) and max_length >= 1):
            raise ConfigurationError(f"{where}: max_length={max_length!r}", fix="Use a positive number of events.")
        if when_full not in (None, "block", "refuse"):
            raise ConfigurationError(f"{where}: when_full={when_full!r}", fix='Use "block" or "refuse".')
        return cls(table, chosen, position, partitions, max_length, when_full)  # type: ignore[arg-type]

    def bind(self, shape: TableShape | None) -> BoundEvents:
        """Check the mapping against its table and choose the codecs; see ``bind_events``."""
        return bind_events(self, shape)


@dataclass(frozen=True, slots=True, eq=False)
class BoundEvents:
    """An event mapping together with the codecs of its table's columns.

    ``columns`` may be written; ``refusals`` says of the others why not; ``required`` must be in every event.
    """

    mapping: EventMapping
    columns: Mapping[str, ColumnType]
    refusals: Mapping[str, str] = field(default_factory=dict)
    required: frozenset[str] = frozenset()
    value_prefix: bytes = b""

    @property
    def name(self) -> str:
        return self.mapping.name

    @property
    def kind(self) -> Kind:
        return "event"

    @property
    def table_group(self) -> tuple[object, ...]:
        return ("event", self.name)

    def declaration(self) -> dict[str, object]:
        """What two processes must agree on, as JSON-ready values; kept in the ledger."""
        return {
            "kind": "event",
            "columns": list(self.mapping.columns),
            "position": self.mapping.position,
            "partitions": self.mapping.partitions,
        }

    def partition_of(self, field: bytes) -> int:
        """The partition of an event, by the text that the application chose to keep together what belongs together."""
        return partition_of(field, self.mapping.partitions)

    def value_key(self, field: bytes) -> bytes:  # noqa: ARG002  # the contract's
        raise AssertionError("events have no cached values")


def bind_events(mapping: EventMapping, shape: TableShape | None) -> BoundEvents:
    """Check a mapping against its table and choose the codecs.

    :raises TableMissing, ColumnMissing, ColumnRefused: naming table, column, type and the fix.
    """
    what = f"the events {mapping.name!r}"
    shape = required_shape(shape, mapping.table, what)
    check_columns(shape, (*mapping.columns, *((mapping.position,) if mapping.position else ())), what)
    columns: dict[str, ColumnType] = {}
    refusals: dict[str, str] = {}
    required: set[str] = set()
    for column in shape.columns.values():
        if column.name == mapping.position:
            if column.value_type is None or column.value_type.kind != "integer" or column.value_type.bits != 64:
                raise ColumnRefused(
                    f"the column {column.name!r} of {mapping.table!r} cannot hold the position of {what}",
                    why=f"its type is {column.type_name}",
                    fix="Use a 64-bit integer column (BIGINT).",
                )
            refusals[column.name] = "it receives each event's position"
        elif mapping.columns and column.name not in mapping.columns:
            refusals[column.name] = "it is not among the declared columns"
            if column.required:
                raise ColumnRefused(
                    f"the column {column.name!r} of {mapping.table!r} is NOT NULL and has no default",
                    why=f"it is not among the columns of {what}",
                    fix="Add it to columns=, or give it a default.",
                )
        elif column.is_generated or column.value_type is None:
            refusals[column.name] = (
                "the database computes the column itself" if column.is_generated else column.value_refusal
            )
        else:
            columns[column.name] = column.value_type
            if column.required:
                required.add(column.name)
    for name in mapping.columns:
        if name in refusals:
            raise ColumnRefused(
                f"the column {name!r} of {mapping.table!r} has the type {shape.columns[name].type_name}",
                why=refusals[name],
                fix=f"Leave it out of {what}.",
            )
    return BoundEvents(mapping, columns, refusals, frozenset(required))
