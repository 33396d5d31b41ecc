"""Canonical texts as SQLite keeps them, and back.

Integers, floats and bytes are kept as such and booleans as 0 and 1; everything else is kept as its canonical text.
What somebody else wrote into a column may be of any type: it is read leniently, and as it is where that fails.
"""

from __future__ import annotations

import json
import math
from typing import TypeAlias

from writebehind.column_texts import compact_json, float_text
from writebehind.columns import ColumnType, Text
from writebehind.errors import ValueRefused

Stored: TypeAlias = int | float | str | bytes | None


def to_stored(text: Text, column: ColumnType) -> Stored:
    """What SQLite keeps for a canonical text.

    :raises ValueError: the text, which another program wrote, says nothing that the column holds.
    """
    if text is None:
        return None
    match column.kind:
        case "text":
            return text
        case "integer":
            return int(text)
        case "float":
            return _float(text)
        case "bytes":
            return bytes.fromhex(text.removeprefix("\\x"))
    # SQLite itself would take any text: other programs' are checked here, and made comparable.
    text = column.canonical(text)
    if column.kind == "boolean":
        return int(text == "true")
    return _number(text) if column.kind == "json" and text[0] in "-0123456789" else text


def from_stored(value: Stored, column: ColumnType) -> Text:
    """The canonical text of what SQLite keeps."""
    if value is None:
        return None
    if isinstance(value, bytes):
        return "\\x" + value.hex()
    if isinstance(value, float) and column.kind in ("float", "json"):
        return float_text(value)
    if column.kind == "text" or (column.kind == "integer" and isinstance(value, int)):
        return str(value)
    try:
        return column.canonical(str(value))
    except ValueRefused:
        return str(value)


def _float(text: str) -> float:
    number = float(text)
    if math.isnan(number):
        raise ValueError("SQLite keeps NaN as NULL")
    return number


def _number(text: str) -> int | float:
    """A JSON text that is a number: a column declared as JSON turns it into one, and would round a long one."""
    number: int | float = json.loads(text)
    if compact_json(number) != text:
        raise ValueError(f"SQLite keeps the number {text} inexactly")
    return number
