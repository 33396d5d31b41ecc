"""The loop of ``ingest``: records in, writes out, bad lines reported."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from writebehind.cli.progress import Progress
from writebehind.errors import BufferFull, CacheUnavailable, ValueRefused
from writebehind.ingest import BadLine, EmptyLine, Parsed, Record, Unusable, printable

if TYPE_CHECKING:
    from writebehind.cli.ingest_targets import Target
    from writebehind.client.flows.base import Intent

LINES_BETWEEN_WAITS = 500
"""After so many lines the cache is waited for, so that it is never further behind."""
WAIT_TIMEOUT_S = 5.0
PAUSE_S = 0.05
"""Before a cache or a buffer that had no room is asked again."""
MAX_REASON_LENGTH = 300
"""In characters. A reason may quote a key from the file."""


class Writes(Protocol):
    """Where writes that belong together go; see ``JointWrites``."""

    def buffer(self, intents: Sequence[Intent], timeout_s: float) -> None: ...

    def send(self, timeout_s: float) -> None: ...


class BadLineFound(Exception):
    """``--on-error fail`` met its first bad line. Nothing of it or after it was written."""

    def __init__(self, line: BadLine) -> None:
        super().__init__(line.line_number, line.reason)
        self.line = line


@dataclass(slots=True)
class Tally:
    """How many lines were what. ``last_line`` is the last one that was dealt with."""

    ingested: int = 0
    bad: int = 0
    empty: int = 0
    last_line: int = 0


@dataclass(slots=True)
class Ingestion:
    """Writes records. What a line writes to several mappings is checked first, and then written whole or not at all.

    ``patience_s`` is how long one line may wait for a cache that is full or away.
    """

    targets: Sequence[Target]
    writes: Writes
    progress: Progress
    fail_on_error: bool
    max_errors_shown: int
    patience_s: float
    stop_requested: Callable[[], bool]
    position_bytes: Callable[[], int]
    tally: Tally = field(default_factory=Tally)

    def run(self, records: Iterable[Parsed]) -> None:
        """Write until the records end.

        :raises BadLineFound: at the first bad line, with ``fail_on_error``.
        :raises BufferFull, CacheUnavailable: the cache took nothing for ``patience_s``; the line in
            ``tally.last_line`` was written, the next one was not.
        """
        tally = self.tally
        for parsed in records:
            if isinstance(parsed, Record):
                bad_line = self._write(parsed)
            elif isinstance(parsed, EmptyLine):
                tally.empty += 1
                bad_line = None
            else:
                bad_line = parsed
            if bad_line is not None:
                self._report(bad_line)
            is_written = isinstance(parsed, Record) and bad_line is None
            tally.last_line = parsed.line_number
            if is_written and tally.ingested % LINES_BETWEEN_WAITS == 0:
                self._patiently(lambda: self.writes.send(WAIT_TIMEOUT_S))
            self.progress.update(parsed.line_number, self.position_bytes)

    def _report(self, line: BadLine) -> None:
        self.tally.bad += 1
        if self.fail_on_error:
            raise BadLineFound(line)
        if self.tally.bad <= self.max_errors_shown:
            self.progress.show(describe(line))
        elif self.tally.bad == self.max_errors_shown + 1:
            self.progress.show("more bad lines are counted but not shown")

    def _write(self, record: Record) -> BadLine | None:
        intents: list[Intent] = []
        for target in self.targets:
            try:
                intent = target.intent(record.fields)
            except ValueRefused as error:
                return BadLine(record.line_number, str(error), record.text)
            if isinstance(intent, Unusable):
                return BadLine(record.line_number, intent.reason, record.text)
            intents.append(intent)
        self._patiently(lambda: self.writes.buffer(intents, WAIT_TIMEOUT_S))
        self.tally.ingested += 1
        return None

    def _patiently(self, attempt: Callable[[], None]) -> None:
        """Try until it succeeds: what raised these errors has written nothing."""
        give_up_s = time.monotonic() + self.patience_s
        shown = ""
        while True:
            try:
                attempt()
                return
            except (BufferFull, CacheUnavailable) as error:
                if self.stop_requested() or time.monotonic() >= give_up_s:
                    raise
                if str(error) != shown:
                    shown = str(error)
                    self.progress.show(f"waiting: {shown}")
                time.sleep(PAUSE_S)


def describe(line: BadLine) -> str:
    """A bad line as one printable line: its number, the reason, what it looks like."""
    excerpt = f": {printable(line.text)}" if line.text else ""
    return f"line {line.line_number}: {printable(line.reason, MAX_REASON_LENGTH)}{excerpt}"
