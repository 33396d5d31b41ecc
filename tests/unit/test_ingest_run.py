"""The loop of ``ingest``: a line is written whole or not at all, and every line is accounted for."""

from __future__ import annotations

import gzip
import io
import os
import signal
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from queue import Queue

import pytest

from writebehind.cli.ingest_report import Flushed, FlushTotals, Outcome, Troubles, labels_of
from writebehind.cli.ingest_run import LINES_BETWEEN_WAITS, BadLineFound, Ingestion, Tally, describe
from writebehind.cli.input_source import InputFailed, InputSource
from writebehind.cli.progress import PlainProgress
from writebehind.cli.signals import StopSignals
from writebehind.client.flows.base import Intent
from writebehind.errors import BufferFull, CacheUnavailable, KeyRefused, WriteBehindError
from writebehind.ingest import (
    BadLine,
    CounterOption,
    EventsOption,
    LeaderboardOption,
    Unusable,
    ndjson_records,
    read_lines,
)
from writebehind.observe import (
    Committed,
    DeadLettersWritten,
    FlushFailed,
    PartitionsLocked,
    RowsWritten,
    TransactionBegun,
)


class Sums:
    """A counter that adds up here, once the buffer is told to. It refuses the key ``refused``."""

    def __init__(self, option: str) -> None:
        self.sums: Counter[object] = Counter()
        self._option = CounterOption.parse(option)

    def intent(self, fields: Mapping[str, object]) -> Intent | Unusable:
        counted = self._option.read(fields)
        if isinstance(counted, Unusable):
            return counted
        if counted.key == "refused":
            raise KeyRefused("the key 'refused' does not fit")
        return Intent(counted.key, b"", (self.sums, counted), delivery=None)  # type: ignore[arg-type]


class Buffer:
    """Where the counters' writes go. It raises ``hindrances`` first: when asked for room, or when waited for."""

    def __init__(self, *hindrances: WriteBehindError, at_wait: bool = False) -> None:
        self.waits = 0
        self._hindrances = list(hindrances)
        self._at_wait = at_wait

    def buffer(self, intents: Sequence[Intent], timeout_s: float) -> None:
        if self._hindrances and not self._at_wait:
            raise self._hindrances.pop(0)
        for intent in intents:
            sums, counted = intent.change
            sums[counted.key] += counted.amount

    def send(self, timeout_s: float) -> None:
        self.waits += 1
        if self._hindrances:
            raise self._hindrances.pop(0)


class Shown(PlainProgress):
    """Progress that keeps what it shows."""

    def __init__(self) -> None:
        super().__init__(None)
        self.messages: list[str] = []

    def show(self, message: str) -> None:
        self.messages.append(message)


def ingestion(
    *targets: Sums, buffer: Buffer | None = None, fail: bool = False, shown: int = 10, patience_s: float = 60.0
) -> Ingestion:
    return Ingestion(
        targets,
        buffer or Buffer(),
        Shown(),
        fail_on_error=fail,
        max_errors_shown=shown,
        patience_s=patience_s,
        stop_requested=lambda: False,
        position_bytes=lambda: 0,
    )


def run(loop: Ingestion, text: str) -> list[str]:
    loop.run(ndjson_records(read_lines(io.BytesIO(text.encode()))))
    assert isinstance(loop.progress, Shown)
    return loop.progress.messages


def test_every_line_is_ingested_bad_or_empty() -> None:
    sums = Sums("t.c=a")
    loop = ingestion(sums)
    messages = run(loop, '{"a": "x"}\n\n{"b": 1}\nnonsense\n{"a": "x"}\n{"a": "refused"}')
    assert loop.tally == Tally(ingested=2, bad=3, empty=1, last_line=6)
    assert sums.sums == {"x": 2}
    assert [message.partition(":")[0] for message in messages] == ["line 3", "line 4", "line 6"]


