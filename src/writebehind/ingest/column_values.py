"""From a field of a record to the value that a column takes: most formats know nothing but text."""

from __future__ import annotations

from decimal import Decimal

from writebehind import column_texts as texts
from writebehind.columns import ColumnType
from writebehind.errors import ValueRefused
from writebehind.ingest.ndjson import json_text
from writebehind.ingest.records import Format
from writebehind.ingest.syntax import Source, Unusable
from writebehind.scores import Scores


def column_value(value: object, source: Source, column: ColumnType, format_: Format) -> object:
    """The Python value for a column, or an ``Unusable`` that says why the field does not fit it.

    In CSV nothing between two commas is NULL, except in a column of text. JSON's objects and arrays are JSON, in a
    column of text too.
    """
    if value is None:
        return None
    if column.kind == "json" and format_ == "ndjson":
        text = json_text(value)
    elif isinstance(value, str):
        text = value
    else:
        text = json_text(value)
    if column.kind == "text":
        return str(text)
    if not text and format_ == "csv":
        return None
    try:
        return column.decode(column.canonical(text))
    except ValueRefused as error:
        return Unusable(
            f"the field {source.field!r} does not fit the column {source.column!r} of type {column.type_name}: "
            f"{error.why}"
        )


def score_value(text: str, field: str, scores: Scores) -> int | float | Decimal | Unusable:
    """The score that a text says, as the leaderboard's column wants it."""
    try:
        if scores.is_float:
            return texts.parse_float(text)
        return texts.parse_integer(text) if scores.scale is None else texts.parse_decimal(text)
    except texts.Unfit as error:
        return Unusable(f"the field {field!r} is not a score of this leaderboard: {error}")
