"""Redis 7.0 has no WAITAOF: it refuses ``ack="disk"`` before anything is written, and takes the other levels."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from writebehind import CacheRefused, WriteBehind
from writebehind.testing.valkey import TemporaryValkey


def test_a_redis_without_waitaof_refuses_the_disk_and_counts_the_rest(
    tmp_path: Path, redis_server: TemporaryValkey
) -> None:
    path = tmp_path / "app.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(
            "CREATE TABLE videos (id INTEGER PRIMARY KEY, likes INTEGER NOT NULL DEFAULT 0);"
            "INSERT INTO videos (id) VALUES (1);"
        )
    wb = WriteBehind(cache=redis_server.url, database=f"sqlite:///{path}")
    wb.init()
    likes = wb.counter("videos.likes")
    with wb:
        with pytest.raises(CacheRefused, match="its version has no WAITAOF"):
            likes.add(1, 100, ack="disk")
        likes.add(1)
        wb.flush(timeout=30)
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT likes FROM videos").fetchall() == [(1,)]
