"""What ``ingest`` says at its end: the summary, and what of it went wrong."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from dataclasses import dataclass

from writebehind.cli.ingest_run import Tally
from writebehind.cli.lazy import EXIT_FAILED
from writebehind.observe import Committed, DeadLettersWritten, Event, FlushFailed, RowsWritten, TransactionBegun


@dataclass(slots=True)
class _Flushed:
    rows: int = 0
    statements: int = 0
    letters: int = 0


class FlushTotals:
    """An observer that adds up what was committed, whoever in this process flushed it.

    Each table is flushed by a thread of its own, and a commit concerns what its own thread wrote: rows
    count once their transaction is committed.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open: dict[int, _Flushed] = {}
        self._committed = _Flushed()

    def __call__(self, event: Event) -> None:
        with self._lock:
            thread = threading.get_ident()
            match event:
                case TransactionBegun():
                    self._open[thread] = _Flushed()  # what an earlier one wrote was rolled back
                case RowsWritten(rows=rows, statements=statements):
                    flushed = self._open.setdefault(thread, _Flushed())
                    flushed.rows += rows
                    flushed.statements += statements
                case DeadLettersWritten(letters=letters):
                    self._open.setdefault(thread, _Flushed()).letters += letters
                case Committed():
                    flushed = self._open.pop(thread, _Flushed())
                    self._committed.rows += flushed.rows
                    self._committed.statements += flushed.statements
                    self._committed.letters += flushed.letters
                case _:
                    pass

    @property
    def rows(self) -> int:
        """Rows written; one that two flushes wrote counts twice."""
        return self._committed.rows

    @property
    def statements(self) -> int:
        return self._committed.statements

    @property
    def dead_letters(self) -> int:
        return self._committed.letters


class Troubles:
    """An observer that shows what keeps the flush from succeeding: each error once, until a commit."""

    def __init__(self, show: Callable[[str], None]) -> None:
        self._show = show
        self._shown: set[str] = set()

    def __call__(self, event: Event) -> None:
        match event:
            case FlushFailed(error=error) if error not in self._shown:
                self._shown.add(error)
                self._show(f"the flush will be tried again: {error}")
            case Committed():
                self._shown.clear()
            case _:
                pass


@dataclass(slots=True)
class Outcome:
    """Everything that the end of a run depends on.

    ``failure`` and ``unflushed`` are messages, empty where there is nothing to say. ``ended_by`` is the
    signal that ended the reading before the input did. ``refused_writes`` were not taken by the cache.
    """

    tally: Tally
    totals: FlushTotals
    failure: str = ""
    unflushed: str = ""
    refused_writes: int = 0
    ended_by: signal.Signals | None = None
    is_stream: bool = False
    torn: bool = False
    seconds: float = 0.0

    def summary(self) -> str:
        """For example ``9,993 lines counted, 7 bad, 3 empty → 1,498 rows in 1 statement, 0.41 s (24,380 lines/s)``."""
        tally, totals = self.tally, self.totals
        parts = [f"{_many(tally.counted, 'line')} counted"]
        if tally.bad:
            parts.append(f"{tally.bad:,} bad")
        if tally.empty:
            parts.append(f"{tally.empty:,} empty")
        rate = tally.counted / self.seconds if self.seconds > 0 else 0.0
        return (
            f"{', '.join(parts)} → {_many(totals.rows, 'row')} in {_many(totals.statements, 'statement')}, "
            f"{self.seconds:.2f} s ({rate:,.0f} lines/s)"
        )

    def remarks(self) -> list[str]:
        """What a person should know beyond the summary."""
        remarks = []
        if self.failure:
            remarks.append(self.failure)
        if self.ended_by is not None and not self.is_stream:
            remarks.append(
                f"{self.ended_by.name}: stopped after line {self.tally.last_line:,}; no later one is counted"
            )
        if self.torn:
            remarks.append("the last line had no end when the signal came, and is not counted")
        if self.unflushed:
            remarks.append(f"not all of it is in the database yet: {self.unflushed}")
        if self.refused_writes:
            remarks.append(
                f"the cache refused {_many(self.refused_writes, 'write')} (a sum beyond 64 bits, or its limits)"
            )
        if self.totals.dead_letters:
            remarks.append(
                f"{_many(self.totals.dead_letters, 'row')} refused the sum; see the table writebehind_dead_letters"
            )
        if self._bad_lines_alone and not self.failure:
            remarks.append("no line could be counted; is --format right?")
        return remarks

    def exit_status(self) -> int:
        """As ``ingest --help`` has it."""
        if self.ended_by is not None and (self.unflushed or not self.is_stream):
            return 128 + self.ended_by
        wrong = self.failure or self.unflushed or self.refused_writes or self.totals.dead_letters
        return EXIT_FAILED if wrong or self._bad_lines_alone else 0

    @property
    def _bad_lines_alone(self) -> bool:
        return self.tally.bad > 0 and self.tally.counted == 0


def _many(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
