"""The demonstration as a user starts it: it measures, audits, and leaves nothing behind."""

from __future__ import annotations

import os
import re
import signal
import sqlite3
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from itertools import islice
from pathlib import Path

import duckdb
import psutil
import pytest

from writebehind.demo.audit import Audit, compare
from writebehind.demo.histogram import BUCKETS, Histogram, merged, quantile
from writebehind.demo.report import exit_status, verdict
from writebehind.demo.scenario import VIDEOS, VIRAL_VIDEO, likes

WaitUntil = Callable[[Callable[[], bool]], None]


class Demo:
    """A running demonstration, and what it has said so far."""

    def __init__(self, output: Path, temporary: Path, *options: str) -> None:
        self._output = output
        self.temporary = temporary
        # A user's own settings must not reach it: these would fail at once.
        environment = os.environ | {"TMPDIR": str(self.temporary), "WRITEBEHIND_CACHE": "redis://nowhere.invalid:1/0"}
        with output.open("wb") as file:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "writebehind", "demo", "--quick", *options],
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                env=environment,
                start_new_session=True,
            )

    @property
    def output(self) -> str:
        return self._output.read_text()

    def exit_status(self, timeout_s: float) -> int:
        try:
            return self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            pytest.fail(f"it did not end within {timeout_s:g} s:\n{self.output}")

    def is_measuring(self) -> bool:
        """Whether the first figures are shown."""
        assert self.process.poll() is None, self.output
        return "likes/s" in self.output

    def is_playing(self) -> bool:
        """Whether the second act shows its first figures."""
        assert self.process.poll() is None, self.output
        return "games/s" in self.output

    def descendants(self) -> list[psutil.Process]:
        """All processes that it has started, those that were detached included."""
        started = psutil.Process(self.process.pid).children(recursive=True)
        servers = [int(pid) for pid in re.findall(r"\(process (\d+)", self.output)]
        return list({*started, *(psutil.Process(pid) for pid in servers if psutil.pid_exists(pid))})

    def folders(self) -> list[Path]:
        """Its own temporary folder and PostgreSQL's, which may be elsewhere: that server may not be root."""
        own = re.search(r"all files in (\S+)", self.output)
        assert own is not None
        found = [Path(own[1])]
        for process in self.descendants():
            words = process.cmdline()
            if "-D" in words:
                found.append(Path(words[words.index("-D") + 1]).parent)
        assert all(folder.exists() for folder in found)
        return found

    def has_left_nothing(self, folders: list[Path]) -> None:
        assert not any(folder.exists() for folder in folders)
        assert list(self.temporary.iterdir()) == []

    def child(self, role: str) -> psutil.Process:
        """Its worker, or one of its writers."""
        children = psutil.Process(self.process.pid).children()
        return next(each for each in children if f"writebehind.demo.{role}" in each.cmdline())

    def valkey(self) -> psutil.Process:
        found = re.search(r"Valkey \S+ \(process (\d+)", self.output)
        assert found is not None, self.output
        return psutil.Process(int(found[1]))

    def audited(self) -> tuple[int, int]:
        """Likes acknowledged, and likes in the database."""
        found = re.search(
            r"audit: ([\d,]+) likes were acknowledged.*PostgreSQL has ([\d,]+) in 10,001 rows", self.output
        )
        assert found is not None, self.output
        return int(found[1].replace(",", "")), int(found[2].replace(",", ""))

    def audited_games(self) -> list[int]:
        """Acknowledged scores, changes of profiles and clicks."""
        found = re.findall(r"audit: ([\d,]+) (?:scores|changes of profiles|clicks) were acknowledged", self.output)
        return [int(count.replace(",", "")) for count in found]

    def found_every_row_right(self) -> bool:
        """Whether the audits of all four kinds found no difference."""
        return self.output.count("audit: every row is right, difference 0") == 4 and len(self.audited_games()) == 3

    def kill(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Demo]]:
    started: list[Demo] = []
    # Short enough for sockets, and reachable for PostgreSQL, which is another user where root runs the tests.
    with tempfile.TemporaryDirectory(dir="/tmp") as temporary:
        Path(temporary).chmod(0o755)

        def start_one(*options: str) -> Demo:
            started.append(Demo(tmp_path / f"output-{len(started)}", Path(temporary), *options))
            return started[-1]

        yield start_one
        for demo in started:
            demo.kill()


