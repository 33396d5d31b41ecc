"""How the options of ``ingest`` are written: names of fields, parted by ``+ : , =``, which a backslash escapes."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from writebehind.errors import ConfigurationError
from writebehind.mapping import NewKind

FieldKinds = Mapping[str, NewKind]
"""What the fields of a format hold, where that is not text."""


class Unusable(NamedTuple):
    """Why a record cannot be written."""

    reason: str


class Source(NamedTuple):
    """A column, and the field that it is filled from."""

    column: str
    field: str


def split(text: str, separator: str) -> list[str]:
    """The parts between separators that no backslash escapes; the backslashes stay."""
    parts = [""]
    for piece in re.findall(r"\\.|.", text, re.DOTALL):
        if piece == separator:
            parts.append("")
        else:
            parts[-1] += piece
    return parts


def unescape(name: str) -> str:
    """A name without its backslashes."""
    return re.sub(r"\\(.)", r"\1", name, flags=re.DOTALL)


def names(text: str, separator: str = "+") -> tuple[str, ...]:
    """Field names between separators; empty ones too, for the caller to refuse."""
    return tuple(unescape(name) for name in split(text, separator))


def column_for(field: str) -> str:
    """What a column is called that is named like a field: with ``_`` for each dot."""
    return field.replace(".", "_")


def sources(text: str) -> tuple[Source, ...]:
    """``FIELD,COLUMN=FIELD,...``; with an empty name where there is one, for the caller to refuse."""
    found = []
    for part in split(text, ","):
        *columns, field = split(part, "=")
        name = unescape(field)
        if len(columns) > 1:
            found.append(Source("", ""))
        else:
            found.append(Source(unescape(columns[0]) if columns else column_for(name), name))
    return tuple(found)


def are_usable(found: Sequence[Source]) -> bool:
    """Whether every column and field has a name, and no column is there twice."""
    columns = [source.column for source in found]
    return all(source.column and source.field for source in found) and len(set(columns)) == len(columns)


def unreadable(flag: str, text: str, syntax: str) -> ConfigurationError:
    """The refusal of an option's text."""
    return ConfigurationError(f"{flag} {text!r} cannot be read", fix=f"Write {syntax}.")


def key_of(fields: Mapping[str, object], key_fields: Sequence[str]) -> tuple[str, ...] | Unusable:
    """The key that a record's fields make, or why they make none."""
    parts = []
    for name in key_fields:
        value = fields.get(name)
        if value is None:
            return Unusable(f"no field {name!r}")
        if isinstance(value, bool):
            value = "true" if value else "false"
        if not isinstance(value, str):
            return Unusable(f"the field {name!r} is {kind(value)}, which cannot be a key")
        parts.append(value)
    return tuple(parts)


def kind(value: object) -> str:
    """The word for a JSON value that has parts."""
    return "an array" if isinstance(value, list) else "an object"
