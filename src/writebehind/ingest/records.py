"""What a parser gives for each line: a record, a bad line, or an empty one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple, TypeAlias

Format: TypeAlias = Literal["combined", "csv", "ndjson"]

MAX_EXCERPT_LENGTH = 120
"""How many characters of a bad line are shown."""


class Record(NamedTuple):
    """A line that was understood. ``text`` is the line itself, for messages about it.

    A field that the line does not have is absent from ``fields`` or None there.
    """

    line_number: int
    fields: Mapping[str, object]
    text: str


class BadLine(NamedTuple):
    """A line that cannot be written, why, and what it looks like."""

    line_number: int
    reason: str
    text: str = ""


class EmptyLine(NamedTuple):
    """A line with nothing on it. It is neither written nor bad."""

    line_number: int


Parsed: TypeAlias = Record | BadLine | EmptyLine


def printable(text: str, max_length: int = MAX_EXCERPT_LENGTH) -> str:
    """The beginning of a text, safe to show on a terminal: control characters are escaped.

    A byte that was not UTF-8, which decoding kept as a lone surrogate, is shown as ``\\xff``.
    """
    shown = text[:max_length].rstrip("\r\n")
    safe = "".join(character if character.isprintable() else _escaped(character) for character in shown)
    return safe + ("…" if len(text) > max_length else "")


def _escaped(character: str) -> str:
    if "\udc80" <= character <= "\udcff":
        return f"\\x{ord(character) - 0xDC00:02x}"
    return character.encode("unicode_escape").decode("ascii")