def has_ended(processes: list[psutil.Process]) -> bool:
    return not any(each.is_running() and each.status() != psutil.STATUS_ZOMBIE for each in processes)


def test_the_quick_demonstration_counts_every_like_and_leaves_nothing_behind(
    start: Callable[..., Demo], wait_until: WaitUntil
) -> None:
    demo = start()
    wait_until(demo.is_measuring)
    processes, folders = demo.descendants(), demo.folders()
    assert len(processes) >= 5, "two servers, two writers and a worker"
    assert len(folders) == 2

    assert demo.exit_status(60) == 0, demo.output
    acknowledged, stored = demo.audited()
    assert acknowledged == stored > 1000
    assert re.search(r"likes → [\d,]+ rows in \d+ UPDATEs?", demo.output), demo.output
    assert re.search(r"one UPDATE each\n", demo.output), "the comparison"
    assert demo.found_every_row_right(), demo.output
    scores, changes_of_profiles, clicks = demo.audited_games()
    assert scores == changes_of_profiles > 50
    assert clicks == 3 * scores
    assert re.search(r"scores → [\d,]+ rows in \d+ statements?\n", demo.output), demo.output
    assert f"\n{clicks:,} clicks → {clicks:,} rows in " in demo.output, "each event is kept"
    assert re.search(r"top\(\) of 'blocks'.*: 1\. [a-z]+-[a-z]+ [\d,]+, 2\. .*, 3\. ", demo.output), demo.output
    assert "\x1b" not in demo.output, "plain lines without a terminal"
    assert has_ended(processes)
    demo.has_left_nothing(folders)


def test_ctrl_c_stops_the_clients_and_audits_what_was_acknowledged(
    start: Callable[..., Demo], wait_until: WaitUntil
) -> None:
    demo = start("--seconds", "60")
    wait_until(demo.is_measuring)
    processes, folders = demo.descendants(), demo.folders()
    demo.process.send_signal(signal.SIGINT)

    assert demo.exit_status(30) == 130, demo.output
    assert "difference 0" in demo.output
    assert demo.audited()[0] > 0
    assert has_ended(processes)
    demo.has_left_nothing(folders)


def test_ctrl_c_in_the_second_act_audits_all_four_kinds(start: Callable[..., Demo], wait_until: WaitUntil) -> None:
    demo = start("--seconds", "0.5", "--game-seconds", "60")
    wait_until(demo.is_playing)
    processes, folders = demo.descendants(), demo.folders()
    demo.process.send_signal(signal.SIGINT)

    assert demo.exit_status(30) == 130, demo.output
    assert demo.found_every_row_right(), demo.output
    assert min(demo.audited_games()) > 0
    assert has_ended(processes)
    demo.has_left_nothing(folders)


def test_a_worker_and_a_cache_that_are_killed_are_replaced_and_cost_no_like(
    start: Callable[..., Demo], wait_until: WaitUntil, tmp_path: Path
) -> None:
    kept = tmp_path / "kept"
    demo = start("--seconds", "4", "--keep", str(kept))
    wait_until(demo.is_measuring)
    demo.child("worker").kill()
    wait_until(lambda: "was killed by SIGKILL; another was started" in demo.output)
    demo.valkey().kill()
    wait_until(lambda: "it was started again" in demo.output)

    assert demo.exit_status(60) == 0, demo.output
    assert "difference 0" in demo.output
    assert len((kept / "audit.csv").read_text().splitlines()) == VIDEOS + 1
    assert list((kept / "cache" / "appendonlydir").iterdir())


