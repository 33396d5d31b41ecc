"""Newline-delimited JSON: one object a line.

A field is named by its path: ``user.id`` is the ``id`` of the object ``user``. A member that itself
has a dot in its name wins over the path. Numbers keep the text that they were written with (``1.50``
stays ``1.50``), so that no digit is lost on the way to a key; true and false become their names.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import NoReturn

from writebehind.ingest.lines import Line, TextLine, text_lines
from writebehind.ingest.records import BadLine, Parsed, Record


class JsonNumber(str):
    """A number as it was written. It is a text like any other, until it is written as JSON again."""

    __slots__ = ()


def json_text(value: object) -> str:
    """Compact JSON of a value that was parsed here, with its numbers as they were written."""
    match value:
        case JsonNumber():
            return str(value)
        case dict():
            members = (f"{json_text(name)}:{json_text(member)}" for name, member in value.items())
            return f"{{{','.join(members)}}}"
        case list():
            return f"[{','.join(map(json_text, value))}]"
        case _:
            return json.dumps(value, ensure_ascii=False)


class JsonFields(Mapping[str, object]):
    """The members of a JSON object, nested ones by their dotted path."""

    def __init__(self, members: dict[str, object]) -> None:
        self._members = members

    def __getitem__(self, path: str) -> object:
        if path in self._members:
            return self._members[path]
        value: object = self._members
        for name in path.split("."):
            if not isinstance(value, dict) or name not in value:
                raise KeyError(path)
            value = value[name]
        return value

    def __iter__(self) -> Iterator[str]:
        return iter(self._members)

    def __len__(self) -> int:
        return len(self._members)


def ndjson_records(lines: Iterable[Line | BadLine]) -> Iterator[Parsed]:
    """The objects of a stream of JSON, one a line."""
    for line in text_lines(lines):
        yield _parse(line) if isinstance(line, TextLine) else line


def _parse(line: TextLine) -> Record | BadLine:
    try:
        value = _DECODER.decode(line.text)
    except json.JSONDecodeError as error:
        return BadLine(line.number, f"not JSON: {error.msg} at column {error.colno}", line.text)
    except (ValueError, RecursionError) as error:
        reason = "nested too deeply" if isinstance(error, RecursionError) else f"not JSON: {error}"
        return BadLine(line.number, reason, line.text)
    if not isinstance(value, dict):
        return BadLine(line.number, "not a JSON object", line.text)
    return Record(line.number, JsonFields(value), line.text)


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not a JSON number")


_DECODER = json.JSONDecoder(parse_int=JsonNumber, parse_float=JsonNumber, parse_constant=_refuse)
