"""The tables that ``ingest --create`` makes, and what it cannot know of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from writebehind.errors import ConfigurationError
from writebehind.ingest import COMBINED_FIELDS, COMBINED_KINDS, EventsOption, Format, Option
from writebehind.mapping import NewColumn


class NewTable(NamedTuple):
    """A table that is to be made: its key columns are the first ones."""

    name: str
    columns: tuple[NewColumn, ...]
    key: tuple[str, ...]


def tables_of(options: Sequence[Option], keys: Mapping[str, Sequence[str]], format_: Format) -> list[NewTable]:
    """The tables of all options, one for each name.

    :raises ConfigurationError: the options do not say how, or contradict each other.
    """
    return [
        _table(name, [option for option in options if option.table == name], keys.get(name), format_)
        for name in dict.fromkeys(option.table for option in options)
    ]


def _table(name: str, options: Sequence[Option], given: Sequence[str] | None, format_: Format) -> NewTable:
    key = tuple(given or options[0].key_columns)
    if len(options) > 1 and any(isinstance(option, EventsOption) for option in options):
        raise ConfigurationError(
            f"--create cannot make {name!r} for events and for something else",
            why="events are rows without a key",
            fix="Give the events a table of their own.",
        )
    if given is None and any(option.key_columns != key for option in options):
        raise ConfigurationError(
            f"--create cannot tell how to name the key columns of {name!r}",
            why="the options that write to it read different fields",
            fix=f"Say it: --key {name}=COLUMN.",
        )
    columns: dict[str, NewColumn] = {column: NewColumn(column, "text", is_required=True) for column in key}
    for option in options:
        for column in _new_columns(option, format_):
            if column.name in key:
                raise ConfigurationError(
                    f"--create cannot make {column.name!r} both the key and a column that {option.flag} fills",
                    fix="Name them differently: COLUMN=FIELD, or --key TABLE=COLUMN.",
                )
            if columns.setdefault(column.name, column) != column:
                raise ConfigurationError(
                    f"--create cannot make one column {column.name!r} of {name!r} for two options",
                    fix="Name them differently.",
                )
    return NewTable(name, tuple(columns.values()), key)


def _new_columns(option: Option, format_: Format) -> tuple[NewColumn, ...]:
    kinds = COMBINED_KINDS if format_ == "combined" else {}
    if isinstance(option, EventsOption) and option.takes_every_field:
        if format_ != "combined":
            raise ConfigurationError(
                f"--create cannot make a table for {option.flag} {option.table}=*",
                why=f"which fields there are is not known of {format_} beforehand",
                fix="Name the fields, or create the table yourself.",
            )
        option = option.of_columns(COMBINED_FIELDS)
    return option.new_columns(kinds)
