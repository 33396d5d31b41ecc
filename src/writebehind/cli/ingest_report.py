"""What ``ingest`` says at its end: the summary, and what of it went wrong."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from writebehind.cli.ingest_run import Tally
from writebehind.cli.lazy import EXIT_FAILED
from writebehind.databases.urls import redact_url
from writebehind.ingest import CounterOption, Option
from writebehind.observe import (
    Committed,
    DeadLettersWritten,
    Event,
    FlushFailed,
    PartitionsLocked,
    RowsWritten,
    TransactionBegun,
)

_WORDS = {"counter": "counter", "leaderboard": "leaderboard", "record": "records", "event": "events"}


def labels_of(options: Sequence[Option], databases: Mapping[str, str]) -> dict[str, str]:
    """What each mapping is called in the report, by its name. Counters of one table share their statements, and so a
    label. ``databases`` are the URLs of the tables that have a database of their own.
    """
    counters: dict[str, list[str]] = {}
    for option in options:
        if isinstance(option, CounterOption):
            counters.setdefault(option.table, []).append(option.target)
    labels = {}
    for option in options:
        names = list(dict.fromkeys(counters[option.table])) if isinstance(option, CounterOption) else [option.name]
        where = f" in {redact_url(databases[option.table])}" if option.table in databases else ""
        word = _WORDS[option.kind] + ("s" if len(names) > 1 else "")
        labels[option.name] = f"{word} {', '.join(names)}{where}"
    return labels


@dataclass(slots=True)
class Flushed:
    """What was committed: rows, where one that two flushes wrote counts twice; statements; dead letters."""

    rows: int = 0
    statements: int = 0
    letters: int = 0

    def add(self, other: Flushed) -> None:
        self.rows += other.rows
        self.statements += other.statements
        self.letters += other.letters


class FlushTotals:
    """An observer that adds up what was committed, whoever in this process flushed it, by label.

    Each table is flushed by a thread of its own, and a commit concerns what its own thread wrote: rows
    count once their transaction is committed. ``labels`` are those of ``labels_of``.
    """

    def __init__(self, labels: Mapping[str, str]) -> None:
        self._lock = threading.Lock()
        self._labels = labels
        self._open: dict[int, _OpenFlush] = {}
        self.by_label = {label: Flushed() for label in labels.values()}

    def __call__(self, event: Event) -> None:
        with self._lock:
            thread = threading.get_ident()
            match event:
                case TransactionBegun():
                    self._open[thread] = _OpenFlush()  # what an earlier one wrote was rolled back
                case PartitionsLocked(partitions=(partition, *_)):
                    # All of a transaction have one table, and one label.
                    self._open.setdefault(thread, _OpenFlush()).mapping = partition.rpartition("/")[0]
                case RowsWritten(rows=rows, statements=statements):
                    self._open.setdefault(thread, _OpenFlush()).flushed.add(Flushed(rows, statements))
                case DeadLettersWritten(letters=letters):
                    self._open.setdefault(thread, _OpenFlush()).flushed.letters += letters
                case Committed():
                    flush = self._open.pop(thread, _OpenFlush())
                    label = self._labels.get(flush.mapping, flush.mapping)
                    self.by_label.setdefault(label, Flushed()).add(flush.flushed)
                case _:
                    pass

    @property
    def all(self) -> Flushed:
        """The sum over all mappings."""
        sum_of_all = Flushed()
        for flushed in self.by_label.values():
            sum_of_all.add(flushed)
        return sum_of_all


@dataclass(slots=True)
class _OpenFlush:
    """A transaction that is not committed yet; ``mapping`` is one of those that it writes."""

    mapping: str = ""
    flushed: Flushed = field(default_factory=Flushed)


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
        """For example ``9,993 lines ingested, 7 bad, 3 empty → 1,498 rows in 1 statement, 0.41 s (24,380 lines/s)``;
        of several mappings, a line for each.
        """
        tally, of_labels = self.tally, self.totals.by_label
        parts = [f"{_many(tally.ingested, 'line')} ingested"]
        if tally.bad:
            parts.append(f"{tally.bad:,} bad")
        if tally.empty:
            parts.append(f"{tally.empty:,} empty")
        rate = tally.ingested / self.seconds if self.seconds > 0 else 0.0
        lines, time = ", ".join(parts), f"{self.seconds:.2f} s ({rate:,.0f} lines/s)"
        if len(of_labels) == 1:
            return f"{lines} → {_became(self.totals.all)}, {time}"
        width = max(map(len, of_labels), default=0)
        return "\n".join(
            [f"{lines}, {time}", *(f"  {label:{width}} → {_became(flushed)}" for label, flushed in of_labels.items())]
        )

    def remarks(self) -> list[str]:
        """What a person should know beyond the summary."""
        remarks = []
        if self.failure:
            remarks.append(self.failure)
        if self.ended_by is not None and not self.is_stream:
            remarks.append(
                f"{self.ended_by.name}: stopped after line {self.tally.last_line:,}; no later one is ingested"
            )
        if self.torn:
            remarks.append("the last line had no end when the signal came, and is not ingested")
        if self.unflushed:
            remarks.append(f"not all of it is in the database yet: {self.unflushed}")
        if self.refused_writes:
            remarks.append(
                f"the cache refused {_many(self.refused_writes, 'write')} (a sum beyond 64 bits, or its limits)"
            )
        if letters := self.totals.all.letters:
            remarks.append(
                f"the database refused {_many(letters, 'row')}; see the table writebehind_dead_letters there"
            )
        if self._bad_lines_alone and not self.failure:
            remarks.append("no line could be ingested; is --format right?")
        return remarks

    def exit_status(self) -> int:
        """As ``ingest --help`` has it."""
        if self.ended_by is not None and (self.unflushed or not self.is_stream):
            return 128 + self.ended_by
        wrong = self.failure or self.unflushed or self.refused_writes or self.totals.all.letters
        return EXIT_FAILED if wrong or self._bad_lines_alone else 0

    @property
    def _bad_lines_alone(self) -> bool:
        return self.tally.bad > 0 and self.tally.ingested == 0


def _became(flushed: Flushed) -> str:
    letters = f", {_many(flushed.letters, 'dead letter')}" if flushed.letters else ""
    return f"{_many(flushed.rows, 'row')} in {_many(flushed.statements, 'statement')}{letters}"


def _many(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
