"""How each kind of mapping is read by key: its cached values, its rows, and what is pending on top of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias, TypeVar

from writebehind.cache import calls
from writebehind.cache.calls import CachedRecords, CachedValues, Call, NewIncarnation, OtherLayout, Pending
from writebehind.changes import RecordChange
from writebehind.client.partition import Partition
from writebehind.client.writing import record_rules
from writebehind.columns import Text
from writebehind.databases.contract import Database, PartitionName
from writebehind.errors import ValueRefused
from writebehind.mapping import BoundCounter, BoundMapping, BoundRecords

V = TypeVar("V")
CachedReply: TypeAlias = CachedValues | CachedRecords | NewIncarnation | OtherLayout


@dataclass(frozen=True, slots=True)
class Rows:
    """One consistent read of the database: the head, whether the asked front was applied, and rows by field."""

    head: str
    front_is_applied: bool
    by_field: Mapping[bytes, Any]


class Reader(Protocol[V]):
    """One mapping's way to be read by key."""

    @property
    def mapping(self) -> BoundMapping: ...

    def cached(self, partition: Partition, fields: Sequence[bytes], incarnation: str) -> Call[Any]:
        """The call for cached values, for a reader that believes to be in an incarnation."""
        ...

    def found(self, fields: Sequence[bytes], reply: Any) -> dict[bytes, V]:
        """The cached values that it answered, by field."""
        ...

    def rows(self, database: Database, name: PartitionName, fields: Sequence[bytes], front: str | None) -> Rows:
        """The rows of the fields. Waits for the database."""
        ...

    def value(self, row: Any | None, pending: Sequence[bytes]) -> V:
        """A row (None for none) with the changes on top of it, in their order."""
        ...

    def fill(
        self, partition: Partition, fields: Sequence[bytes], values: Mapping[bytes, V], reply: Pending
    ) -> Call[int]:
        """The call that puts values into the cache, if they are still right."""
        ...


class CounterReader:
    """Totals in units."""

    def __init__(self, counter: BoundCounter) -> None:
        self.mapping = counter

    def cached(self, partition: Partition, fields: Sequence[bytes], incarnation: str) -> Call[Any]:
        value_keys = [self.mapping.value_key(field) for field in fields]
        return calls.read(partition.keys, value_keys, layout=partition.layout, incarnation=incarnation)

    def found(self, fields: Sequence[bytes], reply: CachedValues) -> dict[bytes, int]:
        return {field: value for field, value in zip(fields, reply.values, strict=True) if value is not None}

    def rows(self, database: Database, name: PartitionName, fields: Sequence[bytes], front: str | None) -> Rows:
        by_row = {self.mapping.keys.decode(field): field for field in fields}
        read = database.read_counter(name, self.mapping, list(by_row), front)
        return Rows(read.head, read.front_is_applied, {by_row[row]: units for row, units in read.values.items()})

    def value(self, row: int | None, pending: Sequence[bytes]) -> int:
        return (row or 0) + sum(map(int, pending))

    def fill(
        self, partition: Partition, fields: Sequence[bytes], values: Mapping[bytes, int], reply: Pending
    ) -> Call[int]:
        entries: list[bytes | str | int] = []
        for field, open_amount in zip(fields, reply.changes[-1], strict=True):
            entries += (field, values[field], open_amount or 0)
        return calls.fill(
            partition.keys,
            [self.mapping.value_key(field) for field in fields],
            entries,
            layout=partition.layout,
            last=reply.last,
            generation=reply.generation,
            ttl_ms=self.mapping.mapping.cached_value_ttl_ms,
        )


@dataclass(frozen=True, slots=True)
class RecordState:
    """A record as a reader sees it: its columns' texts, or that there is none.

    ``is_complete``: every column is known. One whose default the database works out is not, until the row is there.
    """

    columns: Mapping[str, Text] | None
    is_complete: bool = True


NO_RECORD = RecordState(None)


class RecordReader:
    """Records as texts by column."""

    def __init__(self, records: BoundRecords) -> None:
        self.mapping = records
        self._rules = record_rules(records)
        self._version_column = records.mapping.version

    def cached(self, partition: Partition, fields: Sequence[bytes], incarnation: str) -> Call[Any]:
        value_keys = [self.mapping.value_key(field) for field in fields]
        return calls.read_records(partition.keys, value_keys, layout=partition.layout, incarnation=incarnation)

    def found(self, fields: Sequence[bytes], reply: CachedRecords) -> dict[bytes, RecordState]:
        columns = self.mapping.columns
        return {
            field: RecordState({name: record.get(name) for name in columns})
            for field, record in zip(fields, reply.records, strict=True)
            if record is not None
        }

    def rows(self, database: Database, name: PartitionName, fields: Sequence[bytes], front: str | None) -> Rows:
        by_row = {self.mapping.keys.decode(field): field for field in fields}
        read = database.read_records(name, self.mapping, list(by_row), front)
        return Rows(read.head, read.front_is_applied, {by_row[row]: found for row, found in read.values.items()})

    def value(self, row: Mapping[str, Text] | None, pending: Sequence[bytes]) -> RecordState:
        state = NO_RECORD if row is None else RecordState(row)
        for text in pending:
            state = self._after(state, RecordChange.decode(text))
        return state

    def _after(self, state: RecordState, change: RecordChange) -> RecordState:
        columns = state.columns
        if columns is not None and self._version_column is not None:
            left = self._rules.since_row(change, columns.get(self._version_column))
            if left is None:
                return state
            change = left
        if change.operation == "delete":
            return NO_RECORD
        try:
            written = {name: self._canonical(name, text) for name, text in change.columns.items() if self._has(name)}
        except ValueRefused:
            return state  # written by another program, and not for this column: it becomes a dead letter
        if columns is not None and change.operation == "upsert":
            return RecordState({**columns, **written}, state.is_complete)
        new = {**self.mapping.defaults, **written}
        return RecordState(new, new.keys() >= self.mapping.columns.keys())

    def _has(self, column: str) -> bool:
        return column in self.mapping.columns

    def _canonical(self, column: str, text: Text) -> Text:
        return None if text is None else self.mapping.columns[column].canonical(text)

    def fill(
        self, partition: Partition, fields: Sequence[bytes], values: Mapping[bytes, RecordState], reply: Pending
    ) -> Call[int]:
        entries: list[bytes | str | int] = []
        value_keys = []
        for field, change in zip(fields, reply.changes[-1], strict=True):
            state = values[field]
            if state.columns is None or not state.is_complete:
                continue  # what a write makes of it could not be told
            present = {name: text for name, text in state.columns.items() if text is not None}
            value_keys.append(self.mapping.value_key(field))
            entries += (field, change or b"", len(present), *(part for pair in present.items() for part in pair))
        return calls.fill_records(
            partition.keys,
            value_keys,
            entries,
            layout=partition.layout,
            last=reply.last,
            generation=reply.generation,
            ttl_ms=self.mapping.mapping.cached_value_ttl_ms,
        )
