"""A client that shares no code with ours (foreign_client.py) writes through our worker, and each write counts once.

A fifth of its groups lose their answer. Meanwhile the cache is restarted, rolled back and emptied, and the worker
killed.
"""

from __future__ import annotations

import ast
import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from writebehind.cache.library import library_source
from writebehind.testing.valkey import TemporaryValkey

HERE = Path(__file__).parent
FOREIGN = (HERE / "foreign_client.py", HERE / "foreign_program.py")
PATIENCE_S = 60
END_OF_TRANSACTION = b"*1\r\n$4\r\nEXEC\r\n"
TABLES = """
CREATE TABLE videos (id INTEGER PRIMARY KEY, likes INTEGER NOT NULL DEFAULT 0);
CREATE TABLE scores (game TEXT NOT NULL, player TEXT NOT NULL, points INTEGER, PRIMARY KEY (game, player));
CREATE TABLE profiles (id INTEGER PRIMARY KEY, name TEXT, visits INTEGER);
CREATE TABLE clicks (number INTEGER NOT NULL, page TEXT, place INTEGER UNIQUE NOT NULL);
"""
CONFIGURATION = """
database = "sqlite:///app.db"
flush_after = 0.05

[counters."videos.likes"]
missing = "insert"
partitions = 2

[leaderboards."scores.points"]
member = "player"
board = "game"

[records."profiles"]

[events."clicks"]
position = "place"
"""


def environment(**more: str) -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("WRITEBEHIND_")}
    return inherited | more


class Stage:
    """A cache, a SQLite file, our command's worker, and the foreign program."""

    def __init__(self, folder: Path, server: TemporaryValkey, seed: int) -> None:
        self.server = server
        self._folder = folder
        with closing(sqlite3.connect(folder / "app.db")) as connection:
            connection.executescript(TABLES)
        (folder / "writebehind.toml").write_text(CONFIGURATION)
        (folder / "library.lua").write_text(library_source())
        self._environment = environment(WRITEBEHIND_CACHE=server.url)
        command = [sys.executable, "-m", "writebehind"]
        subprocess.run([*command, "init"], cwd=folder, env=self._environment, check=True, timeout=PATIENCE_S)
        self._worker_command = [*command, "worker", "--log-level", "warning"]
        self.worker = self.new_worker()
        port = server.url.rpartition(":")[2].partition("/")[0]
        self.program = subprocess.Popen(
            [sys.executable, str(FOREIGN[1]), port, str(folder / "app.db"), str(folder / "library.lua"), str(seed)],
            env=environment(PYTHONPATH=""),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def new_worker(self) -> subprocess.Popen[bytes]:
        worker = subprocess.Popen(self._worker_command, cwd=self._folder, env=self._environment, stderr=subprocess.PIPE)
        assert worker.stderr is not None
        first = worker.stderr.readline()
        assert b"flushing" in first, first + worker.stderr.read()
        return worker

    def begin_to_write(self, rounds: int) -> None:
        assert self.program.stdin is not None
        self.program.stdin.write(f"{rounds}\n")
        self.program.stdin.flush()

    def end_writing(self) -> None:
        assert self.program.stdout is not None
        assert self.program.stdout.readline() == "written\n"

    def ending(self) -> tuple[dict[str, Any], dict[str, int]]:
        """What the program says at its end, when the database has everything: its tables, and its adventures."""
        printed, _ = self.program.communicate(timeout=PATIENCE_S)
        assert self.program.returncode == 0
        expected, adventures = json.loads(printed)
        return expected, adventures

    def found(self) -> dict[str, Any]:
        """The tables, as the program describes them."""
        return {
            "likes": {str(video): likes for video, likes in self.sql("SELECT id, likes FROM videos")},
            "scores": [list(row) for row in self.sql("SELECT game, player, points FROM scores ORDER BY game, player")],
            "profiles": [list(row) for row in self.sql("SELECT id, name, visits FROM profiles ORDER BY id")],
            "events": len(self.sql("SELECT number FROM clicks")),
        }

    def sql(self, statement: str) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(self._folder / "app.db", timeout=30)) as connection:
            return connection.execute(statement).fetchall()

    def close(self) -> None:
        for process in (self.program, self.worker):
            process.kill()
            process.communicate()


@pytest.fixture
def server() -> Iterator[TemporaryValkey]:
    with TemporaryValkey(tcp=True) as server:
        yield server


@pytest.fixture
def make_stage(tmp_path: Path, server: TemporaryValkey) -> Iterator[Callable[[int], Stage]]:
    stages: list[Stage] = []

    def make(seed: int) -> Stage:
        stages.append(Stage(tmp_path, server, seed))
        return stages[0]

    yield make
    for stage in stages:
        stage.close()


def nothing(_stage: Stage) -> None:
    """The cache lives on."""


def restart(stage: Stage) -> None:
    stage.server.restart()


def roll_back(stage: Stage) -> None:
    """The end of what the cache had written is lost, among it what it had answered."""
    stage.server.kill()
    stage.server.cut_append_only_file(20_000)
    # At the end of a whole transaction: what Redis makes of a torn one is in docs/protocol.md, at its end.
    newest = stage.server.append_only_files()[-1]
    os.truncate(newest, newest.read_bytes().rindex(END_OF_TRANSACTION) + len(END_OF_TRANSACTION))
    stage.server.start()


def empty(stage: Stage) -> None:
    stage.server.kill()
    stage.server.wipe()
    stage.server.start()


def kill_the_worker(stage: Stage) -> None:
    stage.worker.kill()
    stage.worker.communicate()
    stage.worker = stage.new_worker()


@pytest.mark.parametrize(
    ("accident", "incarnations", "loses"),
    [
        (nothing, 1, False),
        (restart, 4, None),  # what it was sending when the server stopped, perhaps
        (roll_back, 4, True),
        (empty, 4, True),
        (kill_the_worker, 1, False),
    ],
)
def test_every_write_of_a_foreign_client_counts_once(
    accident: Callable[[Stage], None],
    incarnations: int,
    loses: bool | None,
    make_stage: Callable[[int], Stage],
    wait_until,
) -> None:
    stage = make_stage(7)
    stage.begin_to_write(10)
    stage.end_writing()
    for _ in range(3):
        with stage.server.client() as client:
            done = client.info("stats")["total_commands_processed"]
            stage.begin_to_write(30)
            wait_until(lambda: client.info("stats")["total_commands_processed"] > done + 200)  # noqa: B023
        accident(stage)
        stage.end_writing()
    expected, adventures = stage.ending()
    assert stage.found() == expected
    numbers = sorted(number for (number,) in stage.sql("SELECT number FROM clicks"))
    assert numbers == list(range(1, expected["events"] + 1))
    assert stage.sql("SELECT * FROM writebehind_dead_letters WHERE reason <> 'quarantine'") == []
    assert adventures["answers_lost"] > 50
    assert adventures["incarnations"] == incarnations
    assert loses in (None, adventures["written_again"] > 0)


def test_the_foreign_client_uses_nothing_but_the_standard_library() -> None:
    allowed = {*sys.stdlib_module_names, FOREIGN[0].stem}
    for file in FOREIGN:
        source = file.read_text(encoding="utf-8")
        for node in ast.walk(ast.parse(source)):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            assert {name.partition(".")[0] for name in names} <= allowed, names