def test_a_worker_and_a_cache_that_are_killed_in_the_second_act_cost_no_row_of_any_kind(
    start: Callable[..., Demo], wait_until: WaitUntil, tmp_path: Path
) -> None:
    kept = tmp_path / "kept"
    demo = start("--seconds", "0.5", "--game-seconds", "4", "--keep", str(kept))
    wait_until(demo.is_playing)
    demo.child("worker").kill()
    wait_until(lambda: "was killed by SIGKILL; another was started" in demo.output)
    demo.valkey().kill()
    wait_until(lambda: "it was started again" in demo.output)

    assert demo.exit_status(60) == 0, demo.output
    assert demo.found_every_row_right(), demo.output
    with duckdb.connect(str(kept / "events.duckdb"), read_only=True) as warehouse:
        ((rows, ids),) = warehouse.execute("SELECT count(*), count(DISTINCT id) FROM clicks").fetchall()
    assert rows == ids >= demo.audited_games()[-1]


def test_a_writer_that_is_killed_is_noticed_and_what_it_was_acknowledged_is_there(
    start: Callable[..., Demo], wait_until: WaitUntil
) -> None:
    demo = start("--seconds", "60")
    wait_until(demo.is_measuring)
    processes, folders = demo.descendants(), demo.folders()
    demo.child("writer").kill()

    assert demo.exit_status(30) == 1, demo.output
    assert "was killed by SIGKILL" in demo.output
    assert "difference 0" in demo.output
    assert has_ended(processes)
    demo.has_left_nothing(folders)


def test_a_player_that_is_killed_is_noticed_and_what_it_was_acknowledged_is_there(
    start: Callable[..., Demo], wait_until: WaitUntil
) -> None:
    demo = start("--seconds", "0.5", "--game-seconds", "60")
    wait_until(demo.is_playing)
    processes, folders = demo.descendants(), demo.folders()
    demo.child("games.player").kill()

    assert demo.exit_status(30) == 1, demo.output
    assert "was killed by SIGKILL" in demo.output
    assert demo.found_every_row_right(), demo.output
    assert min(demo.audited_games()) > 0
    assert has_ended(processes)
    demo.has_left_nothing(folders)


@pytest.mark.parametrize(
    ("seconds", "has_begun"),
    [(("--seconds", "60"), Demo.is_measuring), (("--seconds", "0.5", "--game-seconds", "60"), Demo.is_playing)],
)
def test_nothing_stays_when_the_demonstration_itself_is_killed(
    seconds: tuple[str, ...], has_begun: Callable[[Demo], bool], start: Callable[..., Demo], wait_until: WaitUntil
) -> None:
    demo = start(*seconds)
    wait_until(lambda: has_begun(demo))
    processes, folders = demo.descendants(), demo.folders()
    demo.kill()

    wait_until(lambda: has_ended(processes))
    wait_until(lambda: not any(folder.exists() for folder in folders))


# The audit


@pytest.fixture
def rows() -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute("CREATE TABLE videos (id INTEGER PRIMARY KEY, likes INTEGER)")
        connection.executemany("INSERT INTO videos VALUES (?, ?)", [(1, 0), (2, 7), (3, 50_000)])
        yield connection


ACKNOWLEDGED = [0, 0, 7, 50_000]  # by id, and there is no video 0


def audit(rows: sqlite3.Connection, begun: list[int] = ACKNOWLEDGED) -> Audit:
    return compare(begun, ACKNOWLEDGED, dict(rows.execute("SELECT id, likes FROM videos")))


def test_the_audit_passes_equal_counts(rows: sqlite3.Connection) -> None:
    outcome = audit(rows)
    assert outcome.is_exact
    assert verdict(outcome)[-1].endswith("difference 0")


