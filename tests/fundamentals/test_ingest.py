"""``writebehind ingest`` as it is used: real processes, the embedded cache, a SQLite file, and plain counts."""

from __future__ import annotations

import gzip
import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from writebehind.cli.ingest_run import LINES_BETWEEN_WAITS

SAMPLE = Path(__file__).parents[2] / "examples" / "data" / "access-sample.log"
LINE = '192.0.2.1 - - [17/May/2015:10:05:03 +0000] "GET {} HTTP/1.1" 200 {} "-" "-"\n'
COMMAND = [sys.executable, "-m", "writebehind"]
PATIENCE_S = 60.0


class Folder:
    """A working directory with an embedded cache and a SQLite file of its own."""

    def __init__(self, path: Path) -> None:
        self.path = path
        settings = {name: value for name, value in os.environ.items() if not name.startswith("WRITEBEHIND_")}
        self.environment = settings | {"PYTHONWARNINGS": "error", "PYTHONDEVMODE": "1"}

    @property
    def database(self) -> Path:
        return self.path / ".writebehind" / "data.db"

    def write(self, name: str, content: str | bytes) -> str:
        (self.path / name).write_bytes(content.encode() if isinstance(content, str) else content)
        return name

    def run(self, *arguments: str, stdin: bytes = b"") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*COMMAND, *arguments],
            cwd=self.path,
            env=self.environment,
            input=stdin.decode(errors="surrogateescape"),
            capture_output=True,
            text=True,
            errors="surrogateescape",
            timeout=PATIENCE_S,
        )

    @contextmanager
    def started(self, *arguments: str, **environment: str) -> Iterator[subprocess.Popen[bytes]]:
        process = subprocess.Popen(
            [*COMMAND, *arguments],
            cwd=self.path,
            env=self.environment | environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
        )
        with process:
            try:
                yield process
            finally:
                if process.poll() is None:
                    process.terminate()

    def sql(self, statement: str) -> None:
        self.database.parent.mkdir(exist_ok=True)
        with closing(sqlite3.connect(self.database)) as connection, connection:
            connection.execute(statement)

    def rows(self, query: str) -> list[tuple[object, ...]]:
        with closing(sqlite3.connect(self.database, timeout=PATIENCE_S)) as connection:
            return connection.execute(query).fetchall()

    def has_table(self, name: str) -> bool:
        return bool(self.rows(f"SELECT 1 FROM sqlite_master WHERE name = '{name}'"))

    def counts(self, query: str = "SELECT path, hits FROM pages") -> dict[object, object]:
        return {row[0]: row[1] for row in self.rows(query)}


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


def logs() -> Sequence[Path]:
    whole = os.environ.get("WRITEBEHIND_ACCESS_LOG")
    return [SAMPLE, Path(whole)] if whole else [SAMPLE]


@pytest.mark.parametrize("log", logs(), ids=lambda log: log.name)
def test_the_counts_are_those_of_a_plain_counter(folder: Folder, log: Path) -> None:
    plain = Counter(line.split('"')[1].split()[1] for line in log.read_text().splitlines())
    done = folder.run("ingest", str(log), "--format", "combined", "--counter", "pages.hits=path", "--create")
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert folder.counts() == plain
    assert re.fullmatch(
        rf"{plain.total():,} lines ingested → {len(plain):,} rows in \d statements?, [\d.]+ s \([\d,]+ lines/s\)\n",
        done.stdout,
    )


def test_a_file_that_is_ingested_twice_counts_twice_and_gzip_is_unpacked(folder: Folder) -> None:
    plain = Counter(line.split('"')[1].split()[1] for line in SAMPLE.read_text().splitlines())
    folder.write("log.gz", gzip.compress(SAMPLE.read_bytes()))
    for _ in range(2):
        done = folder.run("ingest", "log.gz", "--format", "combined", "--counter", "pages.hits=path", "--create")
        assert done.returncode == 0, done.stderr
    assert folder.counts() == {path: 2 * count for path, count in plain.items()}


def test_a_missing_table_names_the_option_that_makes_it(folder: Folder) -> None:
    done = folder.run("ingest", str(SAMPLE), "--format", "combined", "--counter", "pages.hits=path")
    assert done.returncode == 1
    assert done.stderr.startswith("writebehind: the table 'pages' of the counter 'pages.hits' does not exist")
    assert "--create" in done.stderr
    assert done.stderr.count("\n") == 1
    assert done.stdout == ""


