"""What records do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from writebehind.changes import RecordChange
from writebehind.client.delivery import Delivery
from writebehind.client.effects import Procedure
from writebehind.client.flows.base import Intent, WriteFlows
from writebehind.client.flows.values import KeyedReads
from writebehind.client.flushing import FlushDesk
from writebehind.client.readers import RecordReader, RecordState
from writebehind.columns import ColumnType, Text
from writebehind.databases.contract import Database
from writebehind.errors import ConfigurationError, KeyRefused, ValueRefused
from writebehind.mapping import BoundRecords
from writebehind.observe import Observer
from writebehind.values import Key

Record = dict[str, Any]
"""A record as an application sees it: its columns without the key."""


class RecordFlows(WriteFlows):
    """One record mapping's procedures."""

    def __init__(
        self,
        records: BoundRecords,
        deliveries: Sequence[Delivery],
        database: Database,
        flush_desk: FlushDesk,
        observe: Observer,
        replicas: int,
    ) -> None:
        super().__init__(records, deliveries, database, flush_desk, observe, replicas)
        self._records = records
        self._reads = KeyedReads(RecordReader(records), deliveries, database, self._see_own_writes, self._unsettled)

    @property
    def columns(self) -> Mapping[str, ColumnType]:
        """The columns that can be written, without the key."""
        return self._records.columns

    # Writing

    def putting(self, key: Key, values: Mapping[str, object]) -> Intent:
        """The whole record is to be these values, and the defaults of the columns that they leave out."""
        field, texts = self._encoded(key, values)
        lacking = sorted(self._records.required - texts.keys())
        if lacking:
            raise ValueRefused(
                f"the record {key!r} of {self._name!r} lacks {', '.join(lacking)}",
                why="these columns are NOT NULL and have no default",
                fix="Give them too, or use patch() to change some columns.",
            )
        return self._setting(key, field, {**self._records.defaults, **texts})

    def patching(self, key: Key, values: Mapping[str, object]) -> Intent:
        """Only these columns are to change."""
        field, texts = self._encoded(key, values)
        if not texts:
            raise ValueRefused(f"the patch of {key!r} of {self._name!r} changes nothing", fix="Give it a column.")
        return self._setting(key, field, texts)

    def deletion(self, key: Key, version: object = None) -> Intent:
        """The record is to be deleted."""
        column = self._records.mapping.version
        field = self._records.keys.encode(key)
        if column is None:
            if version is not None:
                raise ConfigurationError(
                    f"delete({key!r}) of {self._name!r} was given a version", fix="Declare records(..., version=...)."
                )
            return self._intent(key, field, RecordChange("delete"))
        text = self._text(column, version)
        if text is None:
            raise ValueRefused(
                f"the deletion of {key!r} of {self._name!r} has no version",
                why=f"the column {column!r} decides which write wins",
                fix="Give version= to delete().",
            )
        return self._intent(key, field, RecordChange("delete", deleted_at=text))

    def _setting(self, key: Key, field: bytes, texts: Mapping[str, Text]) -> Intent:
        column = self._records.mapping.version
        if column is None:
            return self._intent(key, field, RecordChange("upsert", texts))
        version = texts.get(column)
        if version is None:
            raise ValueRefused(
                f"the write to {key!r} of {self._name!r} has no version",
                why=f"the column {column!r} decides which write wins",
                fix="Give that column in every write.",
            )
        return self._intent(key, field, RecordChange("upsert", texts, dict.fromkeys(texts, version)))

    def _intent(self, key: Key, field: bytes, change: RecordChange) -> Intent:
        return Intent(key, field, change, self._deliveries[self._records.partition_of(field)])

    def _encoded(self, key: Key, values: Mapping[str, object]) -> tuple[bytes, dict[str, Text]]:
        if not isinstance(values, Mapping):
            raise ValueRefused(
                f"the record {key!r} of {self._name!r} is of type {type(values).__name__}", fix="Pass a dict."
            )
        keys = self._records.keys
        field = keys.encode(key)
        texts: dict[str, Text] = {}
        row = keys.decode(field)
        for column, value in values.items():
            place = next((n for n, each in enumerate(keys.columns) if each.name == column), None)
            if place is None:
                texts[column] = self._text(column, value)
            elif value != row[place]:
                raise KeyRefused(
                    f"the record {key!r} of {self._name!r} has {value!r} in its key column {column!r}",
                    fix="Leave the key out of the values, or give the same.",
                )
        return field, texts

    def _text(self, column: str, value: object) -> Text:
        column_type = self._records.columns.get(column)
        if column_type is None:
            why = self._records.refusals.get(column) or f"it has {', '.join(sorted(self._records.columns))}"
            raise ValueRefused(
                f"{self._name!r} has no column {column!r} that can be written",
                why=why,
                fix="Correct the name, or restart after a change of the table.",
            )
        return column_type.encode(value, f"the column {column!r} of {self._name!r}")

    # Reading

    def get(self, key: Key, *, deadline: float) -> Procedure[Record | None]:
        """The exact record of one key; None where there is none."""
        records = yield from self.get_many([key], deadline=deadline)
        return records[key]

    def get_many(self, keys: Sequence[Key], *, deadline: float) -> Procedure[dict[Key, Record | None]]:
        """The exact records of many keys, by key."""
        fields = {key: self._records.keys.encode(key) for key in keys}
        states = yield from self._reads.read(fields.values(), deadline)
        return {key: self._record(states[field]) for key, field in fields.items()}

    def _record(self, state: RecordState) -> Record | None:
        if state.columns is None:
            return None
        types = self._records.columns
        return {name: types[name].decode(text) for name, text in state.columns.items() if name in types}
