"""CSV as RFC 4180 has it: a header row names the fields, quoted fields may hold line ends.

A record's number is that of its first line. A row with more or fewer values than the header is bad.
"""

from __future__ import annotations

import csv
from collections.abc import Collection, Iterable, Iterator

from writebehind.errors import ConfigurationError
from writebehind.ingest.lines import Line
from writebehind.ingest.records import BadLine, EmptyLine, Parsed, Record


def csv_records(
    lines: Iterable[Line | BadLine], *, delimiter: str = ",", needed: Collection[str] = ()
) -> Iterator[Parsed]:
    """The rows below the header.

    :param needed: the fields that will be asked for.
    :raises ConfigurationError: the header lacks one of them, or has it twice. It is raised when the
        header is read, before any row.
    """
    feed = _Feed(lines)
    # strict: a quote in the wrong place is an error, where the lenient reader would guess
    rows = csv.reader(feed, delimiter=delimiter, strict=True)
    header: list[str] | None = None
    while True:
        feed.begin_row()
        failure = ""
        row: list[str] = []
        try:
            row = next(rows)
        except StopIteration:
            yield from feed.take_bad_lines()
            return
        except csv.Error as error:
            failure = f"not CSV: {error}"
        yield from feed.take_bad_lines()
        if not row and not failure:
            yield EmptyLine(feed.first)
            continue
        failure = failure or feed.failure
        if header is None:
            header = _checked_header(row, failure, feed, needed)
        elif failure or len(row) != len(header):
            reason = failure or f"{len(row)} values, the header has {len(header)}"
            yield BadLine(feed.first, reason + feed.span(), feed.text)
        else:
            yield Record(feed.first, dict(zip(header, row, strict=True)), feed.text)


class _Feed:
    """Hands decoded lines to ``csv.reader`` and remembers which of them made the present row.

    Bytes that are not UTF-8 pass through as lone surrogates: were the line left out, a quoted field
    could lose its closing quote, and the rows after it their meaning.
    """

    def __init__(self, lines: Iterable[Line | BadLine]) -> None:
        self._lines = iter(lines)
        self._bad_lines: list[BadLine] = []
        self.begin_row()

    def begin_row(self) -> None:
        self.first = 0
        self.last = 0
        self.text = ""
        self.failure = ""

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        for line in self._lines:
            if isinstance(line, BadLine):
                self._bad_lines.append(line)
                if self.first:
                    self.failure = f"line {line.line_number} within it is {line.reason}"
                continue
            text = line.data.decode("utf-8", "surrogateescape")
            if not self.first:
                self.first, self.text = line.number, text
            self.last = line.number
            if not text.isascii() and any("\udc80" <= character <= "\udcff" for character in text):
                self.failure = "bytes that are not UTF-8"
            return text
        raise StopIteration

    def take_bad_lines(self) -> list[BadLine]:
        taken, self._bad_lines = self._bad_lines, []
        return taken

    def span(self) -> str:
        """Where a row has several lines: which. A quote that is never closed swallows many."""
        return f" (lines {self.first} to {self.last})" if self.last > self.first else ""


def _checked_header(row: list[str], failure: str, feed: _Feed, needed: Collection[str]) -> list[str]:
    if failure:
        raise ConfigurationError(
            f"line {feed.first} is no CSV header", why=failure, fix="The first row must name the columns."
        )
    for name in needed:
        if name not in row:
            raise ConfigurationError(
                f"the CSV header has no column {name!r}",
                why=f"it has {', '.join(map(repr, row))}",
                fix="Name one of them in the option that reads it, or give the right --delimiter.",
            )
        if row.count(name) > 1:
            raise ConfigurationError(
                f"the CSV header has the column {name!r} {row.count(name)} times", fix="Give them different names."
            )
    return row
