"""Numbered lines of a byte stream, in bounded memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple, Protocol

from writebehind.ingest.records import BadLine, EmptyLine

MAX_LINE_SIZE_BYTES = 1024 * 1024
"""A longer line is a bad line: a file without line ends must not fill the memory."""
_BOM = b"\xef\xbb\xbf"
_EXCERPT_SIZE_BYTES = 1024


class Line(NamedTuple):
    """One line as it was read, with its line end, if it had one."""

    number: int
    data: bytes


class LineStream(Protocol):
    """What is needed of a file: ``readline`` with a limit, as binary files have it."""

    def readline(self, limit: int, /) -> bytes: ...


def read_lines(stream: LineStream) -> Iterator[Line | BadLine]:
    """The lines of a stream, numbered from 1, each as soon as its end was read.

    Only ``\\n`` ends a line. A byte order mark before the first line is dropped. A line of more than
    ``MAX_LINE_SIZE_BYTES`` (its end not counted) is read over in pieces and given as a bad line.
    """
    number = 0
    while data := stream.readline(MAX_LINE_SIZE_BYTES + 2):  # room for the line's end, \r\n
        number += 1
        if number == 1:
            data = data.removeprefix(_BOM)
        if len(data) > MAX_LINE_SIZE_BYTES and len(data.rstrip(b"\r\n")) > MAX_LINE_SIZE_BYTES:
            _read_over_the_rest(stream, data)
            yield BadLine(
                number,
                f"longer than {MAX_LINE_SIZE_BYTES:,} bytes",
                data[:_EXCERPT_SIZE_BYTES].decode("utf-8", "surrogateescape"),
            )
        else:
            yield Line(number, data)


def _read_over_the_rest(stream: LineStream, data: bytes) -> None:
    while data and not data.endswith(b"\n"):
        data = stream.readline(MAX_LINE_SIZE_BYTES)


class TextLine(NamedTuple):
    """One decoded line that is not empty, without its line end."""

    number: int
    text: str


def text_lines(lines: Iterable[Line | BadLine]) -> Iterator[TextLine | BadLine | EmptyLine]:
    """The same lines decoded from UTF-8. A line with a byte that is not is a bad line."""
    for line in lines:
        if isinstance(line, BadLine):
            yield line
            continue
        data = line.data.rstrip(b"\r\n")
        if not data.strip():
            yield EmptyLine(line.number)
            continue
        try:
            yield TextLine(line.number, data.decode("utf-8"))
        except UnicodeDecodeError as error:
            yield BadLine(line.number, not_utf8(data, error.start), data.decode("utf-8", "surrogateescape"))


def not_utf8(data: bytes, position: int) -> str:
    """The reason of a bad line that cannot be decoded."""
    return f"the byte 0x{data[position]:02x} at column {position + 1} is not UTF-8"
