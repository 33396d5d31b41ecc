"""The loop of ``ingest``: records in, writes out, bad lines reported."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, Protocol

from writebehind.cli.progress import Progress
from writebehind.errors import BufferFull, CacheUnavailable, DurabilityUnknown, ValueRefused
from writebehind.ingest import BadLine, Counted, CounterOption, EmptyLine, Parsed, Record, Uncountable, printable

WRITES_BETWEEN_WAITS = 500
"""Every so many writes one waits for the cache. The others go into the client's buffer, which has no
bound of its own, so this is what keeps the memory bounded when the cache is slower than the file."""
WAIT_TIMEOUT_S = 5.0
MAX_REASON_LENGTH = 300
"""In characters. A reason may quote a key from the file."""


class Writable(Protocol):
    """What is needed of a counter."""

    def add(
        self,
        key: str | tuple[str, ...],
        amount: int = 1,
        *,
        ack: Literal["local", "memory"] | None = None,
        timeout: float | None = None,
    ) -> None: ...


class Target(NamedTuple):
    """A counter and the fields that feed it."""

    option: CounterOption
    counter: Writable


class BadLineFound(Exception):
    """``--on-error fail`` met its first bad line. Nothing of it or after it was counted."""

    def __init__(self, line: BadLine) -> None:
        super().__init__(line.line_number, line.reason)
        self.line = line


@dataclass(slots=True)
class Tally:
    """How many lines were what. ``last_line`` is the last one that was dealt with."""

    counted: int = 0
    bad: int = 0
    empty: int = 0
    last_line: int = 0


@dataclass(slots=True)
class Ingestion:
    """Counts records. A line that several counters read is counted by all of them or by none.

    ``patience_s`` is how long one line may wait for a cache that is full or away.
    """

    targets: Sequence[Target]
    progress: Progress
    fail_on_error: bool
    max_errors_shown: int
    patience_s: float
    stop_requested: Callable[[], bool]
    position_bytes: Callable[[], int]
    tally: Tally = field(default_factory=Tally)
    _writes: int = 0

    def run(self, records: Iterable[Parsed]) -> None:
        """Count until the records end.

        :raises BadLineFound: at the first bad line, with ``fail_on_error``.
        :raises BufferFull, CacheUnavailable: the cache took nothing for ``patience_s``; the line in
            ``tally.last_line`` was counted, the next one was not.
        """
        tally = self.tally
        for parsed in records:
            if isinstance(parsed, Record):
                bad_line = self._count(parsed)
            elif isinstance(parsed, EmptyLine):
                tally.empty += 1
                bad_line = None
            else:
                bad_line = parsed
            if bad_line is not None:
                self._report(bad_line)
            tally.last_line = parsed.line_number
            self.progress.update(parsed.line_number, self.position_bytes)

    def _report(self, line: BadLine) -> None:
        self.tally.bad += 1
        if self.fail_on_error:
            raise BadLineFound(line)
        if self.tally.bad <= self.max_errors_shown:
            self.progress.show(describe(line))
        elif self.tally.bad == self.max_errors_shown + 1:
            self.progress.show("more bad lines are counted but not shown")

    def _count(self, record: Record) -> BadLine | None:
        changes: list[tuple[Writable, Counted]] = []
        for option, counter in self.targets:
            counted = option.read(record.fields)
            if isinstance(counted, Uncountable):
                return BadLine(record.line_number, counted.reason, record.text)
            changes.append((counter, counted))
        for done, (counter, counted) in enumerate(changes):
            try:
                self._write(counter, counted)
            except (ValueRefused, BufferFull, CacheUnavailable) as error:
                for earlier, taken_back in changes[:done]:
                    earlier.add(taken_back.key, -taken_back.amount, ack="local")
                if isinstance(error, ValueRefused):
                    return BadLine(record.line_number, str(error), record.text)
                raise
        self.tally.counted += 1
        return None

    def _write(self, counter: Writable, counted: Counted) -> None:
        self._writes += 1
        if self._writes % WRITES_BETWEEN_WAITS:
            counter.add(counted.key, counted.amount, ack="local")
            return
        give_up_s = time.monotonic() + self.patience_s
        while True:
            try:
                counter.add(counted.key, counted.amount, ack="memory", timeout=WAIT_TIMEOUT_S)
                return
            except DurabilityUnknown:
                return  # it was sent: the client asks again by itself, and the final flush waits for that
            except (BufferFull, CacheUnavailable) as error:
                # Certainly not sent, so writing it again counts it once.
                if self.stop_requested() or time.monotonic() >= give_up_s:
                    raise
                self.progress.show(f"waiting: {error}")


def describe(line: BadLine) -> str:
    """A bad line as one printable line: its number, the reason, what it looks like."""
    excerpt = f": {printable(line.text)}" if line.text else ""
    return f"line {line.line_number}: {printable(line.reason, MAX_REASON_LENGTH)}{excerpt}"