@pytest.mark.parametrize(
    ("change", "difference", "shown"),
    [
        (
            "UPDATE videos SET likes = likes - 1 WHERE id = 3",
            "-1",
            "video 3: acknowledged 50,000, in PostgreSQL 49,999",
        ),
        ("UPDATE videos SET likes = likes + 1 WHERE id = 1", "+1", "video 1: acknowledged 0, in PostgreSQL 1"),
        ("DELETE FROM videos WHERE id = 2", "-7", "video 2: acknowledged 7, in PostgreSQL no row"),
        ("INSERT INTO videos VALUES (9, 4)", "+4", "video 9: acknowledged 0, in PostgreSQL 4"),
        # The total is right, and two rows are wrong.
        ("UPDATE videos SET likes = likes + (CASE id WHEN 2 THEN 5 WHEN 3 THEN -5 ELSE 0 END)", "+0", "video 2:"),
    ],
)
def test_the_audit_finds_a_manipulated_row(rows: sqlite3.Connection, change: str, difference: str, shown: str) -> None:
    rows.execute(change)
    outcome = audit(rows)
    assert not outcome.is_exact
    lines = verdict(outcome)
    assert lines[-1].endswith(f"difference {difference}")
    assert any(shown in line for line in lines)


def test_the_audit_allows_both_outcomes_of_a_like_without_an_answer(rows: sqlite3.Connection) -> None:
    begun = [0, 0, 9, 50_000]
    assert audit(rows, begun).is_exact
    rows.execute("UPDATE videos SET likes = 9 WHERE id = 2")
    assert audit(rows, begun).is_exact
    rows.execute("UPDATE videos SET likes = 10 WHERE id = 2")
    assert [each.excess for each in audit(rows, begun).differences] == [1]
    rows.execute("UPDATE videos SET likes = 6 WHERE id = 2")
    assert [each.excess for each in audit(rows, begun).differences] == [-1]


def test_an_audit_that_fails_makes_the_demonstration_fail() -> None:
    exact = compare(ACKNOWLEDGED, ACKNOWLEDGED, {2: 7, 3: 50_000})
    wrong = compare(ACKNOWLEDGED, ACKNOWLEDGED, {2: 7, 3: 49_999})
    assert exit_status(is_exact=exact.is_exact, complete=True, interrupted_with=None) == 0
    assert exit_status(is_exact=exact.is_exact, complete=False, interrupted_with=None) == 1
    assert exit_status(is_exact=exact.is_exact, complete=False, interrupted_with=130) == 130
    assert exit_status(is_exact=wrong.is_exact, complete=True, interrupted_with=None) == 1
    assert exit_status(is_exact=wrong.is_exact, complete=False, interrupted_with=130) == 1


# What it measures with


@pytest.mark.parametrize("microseconds", [0, 1, 31, 32, 63, 64, 1000, 123_456, 60_000_000, 2**40])
def test_a_quantile_is_at_most_a_thirty_second_too_long_and_never_too_short(microseconds: int) -> None:
    histogram = Histogram([0] * BUCKETS)
    histogram.record(microseconds / 1e6)
    found = quantile(merged([histogram, Histogram([0] * BUCKETS)]), 0.5)
    assert found is not None
    longest = min(microseconds, 2**32)
    assert longest <= found * 1e6 <= longest * (1 + 1 / 32) + 1.001


def test_quantiles_of_many() -> None:
    histogram = Histogram([0] * BUCKETS)
    for milliseconds in range(1, 101):
        histogram.record(milliseconds / 1000)
    assert quantile(histogram.counts(), 0.50) == pytest.approx(0.050, rel=0.04)
    assert quantile(histogram.counts(), 0.99) == pytest.approx(0.099, rel=0.04)
    assert quantile([0] * BUCKETS, 0.5) is None


def test_the_viral_video_gets_its_share_and_the_tail_is_long() -> None:
    videos = Counter(islice(likes(seed=1), 110_000))
    assert videos[VIRAL_VIDEO] == pytest.approx(100_000, rel=0.01)
    assert len(videos) > 2000
    assert min(videos) >= 1
    assert max(videos) <= VIDEOS
    assert list(islice(likes(seed=7), 50)) == list(islice(likes(seed=7), 50))