def test_bad_lines_are_reported_by_number_and_the_others_are_counted(folder: Folder) -> None:
    good = LINE.format("/a", 1)
    folder.write("log", good + "\x1b[2Jnonsense\n" + good + "\n" + LINE.format("/a", 1).replace("GET /a HTTP/1.1", "-"))
    with (folder.path / "log").open("ab") as file:
        file.write(b"\xff\n" + good.replace("/a", "/" + "k" * 2000).encode() + b"x" * 2_000_000 + b"\n" + good.encode())
    done = folder.run("ingest", "log", "--format", "combined", "--counter", "pages.hits=path", "--create")
    assert done.returncode == 0
    assert folder.counts() == {"/a": 3}
    assert [line.partition(":")[0] for line in done.stderr.splitlines()] == [f"line {n}" for n in (2, 5, 6, 7, 8)]
    assert "\x1b" not in done.stderr
    assert max(map(len, done.stderr.splitlines())) < 500
    assert done.stdout.startswith("3 lines ingested, 5 bad, 1 empty → 1 row in ")


def test_on_error_fail_counts_what_came_before(folder: Folder) -> None:
    folder.write("log", LINE.format("/a", 1) * 3 + "nonsense\n" + LINE.format("/a", 1) * 3)
    arguments = ("--format", "combined", "--counter", "pages.hits=path", "--create", "--on-error", "fail")
    done = folder.run("ingest", "log", *arguments)
    assert done.returncode == 1
    assert folder.counts() == {"/a": 3}
    assert done.stderr.startswith("writebehind: line 4: not in the common or combined log format: nonsense\n")
    assert "nothing of it or after it is ingested" in done.stderr


def test_an_existing_table_with_other_names_two_counters_and_a_composite_key(folder: Folder) -> None:
    folder.sql(
        "CREATE TABLE traffic (id INTEGER PRIMARY KEY, page TEXT NOT NULL, code INTEGER NOT NULL,"
        " hits INTEGER NOT NULL DEFAULT 0, bytes INTEGER, UNIQUE (page, code))"
    )
    folder.sql("INSERT INTO traffic (page, code, hits) VALUES ('/a', 200, 10)")
    done = folder.run(
        *("ingest", "-", "--format", "combined", "--key", "traffic=page+code"),
        *("--counter", "traffic.hits=path+status", "--counter", "traffic.bytes=path+status:size"),
        stdin=(LINE.format("/a", 7) + LINE.format("/a", "-") + LINE.format("/b", 5)).encode(),
    )
    assert done.returncode == 0, done.stderr
    rows = folder.rows("SELECT page, code, hits, bytes FROM traffic ORDER BY page")
    assert rows == [("/a", 200, 12, 7), ("/b", 200, 1, 5)]


def test_csv_with_quoted_line_ends_and_amounts(folder: Folder) -> None:
    folder.write("log.csv", 'page;n;note\n"/a\nb";3;\n/c;x;\n/c;-1;"say ""hi"""\n')
    done = folder.run(
        *("ingest", "log.csv", "--format", "csv", "--delimiter", ";", "--counter", "pages.hits=page:n", "--create")
    )
    assert done.returncode == 0, done.stderr
    assert folder.counts("SELECT page, hits FROM pages") == {"/a\nb": 3, "/c": -1}
    assert done.stderr == "line 4: the field 'n' is not an integer of 64 bits: /c;x;\n"


def test_a_csv_header_without_the_field_is_wrong_usage(folder: Folder) -> None:
    folder.write("log.csv", "page,n\n/a,3\n")
    done = folder.run("ingest", "log.csv", "--format", "csv", "--counter", "pages.hits=url", "--create")
    assert done.returncode == 2
    assert "the CSV header has no column 'url'" in done.stderr
    assert folder.rows("SELECT * FROM pages") == []


def test_ndjson_with_nested_fields(folder: Folder) -> None:
    events = [{"user": {"id": 7}}, {"user": {"id": "7"}}, {"user": {"id": True}}, {"user": None}]
    done = folder.run(
        *("ingest", "-", "--format", "ndjson", "--counter", "visits.n=user.id", "--create"),
        stdin="\n".join(map(json.dumps, events)).encode(),
    )
    assert done.returncode == 0, done.stderr
    assert folder.counts("SELECT user_id, n FROM visits") == {"7": 2, "true": 1}
    assert done.stderr.startswith("line 4: no field 'user.id'")


def test_bad_lines_alone_are_a_failure_and_nothing_at_all_is_none(folder: Folder) -> None:
    arguments = ("ingest", "-", "--format", "combined", "--counter", "pages.hits=path", "--create")
    assert folder.run(*arguments, stdin=b"{}\n").returncode == 1
    done = folder.run(*arguments)
    assert done.returncode == 0
    assert done.stdout.startswith("0 lines ingested → 0 rows in 0 statements")


