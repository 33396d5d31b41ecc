"""A cache that forgets, under records, leaderboards and event logs: cut, emptied, or set back to a snapshot.

While the writing process lives, what it wrote is in the database at the end: the last value of each column, each
score by its rule, each event once.
"""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from writebehind import WriteBehind
from writebehind.testing.proxy import CutProxy
from writebehind.testing.valkey import TemporaryValkey


@pytest.fixture
def tables(videos):
    """The application's database with a table for each kind."""
    videos.run("CREATE TABLE clicks (place BIGINT, page TEXT)")
    videos.run("CREATE TABLE scores (player TEXT PRIMARY KEY, points BIGINT)")
    videos.run("CREATE TABLE profiles (id BIGINT PRIMARY KEY, a TEXT, b TEXT, revision BIGINT)")
    return videos


class Application:
    """One process that writes to all kinds, and remembers what it wrote."""

    def __init__(self, cache: str, database: Any, **options: Any) -> None:
        self.database = database
        self.wb = WriteBehind(cache=cache, database=database.url, lease_ttl=0.2, poll=0.05, **options)
        self.log = self.wb.events("clicks", position="place")
        self.points = self.wb.leaderboard("scores.points", member="player", keep="sum")
        self.people = self.wb.records("profiles")
        self.events: list[str] = []
        self.scores: dict[str, int] = {}
        self.records: dict[int, dict[str, str | None]] = {}

    def write(self, chance: random.Random, number: int, ack: Any = "memory") -> None:
        self.log.append({"page": f"/{number}"}, ack=ack, timeout=30)
        self.events.append(f"/{number}")
        player, key = chance.choice("xyz"), chance.randrange(3)
        if chance.random() < 0.15:
            self.points.remove(player, ack=ack, timeout=30)
            self.scores.pop(player, None)
            self.people.delete(key, ack=ack, timeout=30)
            self.records.pop(key, None)
        else:
            self.points.submit(player, number, ack=ack, timeout=30)
            self.scores[player] = self.scores.get(player, 0) + number
            values = {chance.choice("ab"): f"v{number}"}
            self.people.patch(key, values, ack=ack, timeout=30)
            self.records[key] = {"a": None, "b": None, "revision": None} | self.records.get(key, {}) | values

    def check_reads(self) -> None:
        assert {entry.member: entry.score for entry in self.points.top(99, timeout=30)} == self.scores
        assert self.people.get_many(range(3), timeout=30) == {key: self.records.get(key) for key in range(3)}

    def check_rows(self, *, in_order: bool) -> None:
        assert dict(self.database.run("SELECT player, points FROM scores")) == self.scores
        found = {key: {"a": a, "b": b} for key, a, b in self.database.run("SELECT id, a, b FROM profiles")}
        assert found == {key: {"a": row["a"], "b": row["b"]} for key, row in self.records.items()}
        pages = [page for (page,) in self.database.run("SELECT page FROM clicks ORDER BY place")]
        assert (pages if in_order else sorted(pages)) == (self.events if in_order else sorted(self.events))


@pytest.mark.parametrize("seed", range(2))
def test_an_append_only_file_cut_anywhere_loses_and_doubles_nothing(
    own_valkey: TemporaryValkey, tables, seed: int
) -> None:
    chance = random.Random(seed)
    application = Application(own_valkey.url, tables)
    number = 0
    with application.wb:
        for _ in range(6):
            for _ in range(chance.randrange(1, 25)):
                number += 1
                application.write(chance, number, chance.choice(["memory", "memory", "local"]))
                if chance.random() < 0.08:
                    application.wb.flush(timeout=30)
                    application.check_reads()
            own_valkey.kill()
            own_valkey.cut_append_only_file(chance.choice([1, 30, 200, 2_000, 20_000, 10_000_000]))
            own_valkey.start()
        application.write(chance, number + 1)
        application.wb.flush(timeout=30)
        application.check_reads()
    application.check_rows(in_order=False)


