"""Which declared types of SQLite hold the values of records and events, and which defaults are constants."""

from __future__ import annotations

import re

from writebehind.columns import ColumnKind, ColumnType, Text
from writebehind.errors import ValueRefused

# In this order, as SQLite itself looks for INT first; a part of the declared type decides.
_KIND_OF_PART: tuple[tuple[str, ColumnKind], ...] = (
    ("INT", "integer"),
    ("CHAR", "text"),
    ("CLOB", "text"),
    ("TEXT", "text"),
    ("BLOB", "bytes"),
    ("REAL", "float"),
    ("FLOA", "float"),
    ("DOUB", "float"),
    ("BOOL", "boolean"),
)
_KIND_OF_NAME: dict[str, ColumnKind] = {"DATE": "date", "TIME": "time", "UUID": "uuid", "JSON": "json"}
_MOMENTS = ("TIMESTAMP", "DATETIME")
_DECIMALS = ("NUMERIC", "DECIMAL")

_CONSTANT = re.compile(
    r"\(?(?:'(?P<text>(?:[^']|'')*)'|[xX]'(?P<hexadecimal>[0-9a-fA-F]*)'"
    r"|(?P<number>[+-]?[0-9.]+(?:[eE][+-]?[0-9]+)?)|(?P<truth>true|false)|(?P<null>null))\)?",
    re.IGNORECASE,
)


def value_type(declared: str, *, is_required: bool) -> tuple[ColumnType | None, str]:
    """What a column of a declared type holds, or why its values would not be kept as they are."""
    kind = _kind(declared)
    if kind is not None:
        bits = 64 if kind in ("integer", "float") else None
        return ColumnType(kind, declared, bits, is_required=is_required), ""
    if not declared:
        return None, "a column without a declared type can hold anything"
    if any(word in declared.upper() for word in _DECIMALS):
        return (
            None,
            "SQLite keeps decimals as floating-point numbers, which are not exact: use TEXT, or cents in INTEGER",
        )
    return None, f"the library does not know how values of the type {declared} are kept in SQLite"


def _kind(declared: str) -> ColumnKind | None:
    name = re.sub(r"\s*\(.*?\)", "", declared).strip().upper()
    if any(word in name for word in _MOMENTS):
        has_zone = name.endswith("TZ") or (" WITH " in name and " TIME ZONE" in name)
        return "timestamp_tz" if has_zone else "timestamp"
    for part, kind in _KIND_OF_PART:
        if part in name:
            return kind
    return _KIND_OF_NAME.get(name)


def constant_default(expression: str | None, kept: ColumnType | None) -> tuple[Text, bool]:
    """The default as a canonical text, and whether SQLite works it out anew for each row.

    What is not clearly a constant, and what the column would change on its way in, counts as worked out.
    """
    if expression is None:
        return None, False
    found = _CONSTANT.fullmatch(expression.strip())
    if found is None or kept is None:
        return None, True
    if found["null"]:
        return None, False
    try:
        if (text := _literal(found, kept)) is not None:
            return kept.canonical(text), False
    except ValueRefused:
        pass  # the column gets something else than the text says
    return None, True


def _literal(found: re.Match[str], kept: ColumnType) -> str | None:
    """The text of a literal, where the column keeps it as the type that it is written in."""
    if kept.kind == "bytes":
        return None if found["hexadecimal"] is None else "\\x" + found["hexadecimal"]
    if found["text"] is not None:
        return None if kept.kind == "boolean" else found["text"].replace("''", "'")
    if kept.kind in ("integer", "float", "boolean"):
        return found["number"] or found["truth"]
    return None
