"""A program in JavaScript writes by plain Redis commands; ``writebehind worker`` alone, killed again and again, keeps
every row equal to the server's own values.

``PLAIN_COMMANDS_S=60`` lets the program write for a minute.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
import redis

from writebehind.testing.postgresql import TemporaryPostgres
from writebehind.testing.valkey import TemporaryValkey

WRITING_S = float(os.environ.get("PLAIN_COMMANDS_S", "12"))
PATIENCE_S = 60
LAST_WORKER_S = 3  # so long before the end of the writing the last worker is started, which is not killed
KILLS_AT_LEAST = 3
VIDEOS = 200
COMMANDS = {"INCR", "INCRBY", "DECR", "SET", "HINCRBY", "HSET", "HDEL", "ZADD", "ZINCRBY", "ZREM"}
TABLES = f"""
CREATE TABLE videos (id BIGINT PRIMARY KEY, likes BIGINT NOT NULL DEFAULT 0);
INSERT INTO videos SELECT n FROM generate_series(1, {VIDEOS}) AS n;
CREATE TABLE profiles (id BIGINT PRIMARY KEY, name TEXT NOT NULL, plan TEXT, visits BIGINT);
CREATE TABLE scores (game TEXT, player TEXT, points BIGINT NOT NULL, PRIMARY KEY (game, player));
"""
CONFIG = """
cache = "{cache}"
database = "{database}"
flush_after = 0.3
lease_ttl = 1

[capture."video:{{id}}:likes"]
to = "videos.likes"
baseline = "zero"

[capture."user:{{id}}"]
to = "profiles"
baseline = "zero"

[capture."board:{{game}}"]
to = "scores.points"
member = "player"
baseline = "zero"
"""


class Tables:
    """The application's tables, read without the library."""

    def __init__(self, url: str) -> None:
        self._url = url
        with psycopg.connect(url) as connection:
            connection.execute(TABLES)

    def counters(self) -> dict[int, int]:
        with psycopg.connect(self._url) as connection:
            return dict(connection.execute("SELECT id, likes FROM videos").fetchall())

    def records(self) -> dict[int, tuple[str | None, ...]]:
        with psycopg.connect(self._url) as connection:
            rows = connection.execute("SELECT id, name, plan, visits::text FROM profiles").fetchall()
        return {row[0]: row[1:] for row in rows}

    def scores(self) -> dict[tuple[str, str], int]:
        with psycopg.connect(self._url) as connection:
            rows = connection.execute("SELECT game, player, points FROM scores").fetchall()
        return {(game, player): points for game, player, points in rows}


class Cached:
    """The values as the server itself gives them to a plain client."""

    def __init__(self, url: str) -> None:
        self._client = redis.Redis.from_url(url, decode_responses=True)

    def counters(self) -> dict[int, int]:
        values = {video: self._client.get(f"video:{video}:likes") for video in range(1, VIDEOS + 1)}
        return {video: int(value or 0) for video, value in values.items()}

    def records(self) -> dict[int, tuple[str | None, ...]]:
        found = {}
        for key in self._client.scan_iter("user:*"):
            fields = self._client.hgetall(key)
            found[int(key.partition(":")[2])] = (fields.get("name"), fields.get("plan"), fields.get("visits"))
        return found

    def scores(self) -> dict[tuple[str, str], int]:
        found = {}
        for key in self._client.scan_iter("board:*"):
            for player, points in self._client.zrange(key, 0, -1, withscores=True):
                found[key.partition(":")[2], player] = int(points)
        return found

    def close(self) -> None:
        self._client.close()


@pytest.fixture(params=["valkey", "redis"])
def server(request: pytest.FixtureRequest) -> Iterator[TemporaryValkey]:
    """The wheel's Valkey, and the distribution's Redis."""
    if request.param == "redis":
        yield request.getfixturevalue("redis_server")
    else:
        with TemporaryValkey(tcp=True) as valkey:
            yield valkey


@pytest.fixture
def tables(shared_postgres: TemporaryPostgres, server: TemporaryValkey, tmp_path: Path) -> Tables:
    """The tables in a database of their own, the ledger, and ``writebehind.toml`` in the test's folder."""
    database = shared_postgres.create_database()
    (tmp_path / "writebehind.toml").write_text(CONFIG.format(cache=server.url, database=database))
    subprocess.run(command("init"), cwd=tmp_path, check=True, timeout=PATIENCE_S, capture_output=True)
    return Tables(database)


@pytest.fixture
def cached(server: TemporaryValkey) -> Iterator[Cached]:
    values = Cached(server.url)
    yield values
    values.close()


def command(name: str) -> list[str]:
    """``writebehind NAME --config writebehind.toml``, as it was installed."""
    return [str(Path(sys.executable).parent / "writebehind"), name, "--config", "writebehind.toml"]


@contextmanager
def running(arguments: list[str], folder: Path) -> Iterator[subprocess.Popen[str]]:
    """A process, killed at the end where it still lives. What it says goes to the test's output."""
    with subprocess.Popen(arguments, cwd=folder, stdout=subprocess.PIPE, stderr=None, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def ends_within(process: subprocess.Popen[str], wait_s: float) -> bool:
    try:
        process.wait(wait_s)
    except subprocess.TimeoutExpired:
        return False
    return True


def kill_a_worker_that_flushes(folder: Path, tables: Tables, wait_until: Callable[[Callable[[], bool]], None]) -> None:
    """Start a worker, see it change rows, let it go on for a moment, and kill it."""
    before = tables.counters()
    with running(command("worker"), folder) as worker:
        wait_until(lambda: tables.counters() != before)
        assert not ends_within(worker, random.uniform(0, 0.8)), "the worker ended by itself"
        worker.kill()


def test_every_row_is_what_the_server_says_after_the_worker_was_killed_many_times(
    server: TemporaryValkey,
    tables: Tables,
    cached: Cached,
    node_command: Callable[..., list[str]],
    tmp_path: Path,
    wait_until: Callable[[Callable[[], bool]], None],
) -> None:
    kills = 0
    with running(node_command("plain_commands.mjs", server.url, str(WRITING_S)), tmp_path) as writer:
        last_start = time.monotonic() + WRITING_S - LAST_WORKER_S
        while time.monotonic() < last_start:
            assert not ends_within(writer, random.uniform(0, 0.3))  # nobody listens meanwhile
            kill_a_worker_that_flushes(tmp_path, tables, wait_until)
            kills += 1
        with running(command("worker"), tmp_path) as worker:
            before = tables.counters()
            wait_until(lambda: tables.counters() != before or writer.poll() is not None)
            printed, _ = writer.communicate(timeout=PATIENCE_S)
            worker.terminate()  # it captures and flushes what is left
            assert ends_within(worker, PATIENCE_S)
            assert worker.returncode == 0, "it did not drain"
    assert writer.returncode == 0
    assert kills >= KILLS_AT_LEAST
    assert tables.counters() == cached.counters()
    assert tables.records() == cached.records()
    assert tables.scores() == cached.scores()
    sent = json.loads(printed)
    assert set(sent) == COMMANDS
    assert min(sent.values()) > 0
    print(f"{sum(sent.values()):,} commands in {WRITING_S:g} s, {kills} workers killed")
