"""Which of PostgreSQL's types hold the values of records and events, and which defaults are constants."""

from __future__ import annotations

import re
from dataclasses import dataclass

from writebehind.columns import ColumnKind, ColumnType, Text
from writebehind.errors import ValueRefused

_INTEGER_BITS = {"int2": 16, "int4": 32, "int8": 64}
_FLOAT_BITS = {"float4": 32, "float8": 64}
_CLOCKS: dict[str, ColumnKind] = {"timestamptz": "timestamp_tz", "timestamp": "timestamp", "time": "time"}
_OTHERS: dict[str, ColumnKind] = {
    "bool": "boolean",
    "date": "date",
    "uuid": "uuid",
    "json": "json",
    "jsonb": "json",
    "bytea": "bytes",
}
_MODIFIER_OFFSET = 4
"""What the catalog adds to a length, and to a packed precision and scale."""

# A constant as the server writes it: 'text', 42, -1.5e3, true, NULL; with at most one cast, to a type without a
# length, which could cut the text or round the number.
_CONSTANT = re.compile(
    r"\(?(?:'(?P<text>(?:[^']|'')*)'|(?P<word>-?[0-9][0-9.eE+-]*|true|false)|(?P<null>NULL))\)?"
    r"(?:::[\w \"]+(?:\.[\w \"]+)?)?"
)


@dataclass(frozen=True, slots=True)
class CatalogColumn:
    """A row of the block ``columns``."""

    name: str
    type_name: str
    base: str
    modifier: int
    is_builtin: bool
    is_enum: bool
    sql_type: str
    is_visible: bool
    has_loose_equality: bool
    is_generated: bool
    is_identity: bool
    is_always_generated: bool
    is_not_null: bool
    required: bool
    default_expression: str | None


def value_type(column: CatalogColumn) -> tuple[ColumnType | None, str]:
    """What a column can hold, or why none of the library's kinds describes it."""
    kind: ColumnKind | None = None
    bits = precision = scale = max_length = None
    base, modifier = column.base, column.modifier
    if column.is_enum or base == "citext":
        kind = "text"
    elif not column.is_builtin:
        pass
    elif base in ("text", "varchar", "bpchar"):
        kind = "text"
        max_length = modifier - _MODIFIER_OFFSET if modifier >= 0 else None
    elif base in _INTEGER_BITS:
        kind, bits = "integer", _INTEGER_BITS[base]
    elif base in _FLOAT_BITS:
        kind, bits = "float", _FLOAT_BITS[base]
    elif base == "numeric":
        kind = "decimal"
        precision, scale = unpack_numeric(modifier) if modifier >= 0 else (None, None)
    elif base in _CLOCKS:
        kind, precision = _CLOCKS[base], modifier if modifier >= 0 else None
    elif base in _OTHERS:
        kind = _OTHERS[base]
    if kind is None:
        return None, f"values of the type {column.type_name} have no exact text that the library knows"
    return ColumnType(
        kind,
        column.type_name,
        bits,
        precision,
        scale,
        max_length,
        is_required=column.is_not_null,
        allows_nan=kind == "float",
        is_padded=base == "bpchar" and column.is_builtin,
        sql_type=column.sql_type,
    ), ""


def unpack_numeric(modifier: int) -> tuple[int, int]:
    """Precision and scale of a NUMERIC as the catalog packs them: the scale in 11 bits, signed since PostgreSQL 15."""
    packed = modifier - _MODIFIER_OFFSET
    return packed >> 16, ((packed & 0x7FF) ^ 1024) - 1024


def constant_default(column: CatalogColumn, kept: ColumnType | None) -> tuple[Text, bool]:
    """The default as a canonical text, and whether the database works it out anew for each row.

    What is not clearly a constant, and what the column would change on its way in, counts as worked out.
    """
    if column.is_identity:
        return None, True
    if column.default_expression is None:
        return None, False
    found = _CONSTANT.fullmatch(column.default_expression)
    if found is None or kept is None:
        return None, True
    if found["null"]:
        return None, False
    text = found["word"] if found["text"] is None else found["text"].replace("''", "'")
    try:
        return kept.canonical(text), False
    except ValueRefused:
        return None, True
