"""Event logs, from the first event to the row. Read from top to bottom, this is the tutorial."""

from __future__ import annotations

import sqlite3
import threading
from contextlib import closing
from pathlib import Path

import pytest

from writebehind import (
    BufferFull,
    CacheUnavailable,
    ColumnRefused,
    DeadLettered,
    PartlyWritten,
    ValueRefused,
    WriteBehind,
)
from writebehind.testing.proxy import CutProxy
from writebehind.testing.valkey import TemporaryValkey

FIRST_KEYS = ("header", "open", "open:lanes", "lanes")


@pytest.fixture
def clicks(videos):
    """The application's database with a table of clicks, which has a column for their order."""
    videos.run("CREATE TABLE clicks (place BIGINT, page TEXT NOT NULL, seconds DOUBLE PRECISION, who TEXT DEFAULT '?')")
    return videos


def pages(database) -> list[str]:
    return [page for (page,) in database.run("SELECT page FROM clicks ORDER BY place")]


def test_every_event_becomes_a_row_in_the_order_of_the_calls(valkey: TemporaryValkey, clicks) -> None:
    wb = WriteBehind(cache=valkey.url, database=clicks.url)
    log = wb.events("clicks", position="place")
    with wb:
        log.append({"page": "/a", "seconds": 1.5})
        log.extend([{"page": "/b", "who": None}, {"page": "/b", "who": "ada"}])  # nothing is merged
        assert pages(clicks) == []
        report = wb.flush(timeout=30)
        log.append({"page": "/c"})
        wb.flush(timeout=30)
    assert clicks.run("SELECT page, seconds, who FROM clicks ORDER BY place") == [
        ("/a", 1.5, "?"),
        ("/b", None, None),
        ("/b", None, "ada"),
        ("/c", None, "?"),
    ]
    assert (report.writes, report.rows, report.statements) == (3, 3, report.statements)


def test_ten_thousand_events_stay_in_order_whatever_their_level(valkey: TemporaryValkey, clicks) -> None:
    wb = WriteBehind(cache=valkey.url, database=clicks.url)
    log = wb.events("clicks", position="place")
    with wb:
        for number in range(0, 6000, 2):
            log.append({"page": f"/{number}"}, ack="local")
            if number % 300 == 0:
                log.append({"page": f"/{number + 1}"})
            else:
                log.append({"page": f"/{number + 1}"}, ack="local")
        log.extend([{"page": f"/{number}"} for number in range(6000, 10_000)])
        wb.flush(timeout=60)
    assert pages(clicks) == [f"/{number}" for number in range(10_000)]


def test_what_a_column_cannot_hold_is_refused_at_the_call(valkey: TemporaryValkey, clicks) -> None:
    wb = WriteBehind(cache=valkey.url, database=clicks.url)
    log = wb.events("clicks", position="place")
    with wb:
        for event, message in (
            ({"pgae": "/a"}, "no column 'pgae'"),
            ({"page": "/a", "place": 7}, "it receives each event's position"),
            ({"page": "/a", "seconds": "long"}, "the column 'seconds'"),
            ({"page": "\udc00"}, "the column 'page'"),
            ({"seconds": 1.0}, "lacks page"),
            (["/a"], "Pass a dict"),
        ):
            with pytest.raises(ValueRefused, match=message):
                log.append(event)  # type: ignore[arg-type]
            with pytest.raises(ValueRefused, match=message):
                log.extend([{"page": "/good"}, event])  # type: ignore[list-item]
        assert wb.flush(timeout=30).rows == 0


def test_a_bad_event_becomes_a_dead_letter_and_holds_no_other_back(valkey: TemporaryValkey, videos) -> None:
    videos.run("CREATE TABLE readings (sensor INTEGER, value DOUBLE PRECISION CHECK (value < 100))")
    wb = WriteBehind(cache=valkey.url, database=videos.url)
    log = wb.events("readings")
    with wb:
        log.extend([{"sensor": n, "value": 500.0 if n == 5 else 1.0} for n in range(10)])
        report = wb.flush(timeout=30)
        assert (report.rows, report.dead_letters) == (9, 1)
        with pytest.raises(DeadLettered):
            log.append({"sensor": 3, "value": 400.0}, ack="database", timeout=30)
        log.append({"sensor": 3, "value": 40.0}, ack="database", timeout=30)
    assert [sensor for (sensor,) in videos.run("SELECT sensor FROM readings ORDER BY sensor")] == [
        *(0, 1, 2, 3, 3, 4, 6, 7, 8, 9)
    ]
    letters = videos.run("SELECT operation, value FROM writebehind_dead_letters ORDER BY id")
    assert [operation for operation, _ in letters] == ["append", "append"]
    assert '"sensor":"5"' in letters[0][1]


