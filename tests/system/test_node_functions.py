"""Programs in JavaScript call the documented functions on Debian's Redis; the rows are right, once."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from writebehind import WriteBehind
from writebehind.testing.valkey import TemporaryValkey

TABLES = """
CREATE TABLE videos (id INTEGER PRIMARY KEY, likes INTEGER NOT NULL DEFAULT 0);
CREATE TABLE clicks (number INTEGER NOT NULL, page TEXT, place INTEGER UNIQUE NOT NULL);
"""


class Application:
    """A SQLite file with the tables, and a WriteBehind object on it."""

    def __init__(self, path: Path, server: TemporaryValkey) -> None:
        self._path = path
        with closing(sqlite3.connect(path)) as connection:
            connection.executescript(TABLES)
        self.wb = WriteBehind(cache=server.url, database=f"sqlite:///{path}")
        self.wb.init()

    def sql(self, statement: str) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(self._path)) as connection:
            return connection.execute(statement).fetchall()


@pytest.fixture
def application(tmp_path: Path, redis_server: TemporaryValkey) -> Application:
    return Application(tmp_path / "app.db", redis_server)


def test_likes_from_node_are_counted_once(
    application: Application, redis_server: TemporaryValkey, node: Callable[..., str]
) -> None:
    likes = application.wb.counter("videos.likes", missing="insert")
    with application.wb:
        assert likes.incr(3) == 1  # a cached total, which Node's writes change too
        said = json.loads(node("counter.mjs", redis_server.url))
        assert said == {"statuses": {"OK": 100, "ALREADY": 100}, "refused": ["REFUSED", "NUMBER"]}
        assert likes.get(3) == 301
        report = application.wb.flush(timeout=30)
        assert report.writes == 1_001
    expected = [(video, 100 * video + (video == 3)) for video in range(1, 11)]
    assert application.sql("SELECT id, likes FROM videos ORDER BY id") == expected


def test_events_from_node_are_rows_in_their_order(
    application: Application, redis_server: TemporaryValkey, node: Callable[..., str]
) -> None:
    application.wb.events("clicks", position="place")
    with application.wb:
        node("events.mjs", redis_server.url)
        report = application.wb.flush(timeout=30)
        assert (report.writes, report.rows) == (1_000, 1_000)
    pages = [None if n % 2 == 0 else f'/ä/"{n % 20}"' for n in range(1_000)]
    assert application.sql("SELECT number, page FROM clicks ORDER BY place") == list(enumerate(pages))


def test_the_server_is_redis(redis_server: TemporaryValkey) -> None:
    with redis_server.client() as client:
        info = client.info("server")
    assert info.get("server_name", "redis") == "redis"
    assert int(info["redis_version"].partition(".")[0]) >= 7
