"""``init``, ``worker`` and ``status`` as they are used: real processes on the embedded cache and a SQLite file."""

from __future__ import annotations

import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import duckdb
import pytest

COMMAND = [sys.executable, "-m", "writebehind"]
PATIENCE_S = 60.0
CONFIGURATION = """
database = "sqlite:///app.db"
flush_after = 3600

[counters."videos.likes"]
key = "id"
"""
APPLICATION = """
from writebehind import WriteBehind

wb = WriteBehind(database="sqlite:///app.db", flush_after=3600)
likes = wb.counter("videos.likes", key="id")
"""
WRITER = """
from application import likes, wb

with wb:
    for _ in range(50):
        likes.add(7)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "application.py").write_text(APPLICATION)
    with closing(sqlite3.connect(tmp_path / "app.db")) as connection, connection:
        connection.execute("CREATE TABLE videos (id INTEGER PRIMARY KEY, likes INTEGER NOT NULL DEFAULT 0)")
        connection.execute("INSERT INTO videos (id) VALUES (7)")
    return tmp_path


def environment() -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("WRITEBEHIND_")}
    return inherited | {"PYTHONDEVMODE": "1", "PYTHONWARNINGS": "error"}


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        arguments, cwd=folder, env=environment(), capture_output=True, text=True, timeout=PATIENCE_S, check=False
    )


def likes(folder: Path) -> int:
    with closing(sqlite3.connect(folder / "app.db")) as connection:
        [(count,)] = connection.execute("SELECT likes FROM videos WHERE id = 7").fetchall()
    assert isinstance(count, int)
    return count


def initialised(folder: Path) -> None:
    done = run(folder, *COMMAND, "init", "--database", "sqlite:///app.db")
    assert (done.returncode, done.stderr) == (0, ""), done.stderr


def test_the_printed_sql_is_what_init_runs(folder: Path) -> None:
    printed = run(folder, *COMMAND, "init", "--database", "sqlite:///app.db", "--sql")
    assert printed.returncode == 0, printed.stderr
    with closing(sqlite3.connect(folder / "app.db")) as connection:
        assert connection.execute("SELECT name FROM sqlite_master").fetchall() == [("videos",)]
        connection.executescript(printed.stdout)
        by_hand = set(connection.execute("SELECT name FROM sqlite_master WHERE name LIKE 'writebehind%'"))
    assert by_hand
    initialised(folder)
    initialised(folder)
    with closing(sqlite3.connect(folder / "app.db")) as connection:
        assert set(connection.execute("SELECT name FROM sqlite_master WHERE name LIKE 'writebehind%'")) == by_hand


SEVERAL = """
database = "sqlite:///app.db"
flush_after = 3600

[counters."videos.likes"]

[leaderboards."scores.points"]
member = "player"
board = "game"
keep = "sum"

[records.profiles]
database = "sqlite:///profiles.db"

[events.clicks]
database = "duckdb:///clicks.duckdb"
"""
SEVERAL_WRITER = """
from writebehind import WriteBehind

wb = WriteBehind()
likes = wb.counter("videos.likes")
points = wb.leaderboard("scores.points", member="player", board="game", keep="sum")
profiles = wb.records("profiles", database="sqlite:///profiles.db")
clicks = wb.events("clicks", database="duckdb:///clicks.duckdb")
with wb:
    for number in range(3):
        likes.add(7)
        points.submit("ada", 5, board="go")
        profiles.put(number, {"name": "Ada"})
        clicks.append({"page": f"/{number}"})