def test_what_another_program_appends_and_is_no_event_becomes_a_dead_letter(valkey: TemporaryValkey, clicks) -> None:
    wb = WriteBehind(cache=valkey.url, database=clicks.url, namespace="tests")
    log = wb.events("clicks", position="place")
    with wb, valkey.client() as redis:
        log.append({"page": "/a"})
        call = ["FCALL", "wb1_write_events", 4, *[f"wb:{{tests:clicks:0}}:{key}" for key in FIRST_KEYS]]
        junk = ["no JSON", "[1]", '{"page":5}', '{"pgae":"/b"}', '{"page":"/b"}']
        redis.execute_command(*call, "1", "", "", "", len(junk), 0, *junk)
        report = wb.flush(timeout=30)
        assert (report.rows, report.dead_letters) == (2, 4)
    assert pages(clicks) == ["/a", "/b"]


def test_at_its_length_a_log_refuses(valkey: TemporaryValkey, clicks) -> None:
    wb = WriteBehind(cache=valkey.url, database=clicks.url)
    log = wb.events("clicks", position="place", max_length=3, when_full="refuse")
    with wb:
        log.extend([{"page": "/1"}, {"page": "/2"}])
        with pytest.raises(BufferFull):
            log.extend([{"page": "/3"}, {"page": "/4"}])  # together or not at all
        log.append({"page": "/3"})
        with pytest.raises(BufferFull):
            log.append({"page": "/4"})
        wb.flush(timeout=30)
        log.append({"page": "/5"})
        wb.flush(timeout=30)
    assert pages(clicks) == ["/1", "/2", "/3", "/5"]


def test_at_its_length_a_log_blocks_until_a_flush_makes_room(valkey: TemporaryValkey, clicks, wait_until) -> None:
    wb = WriteBehind(cache=valkey.url, database=clicks.url)
    log = wb.events("clicks", position="place", max_length=3, when_full="block")
    with wb:
        log.extend([{"page": f"/{n}"} for n in range(3)])
        with pytest.raises(BufferFull):
            log.append({"page": "/late"}, timeout=0.1)
        writer = threading.Thread(target=log.append, args=({"page": "/3"},), kwargs={"timeout": 30})
        writer.start()
        wait_until(lambda: wb.status().mappings[0].pending_writes == 3)
        wb.flush(timeout=30)  # sends what waits, for which it has to make room first
        writer.join()
        wb.flush(timeout=30)
    assert pages(clicks) == ["/0", "/1", "/2", "/3"]


def test_of_many_events_the_first_are_written_and_the_caller_is_told_how_many(valkey: TemporaryValkey, clicks) -> None:
    wb = WriteBehind(cache=valkey.url, database=clicks.url)
    log = wb.events("clicks", position="place", max_length=1500, when_full="refuse")
    events = [{"page": f"/{n}"} for n in range(2200)]
    with wb:
        with pytest.raises(PartlyWritten) as raised:
            log.extend(events)  # the last 200 would have fitted
        assert raised.value.written == 1000
        wb.flush(timeout=30)
        assert pages(clicks) == [f"/{n}" for n in range(1000)]
        log.extend(events[raised.value.written :])
        wb.flush(timeout=30)
    assert pages(clicks) == [f"/{n}" for n in range(2200)]


def test_a_call_that_does_not_fit_leaves_nothing_of_it_behind(valkey: TemporaryValkey, clicks) -> None:
    wb = WriteBehind(cache=valkey.url, database=clicks.url)
    log = wb.events("clicks", position="place", max_length=900, when_full="refuse")
    with wb:
        for _ in range(10):
            with pytest.raises(BufferFull):
                log.extend([{"page": f"/{n}"} for n in range(1100)])  # of a thousand and a hundred
        wb.flush(timeout=30)
    assert pages(clicks) == []


def test_partly_written_counts_what_was_buffered_before(valkey: TemporaryValkey, clicks, tmp_path: Path) -> None:
    with CutProxy(tmp_path, valkey.url.removeprefix("unix://")) as proxy:
        wb = WriteBehind(cache=proxy.url, database=clicks.url)
        log = wb.events("clicks", position="place")
        events = [{"page": f"/{n}"} for n in range(70_000)]
        with wb:
            proxy.cut_requests(1_000_000)
            with pytest.raises(PartlyWritten) as raised:
                log.extend(events, ack="local", timeout=0.3)  # 64 groups may wait
            assert 63_000 <= raised.value.written < 70_000
            proxy.cut_requests(0)
            log.extend(events[raised.value.written :], timeout=30)
            wb.flush(timeout=60)
    assert pages(clicks) == [f"/{n}" for n in range(70_000)]