def test_a_line_is_written_to_all_mappings_or_to_none() -> None:
    first, second = Sums("t.c=a"), Sums("t.d=b:n")
    loop = ingestion(first, second)
    run(loop, '{"a": "x", "b": "y", "n": 3}\n{"a": "x", "b": "y"}\n{"a": "x", "b": "refused", "n": 1}\n')
    assert loop.tally == Tally(ingested=1, bad=2, last_line=3)
    assert first.sums == {"x": 1}
    assert second.sums == {"y": 3}


def test_only_the_first_bad_lines_are_shown() -> None:
    loop = ingestion(Sums("t.c=a"), shown=2)
    messages = run(loop, "x\n" * 5)
    assert loop.tally.bad == 5
    assert [message[:6] for message in messages] == ["line 1", "line 2", "more b"]


def test_on_error_fail_stops_before_the_bad_line() -> None:
    sums = Sums("t.c=a")
    loop = ingestion(sums, fail=True)
    with pytest.raises(BadLineFound) as found:
        run(loop, '{"a": "x"}\n{}\n{"a": "x"}\n')
    assert found.value.line.line_number == 2
    assert sums.sums == {"x": 1}
    assert loop.tally == Tally(ingested=1, bad=1, last_line=1)


def test_the_cache_is_waited_for_now_and_then() -> None:
    sums, buffer = Sums("t.c=a"), Buffer()
    run(ingestion(sums, buffer=buffer), '{"a": "x"}\n' * (3 * LINES_BETWEEN_WAITS + 1))
    assert buffer.waits == 3
    assert sums.sums == {"x": 3 * LINES_BETWEEN_WAITS + 1}


@pytest.mark.parametrize("at_wait", [False, True])
def test_a_full_cache_is_waited_for_and_said_once(at_wait: bool) -> None:
    sums = Sums("t.c=a")
    buffer = Buffer(BufferFull("full"), BufferFull("full"), CacheUnavailable("away"), at_wait=at_wait)
    messages = run(ingestion(sums, buffer=buffer), '{"a": "x"}\n' * LINES_BETWEEN_WAITS)
    assert sums.sums == {"x": LINES_BETWEEN_WAITS}
    assert messages == ["waiting: full", "waiting: away"]


def test_a_cache_that_stays_full_ends_the_run_with_the_line_written_nowhere() -> None:
    first, second = Sums("t.c=a"), Sums("t.d=a")
    loop = ingestion(first, second, buffer=Buffer(BufferFull("full")), patience_s=0.0)
    with pytest.raises(BufferFull):
        run(loop, '{"a": "x"}\n')
    assert first.sums == second.sums == {}
    assert (loop.tally.ingested, loop.tally.last_line) == (0, 0)


def test_a_cache_that_is_waited_for_in_vain_ends_the_run_after_the_last_line_that_was_written() -> None:
    sums = Sums("t.c=a")
    loop = ingestion(sums, buffer=Buffer(CacheUnavailable("away"), at_wait=True), patience_s=0.0)
    with pytest.raises(CacheUnavailable):
        run(loop, '{"a": "x"}\n' * (LINES_BETWEEN_WAITS + 1))
    assert sums.sums["x"] == loop.tally.ingested == loop.tally.last_line == LINES_BETWEEN_WAITS


def test_what_is_shown_of_a_bad_line_is_printable_and_short() -> None:
    shown = describe(BadLine(7, "the key '\x1b[31m' " + "y" * 5000, "\x1b[2J" + "x" * 5000))
    assert shown.startswith(r"line 7: the key '\x1b[31m' yyy")
    assert shown.isprintable()
    assert len(shown) < 500


# The end of a run


def totals_of(rows: int, statements: int, letters: int = 0) -> FlushTotals:
    totals = FlushTotals({"t.c": "counter t.c"})
    totals(TransactionBegun())
    totals(PartitionsLocked(("t.c/0",)))
    totals(RowsWritten("t", rows, statements))
    if letters:
        totals(DeadLettersWritten("t", letters))
    totals(Committed(0.1))
    return totals


def test_only_what_was_committed_counts() -> None:
    totals = totals_of(5, 1)
    totals(TransactionBegun())
    totals(RowsWritten("t", 100, 1))
    totals(TransactionBegun())
    totals(RowsWritten("t", 3, 1))
    totals(Committed(0.1))
    assert totals.all == Flushed(8, 2, 0)