"""


def test_several_databases_are_initialised_shown_and_drained(folder: Path) -> None:
    (folder / "writebehind.toml").write_text(SEVERAL)
    with closing(sqlite3.connect(folder / "app.db")) as connection, connection:
        connection.execute("CREATE TABLE scores (game TEXT, player TEXT, points INTEGER, PRIMARY KEY (game, player))")
    with closing(sqlite3.connect(folder / "profiles.db")) as connection, connection:
        connection.execute("CREATE TABLE profiles (id INTEGER PRIMARY KEY, name TEXT)")
    with closing(duckdb.connect(str(folder / "clicks.duckdb"))) as warehouse:
        warehouse.execute("CREATE TABLE clicks (page VARCHAR)")

    done = run(folder, *COMMAND, "init")
    assert (done.returncode, done.stderr) == (0, "")
    urls = ("sqlite:///app.db", "sqlite:///profiles.db", "duckdb:///clicks.duckdb")
    assert done.stdout == "".join(f"The ledger's tables are in place in {url}\n" for url in urls)
    printed = run(folder, *COMMAND, "init", "--sql").stdout
    assert [line for line in printed.splitlines() if line.startswith("-- For")] == [
        f"-- For the database {url}" for url in urls
    ]

    assert "at risk    nothing" in run(folder, *COMMAND, "status").stdout
    written = run(folder, sys.executable, "-c", SEVERAL_WRITER)
    assert written.returncode == 0, written.stderr
    shown = re.sub(r"[\d.]+ s old", "N s old", run(folder, *COMMAND, "status").stdout).splitlines()
    assert shown[1:4] == [
        "database   sqlite:///app.db",
        "           sqlite:///profiles.db",
        "           duckdb:///clicks.duckdb",
    ]
    assert shown[5:] == [
        "at risk    12 writes to 8 rows, the oldest N s old",
        "incidents  0",
        "counter      videos.likes   at risk 3 writes to 1 row, the oldest N s old; dead letters 0; in sqlite:///app.db",
        "leaderboard  scores.points  at risk 3 writes to 1 row, the oldest N s old; dead letters 0; in sqlite:///app.db",
        "record       profiles       at risk 3 writes to 3 rows, the oldest N s old; dead letters 0;"
        " in sqlite:///profiles.db",
        "event        clicks         at risk 3 events, the oldest N s old; dead letters 0; in duckdb:///clicks.duckdb",
    ]

    with subprocess.Popen(
        [*COMMAND, "worker"], cwd=folder, env=environment(), stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        assert any(line.startswith("flushing") for line in process.stderr)
        process.terminate()
        errors = process.stderr.read()
        assert process.wait(PATIENCE_S) == 0, errors
    assert likes(folder) == 3
    with closing(sqlite3.connect(folder / "profiles.db")) as connection:
        assert connection.execute("SELECT count(*) FROM profiles").fetchall() == [(3,)]
    with closing(duckdb.connect(str(folder / "clicks.duckdb"))) as warehouse:
        assert warehouse.execute("SELECT page FROM clicks").fetchall() == [("/0",), ("/1",), ("/2",)]
    assert "at risk    nothing" in run(folder, *COMMAND, "status").stdout


def test_without_a_ledger_the_error_names_init(folder: Path) -> None:
    done = run(folder, *COMMAND, "status", "application:wb")
    assert done.returncode == 1
    assert done.stderr.startswith("writebehind: ")
    assert "writebehind init" in done.stderr


@pytest.mark.parametrize("arguments", [("application:wb",), ("--config", "settings.toml")])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_worker_drains_at_a_signal(folder: Path, arguments: tuple[str, ...], number: signal.Signals) -> None:
    initialised(folder)
    (folder / "settings.toml").write_text(CONFIGURATION)
    written = run(folder, sys.executable, "-c", WRITER)
    assert written.returncode == 0, written.stderr

    before = run(folder, *COMMAND, "status", *arguments, "--json")
    assert before.returncode == 0, before.stderr
    status = json.loads(before.stdout)
    assert (status["pending_writes"], status["pending_keys"]) == (50, 1)
    assert status["mappings"][0]["name"] == "videos.likes"
    assert likes(folder) == 0

    with subprocess.Popen(
        [*COMMAND, "worker", *arguments], cwd=folder, env=environment(), stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        assert any(line.startswith("flushing") for line in process.stderr)
        process.send_signal(number)
        errors = process.stderr.read()
        assert process.wait(PATIENCE_S) == 0, errors
    assert errors.endswith("drained\n")
    assert likes(folder) == 50

    after = run(folder, *COMMAND, "status", *arguments)
    assert after.returncode == 0, after.stderr
    assert "at risk    nothing" in after.stdout


def test_a_worker_that_cannot_drain_says_that_the_rest_is_safe(folder: Path) -> None:
    initialised(folder)
    written = run(folder, sys.executable, "-c", WRITER)
    assert written.returncode == 0, written.stderr
    with (
        closing(sqlite3.connect(folder / "app.db", isolation_level=None)) as connection,
        subprocess.Popen(
            [*COMMAND, "worker", "application:wb", "--log-level", "error"],
            cwd=folder,
            env=environment() | {"WRITEBEHIND_DRAIN_TIMEOUT": "0.1"},
            stderr=subprocess.PIPE,
            text=True,
        ) as process,
    ):
        assert process.stderr is not None
        assert any(line.startswith("flushing") for line in process.stderr)
        connection.execute("BEGIN IMMEDIATE")  # nobody else can write now
        process.send_signal(signal.SIGTERM)
        errors = process.stderr.read()
        assert process.wait(PATIENCE_S) == 3, errors
        connection.execute("ROLLBACK")
    assert errors.endswith("stopped; what is left is safe in the cache\n")
    assert likes(folder) == 0
    process = subprocess.Popen(
        [*COMMAND, "worker", "application:wb"], cwd=folder, env=environment(), stderr=subprocess.PIPE, text=True
    )
    with process:
        assert process.stderr is not None
        assert any(line.startswith("flushing") for line in process.stderr)
        process.terminate()
        errors = process.stderr.read()
        assert process.wait(PATIENCE_S) == 0, errors
    assert likes(folder) == 50