def test_nothing_was_written_is_said_of_a_whole_call_too(valkey: TemporaryValkey, clicks, tmp_path: Path) -> None:
    with CutProxy(tmp_path, valkey.url.removeprefix("unix://")) as proxy:
        wb = WriteBehind(cache=proxy.url, database=clicks.url)
        log = wb.events("clicks", position="place")
        with wb:
            log.append({"page": "/first"})
            proxy.cut_answers(1_000_000)
            with pytest.raises(PartlyWritten) as raised:
                log.extend([{"page": f"/{n}"} for n in range(1500)], timeout=0.3)
            assert raised.value.written == 1000  # on their way: their answer was lost
            with pytest.raises(CacheUnavailable):
                log.extend([{"page": "/not"}, {"page": "/sent"}], timeout=0.1)  # behind those
            proxy.cut_answers(0)
            wb.flush(timeout=30)
    assert pages(clicks) == ["/first", *(f"/{n}" for n in range(1000))]


def test_a_ring_that_is_full_refuses_the_rest_of_a_call_and_says_so(valkey: TemporaryValkey, clicks) -> None:
    wb = WriteBehind(cache=valkey.url, database=clicks.url, ring_groups=2, ring_full="refuse")
    log = wb.events("clicks", position="place")
    events = [{"page": f"/{n}"} for n in range(5000)]
    with wb:
        with pytest.raises(PartlyWritten) as raised:
            log.extend(events)
        assert raised.value.written == 2000
        with pytest.raises(BufferFull):
            log.append({"page": "/no"})
        wb.flush(timeout=30)
    assert pages(clicks) == [f"/{n}" for n in range(2000)]


def test_two_processes_keep_one_stream_together(valkey: TemporaryValkey, clicks) -> None:
    first = WriteBehind(cache=valkey.url, database=clicks.url)
    second = WriteBehind(cache=valkey.url, database=clicks.url)
    logs = [wb.events("clicks", position="place", partitions=4) for wb in (first, second)]
    with first, second:
        for number in range(40):
            logs[number % 2].append({"page": f"/{number}", "who": "cart 7"}, together="cart 7")
            logs[number % 2].append({"page": "/other", "who": "x"})
        first.flush(timeout=30)
    found = clicks.run("SELECT page FROM clicks WHERE who = 'cart 7' ORDER BY place")
    assert [page for (page,) in found] == [f"/{number}" for number in range(40)]


def test_what_cannot_be_a_position_is_said_at_open(valkey: TemporaryValkey, clicks) -> None:
    wb = WriteBehind(cache=valkey.url, database=clicks.url)
    wb.events("clicks", position="page")
    with pytest.raises(ColumnRefused, match="position"):
        wb.open()


def test_a_log_may_have_a_database_of_its_own(valkey: TemporaryValkey, videos, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'events.db'}"
    WriteBehind(cache="redis://unused", database=url).init()
    with closing(sqlite3.connect(tmp_path / "events.db")) as connection, connection:
        connection.execute("CREATE TABLE clicks (page TEXT)")
    wb = WriteBehind(cache=valkey.url, database=videos.url)
    likes = wb.counter("videos.likes")
    log = wb.events("clicks", database=url)
    with wb:
        likes.add(1, 3)
        log.append({"page": "/a"})
        log.append({"page": "/b"}, ack="database", timeout=30)
        report = wb.flush(timeout=30)
    assert videos.likes(1) == 3
    with closing(sqlite3.connect(tmp_path / "events.db")) as connection:
        assert connection.execute("SELECT page FROM clicks").fetchall() == [("/a",), ("/b",)]
    assert report.rows == 1


def test_all_kinds_in_one_application(valkey: TemporaryValkey, clicks) -> None:
    clicks.run("CREATE TABLE scores (player TEXT PRIMARY KEY, points BIGINT)")
    clicks.run("CREATE TABLE profiles (id BIGINT PRIMARY KEY, name TEXT)")
    wb = WriteBehind(cache=valkey.url, database=clicks.url)
    likes, log = wb.counter("videos.likes"), wb.events("clicks", position="place")
    points, people = wb.leaderboard("scores.points", member="player"), wb.records("profiles")
    with wb:
        likes.add(1)
        points.submit("ada", 5)
        people.put(1, {"name": "Ada"})
        log.append({"page": "/a"})
        assert {mapping.name: mapping.pending_writes for mapping in wb.status().mappings} == dict.fromkeys(
            ["videos.likes", "clicks", "scores.points", "profiles"], 1
        )
        assert wb.flush(timeout=30).rows == 4
        assert (likes.get(1), points.score("ada"), people.get(1)) == (1, 5, {"name": "Ada"})
    assert (clicks.likes(1), pages(clicks)) == (1, ["/a"])