OPTIONS = [
    CounterOption.parse("t.c=a"),
    CounterOption.parse("t.d=a"),
    LeaderboardOption.parse("t.e=a:b"),
    EventsOption.parse("u=a"),
]


def test_counters_of_one_table_share_a_label_and_a_database_of_its_own_is_named() -> None:
    assert labels_of(OPTIONS, {"u": "postgresql://ada:secret@host/u"}) == {
        "t.c": "counters t.c, t.d",
        "t.d": "counters t.c, t.d",
        "t.e": "leaderboard t.e",
        "u": "events u in postgresql://ada:***@host/u",
    }


def test_each_mapping_has_its_own_line() -> None:
    totals = FlushTotals(labels_of(OPTIONS, {}))
    for partition, rows in (("t.d/3", 5), ("u/0", 1000), ("t.c/0", 2)):
        totals(TransactionBegun())
        totals(PartitionsLocked((partition,)))
        totals(RowsWritten("t", rows, 1))
        if partition == "u/0":
            totals(DeadLettersWritten("u", 1))
        totals(Committed(0.1))
    assert Outcome(Tally(1_000, 2, 0, 1_002), totals, seconds=0.5).summary().splitlines() == [
        "1,000 lines ingested, 2 bad, 0.50 s (2,000 lines/s)",
        "  counters t.c, t.d → 7 rows in 2 statements",
        "  leaderboard t.e   → 0 rows in 0 statements",
        "  events u          → 1,000 rows in 1 statement, 1 dead letter",
    ]


def test_what_keeps_a_flush_from_succeeding_is_shown_once_until_it_succeeds() -> None:
    shown: list[str] = []
    troubles = Troubles(shown.append)
    for event in (FlushFailed("t", "down", 1, 0.1), FlushFailed("t", "down", 2, 0.2), Committed(0.1)) * 2:
        troubles(event)
    assert shown == ["the flush will be tried again: down"] * 2


def test_the_summary() -> None:
    outcome = Outcome(Tally(9_993, 7, 3, 10_003), totals_of(1_498, 1), seconds=0.5)
    assert outcome.summary() == (
        "9,993 lines ingested, 7 bad, 3 empty → 1,498 rows in 1 statement, 0.50 s (19,986 lines/s)"
    )
    assert outcome.exit_status() == 0
    assert outcome.remarks() == []


@pytest.mark.parametrize(
    ("outcome", "status", "remark"),
    [
        (Outcome(Tally(), FlushTotals({})), 0, ""),
        (Outcome(Tally(bad=2), FlushTotals({})), 1, "no line could be ingested"),
        (Outcome(Tally(1), FlushTotals({}), failure="line 2 ..."), 1, "line 2"),
        (Outcome(Tally(1), FlushTotals({}), unflushed="down"), 1, "not all of it is in the database yet: down"),
        (Outcome(Tally(1), FlushTotals({}), refused_writes=1), 1, "the cache refused 1 write "),
        (Outcome(Tally(1), totals_of(0, 1, letters=2)), 1, "the database refused 2 rows"),
        (Outcome(Tally(1, last_line=9), FlushTotals({}), ended_by=signal.SIGINT), 130, "SIGINT: stopped after line 9"),
        (Outcome(Tally(1), FlushTotals({}), ended_by=signal.SIGTERM, is_stream=True), 0, ""),
        (Outcome(Tally(1), FlushTotals({}), ended_by=signal.SIGTERM, is_stream=True, unflushed="x"), 143, "not all"),
        (Outcome(Tally(1), FlushTotals({}), ended_by=signal.SIGINT, is_stream=True, torn=True), 0, "the last line had"),
    ],
)
def test_exit_statuses_and_remarks(outcome: Outcome, status: int, remark: str) -> None:
    assert outcome.exit_status() == status
    assert "\n".join(outcome.remarks()).startswith(remark)
    assert bool(outcome.remarks()) == bool(remark)


# The input