def wait_for_counts(folder: Folder, process: subprocess.Popen[bytes], wanted: dict[object, object]) -> None:
    """SQLite tells nobody of a commit, so it is asked until the process has made this one."""
    pause = threading.Event()
    give_up_s = time.monotonic() + PATIENCE_S
    while not folder.database.exists() or not folder.has_table("pages") or folder.counts() != wanted:
        assert process.poll() is None, process.stderr and process.stderr.read()
        assert time.monotonic() < give_up_s
        pause.wait(0.01)


STREAM = ("ingest", "-", "--format", "combined", "--counter", "pages.hits=path", "--create")


def send(process: subprocess.Popen[bytes], text: str) -> None:
    assert process.stdin is not None
    process.stdin.write(text.encode())


def first_message(process: subprocess.Popen[bytes]) -> bytes:
    assert process.stderr is not None
    return process.stderr.readline()


def test_a_stream_is_flushed_while_it_goes_on(folder: Folder) -> None:
    with folder.started(*STREAM, WRITEBEHIND_FLUSH_AFTER="0.05") as process:
        send(process, LINE.format("/a", 1))
        wait_for_counts(folder, process, {"/a": 1})
        send(process, LINE.format("/a", 1) + LINE.format("/b", 1))
        wait_for_counts(folder, process, {"/a": 2, "/b": 1})
        output, errors = process.communicate(timeout=PATIENCE_S)
    assert (process.returncode, errors) == (0, b"")
    assert output.startswith(b"3 lines ingested")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_is_the_normal_end_of_a_stream(folder: Folder, number: signal.Signals) -> None:
    with folder.started(*STREAM) as process:
        send(process, "nonsense, so that its report tells that the stream is being read\n")
        assert first_message(process).startswith(b"line 1: ")
        send(process, LINE.format("/a", 1) * 500 + LINE.format("/torn", 1)[:-20])
        process.send_signal(number)
        assert process.wait(PATIENCE_S) == 0
        assert process.stderr is not None
        assert process.stderr.read() == (
            b"writebehind: the last line had no end when the signal came, and is not ingested\n"
        )
    assert folder.counts() == {"/a": 500}


def test_a_second_signal_does_not_wait_for_the_flush_and_the_next_run_flushes(folder: Folder) -> None:
    assert folder.run(*STREAM).returncode == 0  # makes the table
    with folder.started(*STREAM) as process, closing(sqlite3.connect(folder.database, isolation_level=None)) as writer:
        send(process, "nonsense\n")
        assert first_message(process).startswith(b"line 1: ")
        writer.execute("BEGIN IMMEDIATE")  # nobody else can write now
        send(process, LINE.format("/a", 1) * LINES_BETWEEN_WAITS + "nonsense\n")
        assert first_message(process).startswith(b"line %d: " % (LINES_BETWEEN_WAITS + 2))  # all are in the cache
        process.send_signal(signal.SIGINT)
        while process.poll() is None:
            process.send_signal(signal.SIGINT)
        assert process.returncode == 130
        assert process.stderr is not None
        assert b"left without waiting" in process.stderr.read()
        assert folder.counts() == {}
    assert folder.run(*STREAM).returncode == 0
    assert folder.counts() == {"/a": LINES_BETWEEN_WAITS}


def test_a_file_that_a_signal_interrupts_says_how_far_it_came(folder: Folder) -> None:
    lines = 300_000
    folder.write("log", "nonsense\n" + LINE.format("/a", 1) * lines)
    with folder.started("ingest", "log", *STREAM[2:]) as process:
        assert first_message(process).startswith(b"line 1: ")
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE_S) == 130
        assert process.stderr is not None
        [number] = re.findall(rb"SIGINT: stopped after line ([\d,]+); ", process.stderr.read())
    counted = int(number.replace(b",", b"")) - 1
    assert 0 <= counted < lines
    assert folder.counts().get("/a", 0) == counted


def test_many_keys_and_several_flushes_count_exactly(folder: Folder) -> None:
    keys = [f"/{number % 7_919}" for number in range(60_000)]
    folder.write("log", "".join(LINE.format(key, 1) for key in keys))
    folder.environment |= {"WRITEBEHIND_FLUSH_AFTER": "0.1", "WRITEBEHIND_BATCH_FIELDS": "1000"}
    done = folder.run("ingest", "log", *STREAM[2:])
    assert done.returncode == 0, done.stderr
    assert folder.counts() == Counter(keys)
