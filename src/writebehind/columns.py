"""Column values: from Python values to the text that the cache holds, and back, exactly.

A record's and an event's columns travel as text (None is NULL), so that a program in any language can read and
write them. The text is canonical: one value has one text.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

ColumnKind: TypeAlias = Literal[
    "text",
    "integer",
    "float",
    "decimal",
    "boolean",
    "timestamp_tz",
    "timestamp",
    "date",
    "time",
    "uuid",
    "json",
    "bytes",
]
Text: TypeAlias = str | None
"""A column's value as it travels; None is NULL."""


@dataclass(frozen=True, slots=True)
class ColumnType:
    """What a column can hold. ``type_name`` is the database's own word, for messages."""

    kind: ColumnKind
    type_name: str
    bits: int | None = None
    precision: int | None = None
    scale: int | None = None
    max_length: int | None = None
    is_required: bool = False
