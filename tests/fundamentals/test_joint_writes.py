"""Writes that belong together: the buffer takes all of them or none, whatever is full or away."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from writebehind import BufferFull, CacheUnavailable, WriteBehind
from writebehind.application.feeding import flows_of, joint_writes
from writebehind.client.flows.base import Intent
from writebehind.client.flows.counters import CounterFlows
from writebehind.client.flows.events import EventFlows
from writebehind.client.joint_writes import JointWrites
from writebehind.client.lane import LOCAL_GROUPS
from writebehind.testing.valkey import TemporaryValkey


class Pair:
    """A counter and an event log that are written together, and their tables."""

    def __init__(self, folder: Path, valkey: TemporaryValkey, **settings: Any) -> None:
        self._file = folder / "app.db"
        self.sql("CREATE TABLE pages (path TEXT PRIMARY KEY, hits INTEGER NOT NULL DEFAULT 0)")
        self.sql("CREATE TABLE requests (path TEXT)")
        self.wb = WriteBehind(cache=valkey.url, database=f"sqlite:///{self._file}", **settings)
        self.wb.counter("pages.hits", missing="insert")
        self.wb.events("requests")
        self.wb.init()

    def sql(self, statement: str) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(self._file, timeout=30)) as connection, connection:
            return connection.execute(statement).fetchall()

    def intents(self, path: str) -> list[Intent]:
        hits, requests = flows_of(self.wb, "pages.hits"), flows_of(self.wb, "requests")
        assert isinstance(hits, CounterFlows)
        assert isinstance(requests, EventFlows)
        return [hits.addition(path, 1), requests.appending({"path": path})]

    def write_until_it_is_refused(self, writes: JointWrites, most: int) -> tuple[int, Exception]:
        """How many pairs were taken, and what the next one was told."""
        for count in range(most):
            try:
                writes.buffer(self.intents(f"/{count}"), timeout_s=0.05)
            except (BufferFull, CacheUnavailable) as error:
                return count, error
        raise AssertionError(f"none of {most} was refused")

    def check(self, count: int) -> None:
        """Both tables have exactly so many."""
        assert self.sql("SELECT count(*), sum(hits) FROM pages") == [(count, count)]
        assert self.sql("SELECT count(*), count(DISTINCT path) FROM requests") == [(count, count)]


@pytest.fixture
def resumed(own_valkey: TemporaryValkey) -> Iterator[TemporaryValkey]:
    """A cache that a test pauses; it goes on when the test ends, whatever happens."""
    yield own_valkey
    own_valkey.resume()


def test_while_the_cache_is_away_the_buffer_is_bounded_and_takes_whole_pairs(
    tmp_path: Path, resumed: TemporaryValkey
) -> None:
    pair = Pair(tmp_path, resumed)
    with pair.wb:
        writes = joint_writes(pair.wb)
        resumed.pause()
        count, error = pair.write_until_it_is_refused(writes, most=200_000)
        assert isinstance(error, CacheUnavailable)
        assert 10_000 < count < 2 * LOCAL_GROUPS * 1_000
        with pytest.raises(CacheUnavailable, match="wait in this process"):
            writes.send(timeout_s=0.05)
        resumed.resume()
        writes.send(timeout_s=30)
        pair.wb.flush(timeout=60)
        pair.check(count)


@pytest.mark.parametrize("ring_full", ["block", "refuse"])
def test_a_full_ring_takes_whole_pairs(tmp_path: Path, valkey: TemporaryValkey, ring_full: str) -> None:
    pair = Pair(tmp_path, valkey, ring_groups=4, ring_full=ring_full)
    with pair.wb:
        writes = joint_writes(pair.wb)
        count, error = pair.write_until_it_is_refused(writes, most=200_000)
        assert isinstance(error, BufferFull)
        assert "the ring of" in str(error)
        pair.wb.start_worker()  # which the full ring asks for room
        writes.send(timeout_s=60)
        pair.wb.flush(timeout=60)
        pair.check(count)
        writes.buffer(pair.intents("/one more"), timeout_s=30)  # the database has made room
        pair.wb.flush(timeout=60)
        pair.check(count + 1)
