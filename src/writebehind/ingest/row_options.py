"""The options ``--records`` and ``--events``: a record's fields as the columns of a row."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar, NamedTuple

from writebehind.ingest.syntax import (
    FieldKinds,
    Source,
    Unusable,
    are_usable,
    column_for,
    key_of,
    names,
    sources,
    split,
    unreadable,
)
from writebehind.mapping import Kind, NewColumn

EVERY_FIELD = "*"


class Row(NamedTuple):
    """What one record writes: a field's value for each column. ``key`` is a tuple where it is composite."""

    key: str | tuple[str, ...]
    values: Mapping[Source, object]


@dataclass(frozen=True, slots=True)
class RecordsOption:
    """Records and the fields that feed them: ``key_fields`` make the key, ``sources`` the columns."""

    table: str
    key_fields: tuple[str, ...]
    sources: tuple[Source, ...]

    flag: ClassVar[str] = "--records"
    kind: ClassVar[Kind] = "record"
    syntax: ClassVar[str] = (
        "TABLE=KEY_FIELD:FIELD,FIELD,... with COLUMN=FIELD where the column is not named like the field, "
        "and KEY_FIELD+KEY_FIELD for a composite key"
    )

    @classmethod
    def parse(cls, text: str) -> RecordsOption:
        """From the option's text.

        :raises ConfigurationError: showing the syntax.
        """
        table, _, rest = text.partition("=")
        keys, *columns = split(rest, ":")
        key_fields = names(keys)
        found = sources(columns[0]) if len(columns) == 1 else ()
        if not (table and all(key_fields) and found and are_usable(found)):
            raise unreadable(cls.flag, text, cls.syntax)
        return cls(table, key_fields, found)

    @property
    def name(self) -> str:
        return self.table

    @property
    def fields(self) -> tuple[str, ...]:
        """Every field that these records read."""
        return (*self.key_fields, *(source.field for source in self.sources))

    @property
    def key_columns(self) -> tuple[str, ...]:
        """What a table made for these records calls its key columns."""
        return tuple(map(column_for, self.key_fields))

    def new_columns(self, kinds: FieldKinds) -> tuple[NewColumn, ...]:
        """The columns beside the key of a table that is made for them."""
        return _new_columns(self.sources, kinds)

    def read(self, fields: Mapping[str, object]) -> Row | Unusable:
        """What a record writes, or why it writes nothing. A field that it lacks is None."""
        key = key_of(fields, self.key_fields)
        if isinstance(key, Unusable):
            return key
        values = {source: fields.get(source.field) for source in self.sources}
        return Row(key[0] if len(key) == 1 else key, values)


@dataclass(frozen=True, slots=True)
class EventsOption:
    """An event log and the fields that feed it. Without ``sources`` each column takes the field of its name."""

    table: str
    sources: tuple[Source, ...]

    flag: ClassVar[str] = "--events"
    kind: ClassVar[Kind] = "event"
    key_fields: ClassVar[tuple[str, ...]] = ()
    key_columns: ClassVar[tuple[str, ...]] = ()
    syntax: ClassVar[str] = (
        "TABLE=FIELD,FIELD,... with COLUMN=FIELD where the column is not named like the field, or TABLE=* for all"
    )

    @classmethod
    def parse(cls, text: str) -> EventsOption:
        """From the option's text.

        :raises ConfigurationError: showing the syntax.
        """
        table, _, rest = text.partition("=")
        found = () if rest == EVERY_FIELD else sources(rest)
        if not (table and rest and are_usable(found)):
            raise unreadable(cls.flag, text, cls.syntax)
        return cls(table, found)

    @property
    def name(self) -> str:
        return self.table

    @property
    def takes_every_field(self) -> bool:
        return not self.sources

    @property
    def fields(self) -> tuple[str, ...]:
        """Every field that a record must be able to have."""
        return tuple(source.field for source in self.sources)

    def of_columns(self, columns: tuple[str, ...]) -> EventsOption:
        """The same, with columns in place of ``*``."""
        return replace(self, sources=tuple(Source(column, column) for column in columns))

    def new_columns(self, kinds: FieldKinds) -> tuple[NewColumn, ...]:
        """The columns of a table that is made for them."""
        return _new_columns(self.sources, kinds)

    def read(self, fields: Mapping[str, object]) -> Row | Unusable:
        """What a record writes, or why it writes nothing. A field that it lacks is None."""
        values = {source: fields.get(source.field) for source in self.sources}
        if all(value is None for value in values.values()):
            return Unusable(f"none of the fields {', '.join(map(repr, self.fields))}")
        return Row((), values)


def _new_columns(found: tuple[Source, ...], kinds: FieldKinds) -> tuple[NewColumn, ...]:
    return tuple(NewColumn(source.column, kinds.get(source.field, "text")) for source in found)
