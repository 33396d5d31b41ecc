"""Reads while flushes run all the time, and cached values go: never backwards, and never without one's own writes."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from writebehind import WriteBehind
from writebehind.testing.valkey import TemporaryValkey

ROUNDS = 120


@pytest.fixture
def tables(videos):
    """The application's database with a table for each kind."""
    videos.run("CREATE TABLE scores (player TEXT PRIMARY KEY, best BIGINT, total BIGINT)")
    videos.run("CREATE TABLE profiles (id BIGINT PRIMARY KEY, number BIGINT, same BIGINT)")
    return videos


def test_no_reader_ever_sees_an_older_state_than_before(valkey: TemporaryValkey, tables) -> None:
    wb = WriteBehind(cache=valkey.url, database=tables.url, flush_after=0.01)
    other = WriteBehind(cache=valkey.url, database=tables.url)
    likes, their_likes = wb.counter("videos.likes"), other.counter("videos.likes")
    best, their_best = (each.leaderboard("scores.best", member="player") for each in (wb, other))
    total, their_total = (each.leaderboard("scores.total", member="player", keep="sum") for each in (wb, other))
    people, their_people = wb.records("profiles"), other.records("profiles")
    wrong: list[str] = []
    stop = threading.Event()

    def watch(name: str, read: Callable[[], int]) -> None:
        seen = 0
        while not stop.is_set():
            now = read()
            if now < seen:
                wrong.append(f"{name} went from {seen} to {now}")
            seen = now

    def record_number() -> int:
        record = their_people.get(1, timeout=30) or {"number": 0, "same": 0}
        if record["number"] != record["same"]:
            wrong.append(f"half a record: {record}")
        return record["number"]

    watchers: dict[str, Callable[[], int]] = {
        "likes": lambda: their_likes.get(1, timeout=30),
        "best": lambda: their_best.score("ada", timeout=30) or 0,
        "total": lambda: (their_total.top(1, timeout=30) or [(1, "ada", 0)])[0][2],
        "record": record_number,
    }

    def evict() -> None:
        with valkey.client() as redis:
            while not stop.wait(0.02):
                redis.delete("videos:1:likes", "scores:best", "scores:total", "profiles:1")

    with wb, other:
        wb.start_worker()
        threads = [threading.Thread(target=watch, args=watcher) for watcher in watchers.items()]
        threads.append(threading.Thread(target=evict))
        for thread in threads:
            thread.start()
        for number in range(1, ROUNDS + 1):
            likes.add(1)
            best.submit("ada", number)
            total.submit("ada", 1)
            people.patch(1, {"number": number, "same": number}, ack="memory" if number % 2 else "local")
            own = (
                likes.get(1, timeout=30),
                best.score("ada", timeout=30),
                total.score("ada", timeout=30),
                people.get(1, timeout=30),
            )
            if own != (number, number, number, {"number": number, "same": number}):
                wrong.append(f"after write {number}: {own}")
        stop.set()
        for thread in threads:
            thread.join()
    assert wrong == []
    assert tables.run("SELECT * FROM scores") == [("ada", ROUNDS, ROUNDS)]
