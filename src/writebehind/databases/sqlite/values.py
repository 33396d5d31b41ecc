"""Canonical texts as SQLite stores them, by the kind of their column."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from writebehind.columns import ColumnKind, Text
from writebehind.errors import RowRefused

_BOOLEANS = {"false": 0, "true": 1}


def _bytes(text: str) -> bytes:
    if not text.startswith("\\x"):
        raise ValueError(f"{text[:40]!r} does not begin with \\x")
    return bytes.fromhex(text[2:])


_STORED: dict[ColumnKind, Callable[[str], object]] = {
    "boolean": _BOOLEANS.__getitem__,
    "integer": int,
    "float": float,
    "bytes": _bytes,
}


def stored(kind: ColumnKind, texts: Sequence[Text]) -> Sequence[object]:
    """The values of one column: integers, floats, 0 and 1, BLOBs; all other kinds are stored as their texts.

    :raises RowRefused: a text is none of its kind.
    """
    convert = _STORED.get(kind)
    if convert is None:
        return texts
    try:
        return [None if text is None else convert(text) for text in texts]
    except (ValueError, KeyError) as error:
        raise RowRefused(f"a text that is no {kind} was refused", why=str(error), sqlstate="22P02") from error