def no_second_signal(number: signal.Signals) -> None:
    raise AssertionError(f"left at {number!r}")


@contextmanager
def opened(name: str) -> Iterator[InputSource]:
    with StopSignals(no_second_signal) as stop, InputSource(name, stop) as source:
        yield source


def test_a_file_knows_its_size_and_position(tmp_path: Path) -> None:
    file = tmp_path / "lines"
    file.write_bytes(b"one\ntwo\n")
    with opened(str(file)) as source:
        assert source.size_bytes == 8
        assert [source.readline(100), source.readline(2), source.readline(100), source.readline(100)] == [
            b"one\n",
            b"tw",
            b"o\n",
            b"",
        ]
        assert source.position_bytes() == 8
        assert not source.stopped


def test_gzip_is_unpacked_and_damage_is_an_error_after_the_lines_before_it(tmp_path: Path) -> None:
    file = tmp_path / "lines.gz"
    packed = gzip.compress(b"".join(b"line %d\n" % n for n in range(50_000)))
    file.write_bytes(packed)
    with opened(str(file)) as source:
        assert sum(1 for _ in read_lines(source)) == 50_000
        assert source.position_bytes() == source.size_bytes == len(packed)
    file.write_bytes(packed[: len(packed) // 2])
    with opened(str(file)) as source:
        lines = read_lines(source)
        assert next(lines).data == b"line 0\n"  # type: ignore[union-attr]
        with pytest.raises(InputFailed, match="end-of-stream"):
            list(lines)


def test_a_signal_ends_a_file_between_two_lines(tmp_path: Path) -> None:
    file = tmp_path / "lines"
    file.write_bytes(b"one\ntwo\n")
    with opened(str(file)) as source:
        assert source.readline(100) == b"one\n"
        signal.raise_signal(signal.SIGINT)
        assert source.readline(100) == b""
        assert source.stopped
        assert not source.torn


def test_a_signal_ends_a_stream_after_what_has_arrived() -> None:
    reading, writing = os.pipe()
    try:
        os.write(writing, b"one\ntwo\nthree\nhal")
        with opened(f"/dev/fd/{reading}") as source:
            assert source.is_stream
            assert source.size_bytes is None
            assert source.readline(100) == b"one\n"
            os.write(writing, b"f\nfour\ntor")
            signal.raise_signal(signal.SIGTERM)
            lines = [line.data for line in read_lines(source)]  # type: ignore[union-attr]
            assert lines == [b"two\n", b"three\n", b"half\n", b"four\n"]
            assert source.stopped
            assert source.torn
    finally:
        os.close(reading)
        os.close(writing)


def test_a_stream_that_ends_by_itself_was_not_stopped() -> None:
    reading, writing = os.pipe()
    try:
        os.write(writing, b"one\nlast")
        os.close(writing)
        with opened(f"/dev/fd/{reading}") as source:
            assert [line.data for line in read_lines(source)] == [b"one\n", b"last"]  # type: ignore[union-attr]
            assert not source.stopped
    finally:
        os.close(reading)


def test_the_first_signal_asks_to_stop_and_the_second_leaves() -> None:
    left: Queue[signal.Signals] = Queue()
    before = signal.getsignal(signal.SIGTERM)
    with StopSignals(left.put) as stop:
        assert not stop.requested
        signal.raise_signal(signal.SIGTERM)
        assert stop.event.wait(30)
        assert left.empty()
        signal.raise_signal(signal.SIGINT)
        assert left.get(timeout=30) is signal.SIGINT
        assert stop.signal is signal.SIGTERM
    assert signal.getsignal(signal.SIGTERM) is before


def test_plain_progress_is_a_line_now_and_then(capsys: pytest.CaptureFixture[str]) -> None:
    now_s = 0.0
    progress = PlainProgress(200, interval_s=5.0, clock=lambda: now_s)
    for lines in range(1, 12):
        now_s += 1.0
        progress.update(1000 * lines, lambda: 50)
    assert capsys.readouterr().err == "5,000 lines (25%)\n10,000 lines (25%)\n"
