"""Canonical texts out of PostgreSQL, whatever its settings for dates, floats and bytes are.

Each kind of column has an expression, whose answer is exact, and a function that makes it canonical. What no
canonical text stands for (``infinity`` among the timestamps) comes as PostgreSQL writes it.
"""

from __future__ import annotations

import struct
from collections.abc import Callable

from psycopg.sql import SQL, Composable, Composed

from writebehind.column_texts import Unfit, canonical_json_text, float_text
from writebehind.columns import ColumnKind, ColumnType

_MOMENT_LENGTH = len("2026-01-02T03:04:05")
_TIME_LENGTH = len("03:04:05")
_FRACTION_LENGTH = len(".678901")
_DOUBLE = struct.Struct(">d")

# to_json writes dates and times in ISO 8601 whatever DateStyle says, float8send the bits of a number.
_EXPRESSIONS: dict[ColumnKind, str] = {
    "float": "encode(float8send({}::float8), 'hex')",
    "timestamp_tz": "to_json({} AT TIME ZONE 'UTC') #>> '{{}}'",
    "timestamp": "to_json({}) #>> '{{}}'",
    "date": "to_json({}) #>> '{{}}'",
    "bytes": "encode({}, 'hex')",
}


def text_expression(column: ColumnType, name: Composable) -> Composed:
    """The SQL expression whose answer ``canonical_maker`` takes."""
    return SQL(_EXPRESSIONS.get(column.kind, "{}::text")).format(name)


def canonical_maker(column: ColumnType) -> Callable[[str], str] | None:
    """What makes an answer canonical; None where it is."""
    return _MAKERS.get(column.kind)


def _float(hexadecimal: str) -> str:
    return float_text(_DOUBLE.unpack(bytes.fromhex(hexadecimal))[0])


def _moment(text: str) -> str:
    return _with_microseconds(text, _MOMENT_LENGTH)


def _moment_in_utc(text: str) -> str:
    found = _with_microseconds(text, _MOMENT_LENGTH)
    return found + "+00:00" if len(found) == _MOMENT_LENGTH + _FRACTION_LENGTH and found[-1].isdigit() else text


def _time(text: str) -> str:
    return _with_microseconds(text, _TIME_LENGTH)


def _with_microseconds(text: str, length: int) -> str:
    """The text with six decimal places; as it is where it has more than a time before them: a year BC, or 10000."""
    fraction = text[length:] or "."
    if text[length - 3 : length - 2] != ":" or fraction[0] != "." or not (fraction[1:] or "0").isdigit():
        return text
    return text[:length] + fraction.ljust(_FRACTION_LENGTH, "0")


def _json(text: str) -> str:
    try:
        return canonical_json_text(text)
    except Unfit:
        return text


def _bytes(hexadecimal: str) -> str:
    return "\\x" + hexadecimal


_MAKERS: dict[ColumnKind, Callable[[str], str]] = {
    "float": _float,
    "timestamp_tz": _moment_in_utc,
    "timestamp": _moment,
    "time": _time,
    "json": _json,
    "bytes": _bytes,
}