def test_an_emptied_cache_and_an_old_snapshot_change_nothing_in_the_end(
    own_valkey: TemporaryValkey, tables, tmp_path: Path
) -> None:
    chance = random.Random(5)
    application = Application(own_valkey.url, tables)
    with application.wb:
        for number in range(1, 8):
            application.write(chance, number)
        own_valkey.empty()  # FLUSHALL, which leaves the server's own incarnation as it is
        for number in range(8, 12):
            application.write(chance, number)
        own_valkey.stop()
        own_valkey.snapshot(tmp_path / "snapshot")
        own_valkey.start()
        for number in range(12, 16):
            application.write(chance, number)
        application.wb.flush(timeout=30)
        application.check_rows(in_order=False)
        application.check_reads()
        own_valkey.kill()
        own_valkey.restore(tmp_path / "snapshot")
        own_valkey.start()
        for number in range(16, 20):
            application.write(chance, number)
        application.wb.flush(timeout=30)
        application.check_reads()
    application.check_rows(in_order=False)


def test_within_one_incarnation_events_keep_their_order_through_lost_answers(
    valkey: TemporaryValkey, tables, tmp_path_factory: pytest.TempPathFactory
) -> None:
    chance = random.Random(9)
    with CutProxy(tmp_path_factory.mktemp("p"), valkey.url.removeprefix("unix://")) as proxy:
        application = Application(proxy.url, tables)
        with application.wb:
            for number in range(1, 60):
                proxy.cut_answers(chance.randrange(2))
                proxy.cut_requests(chance.randrange(2))
                application.write(chance, number, chance.choice(["memory", "local"]))
            proxy.cut_answers(0)
            proxy.cut_requests(0)
            assert proxy.cuts > 20
            application.check_reads()
            application.wb.flush(timeout=30)
        application.check_rows(in_order=True)


def test_a_write_that_was_written_over_is_in_the_database_when_that_is(own_valkey: TemporaryValkey, tables) -> None:
    """``ack="database"`` across a rollback: what is written again is less than what was waited for."""
    application = Application(own_valkey.url, tables)
    with application.wb:
        application.people.put(1, {"a": "first"}, timeout=30)
        own_valkey.kill()
        own_valkey.wipe()
        own_valkey.start()
        application.people.patch(1, {"a": "second"}, ack="database", timeout=30)
        assert tables.run("SELECT a, b FROM profiles") == [("second", None)]


def test_versions_decide_the_same_after_a_rollback(own_valkey: TemporaryValkey, tables) -> None:
    wb = WriteBehind(cache=own_valkey.url, database=tables.url)
    people = wb.records("profiles", version="revision")
    with wb:
        people.patch(1, {"a": "kept", "revision": 1})
        own_valkey.kill()
        own_valkey.wipe()
        own_valkey.start()
        people.patch(1, {"b": "newer", "revision": 2}, timeout=30)
        people.patch(1, {"a": "outdated", "revision": 0}, timeout=30)
        wb.flush(timeout=30)
        assert people.get(1, timeout=30) == {"a": "kept", "b": "newer", "revision": 2}
    assert tables.run("SELECT * FROM profiles") == [(1, "kept", "newer", 2)]


def test_a_reader_sees_its_own_writes_although_another_process_met_the_rollback_first(
    own_valkey: TemporaryValkey, tables
) -> None:
    ours = Application(own_valkey.url, tables)
    theirs = Application(own_valkey.url, tables, flush_after=0.05)
    with ours.wb, theirs.wb:
        theirs.wb.start_worker()
        for number in range(1, 6):
            ours.people.patch(1, {"a": f"{number}"}, timeout=30)
            ours.points.submit("x", 1, timeout=30)
            own_valkey.empty()
            theirs.people.patch(2, {"a": "theirs"}, timeout=30)
            theirs.points.submit("y", 1, timeout=30)
            assert ours.people.get(1, timeout=30)["a"] == f"{number}"
            assert ours.points.score("x", timeout=30) == number
