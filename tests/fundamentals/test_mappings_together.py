"""Several mappings side by side: what they share, and how they are kept from each other."""

from __future__ import annotations

import logging

import pytest

from writebehind import ColumnRefused, DatabaseRefused, ValueRefused, WriteBehind
from writebehind.observe import Event, FlushFailed
from writebehind.testing.valkey import TemporaryValkey


def test_records_leave_a_column_alone_that_is_counted(valkey: TemporaryValkey, videos) -> None:
    """Each would make the other's cached values wrong, and a put would set the count to its default."""
    wb = WriteBehind(cache=valkey.url, database=videos.url)
    likes, rows = wb.counter("videos.likes"), wb.records("videos")
    with wb:
        likes.add(7, 5)
        rows.put(7, {"title": "seven"})
        assert rows.get(7) == {"title": "seven", "views": None}
        with pytest.raises(ValueRefused, match=r"it is the counter"):
            rows.patch(7, {"likes": 1})
        wb.flush(timeout=30)
        assert likes.get(7) == 5
    assert videos.run("SELECT title, likes FROM videos WHERE id = 7") == [("seven", 5)]


def test_records_that_name_a_counted_column_are_refused(valkey: TemporaryValkey, videos) -> None:
    wb = WriteBehind(cache=valkey.url, database=videos.url)
    wb.counter("videos.likes")
    wb.records("videos", columns=["title", "likes"])
    with pytest.raises(ColumnRefused, match="has another mapping"):
        wb.open()


def test_naming_the_implied_namespace_changes_nothing(valkey: TemporaryValkey, videos) -> None:
    first = WriteBehind(cache=valkey.url, database=videos.url)
    second = WriteBehind(cache=valkey.url, database=videos.url, namespace="default")
    one, other = first.counter("videos.likes"), second.counter("videos.likes")
    with first, second:
        assert (one.incr(7, 10), other.incr(7)) == (10, 11)
        assert one.get(7) == other.get(7) == 11


def test_a_table_that_fails_does_not_keep_the_others_from_a_flush(valkey: TemporaryValkey, videos) -> None:
    videos.run("CREATE TABLE gone (id BIGINT PRIMARY KEY, n BIGINT)")
    wb = WriteBehind(cache=valkey.url, database=videos.url)
    gone, likes = wb.counter("gone.n"), wb.counter("videos.likes")
    with wb:
        gone.add(1)
        likes.add(7)
        videos.run("DROP TABLE gone")
        with pytest.raises(DatabaseRefused, match="gone"):
            wb.flush(timeout=30)
        assert videos.likes(7) == 1


def test_an_observer_that_fails_is_logged_and_harms_nobody(
    valkey: TemporaryValkey, videos, caplog: pytest.LogCaptureFixture, wait_until
) -> None:
    told: list[Event] = []

    def observer(event: Event) -> None:
        told.append(event)
        raise RuntimeError("the observer's own mistake")

    videos.run("CREATE TABLE later (id BIGINT PRIMARY KEY, n BIGINT)")
    wb = WriteBehind(cache=valkey.url, database=videos.url, flush_after=0.01, observers=[observer])
    later = wb.counter("later.n", missing="insert")
    with caplog.at_level(logging.ERROR, logger="writebehind"), wb:
        videos.run("ALTER TABLE later RENAME TO hidden")
        later.add(1)
        with pytest.raises(DatabaseRefused):
            wb.flush(timeout=30)
        wb.start_worker()
        wait_until(lambda: any(isinstance(event, FlushFailed) for event in told))
        videos.run("ALTER TABLE hidden RENAME TO later")
    assert "the observer's own mistake" in caplog.text
    assert videos.run("SELECT n FROM later") == [(1,)]


def test_a_board_that_is_emptied_and_filled_in_one_breath_still_expires(valkey: TemporaryValkey, videos) -> None:
    videos.run("CREATE TABLE scores (player TEXT PRIMARY KEY, points BIGINT)")
    wb = WriteBehind(cache=valkey.url, database=videos.url, linger_ms=50)
    scores = wb.leaderboard("scores.points", member="player", cached_value_ttl=100)
    with wb, valkey.client() as client:
        scores.submit("ada", 1)
        assert scores.size() == 1
        assert client.pttl("scores:points") > 0
        scores.remove("ada", ack="local")
        scores.submit("bob", 2, ack="local")
        scores.submit("cy", 3)
        assert [entry.member for entry in scores.top(9)] == ["cy", "bob"]
        assert client.pttl("scores:points") > 0


def test_reading_boards_makes_no_endless_chain(valkey: TemporaryValkey, videos) -> None:
    """A board without members is looked for in the database each time; what is open is sealed for that, but not for
    ever.
    """
    videos.run("CREATE TABLE scores (game TEXT, player TEXT, points BIGINT, PRIMARY KEY (game, player))")
    wb = WriteBehind(cache=valkey.url, database=videos.url)
    scores = wb.leaderboard("scores.points", member="player", board="game")
    with wb:
        for number in range(40):
            scores.submit("ada", number, board="full")
            if number < 10:
                assert scores.top(1, board="empty") == []
            assert wb.status().mappings[0].sealed_batches <= 16
        wb.flush(timeout=30)
        assert scores.top(1, board="empty") == []
        assert scores.top(1, board="full")[0].score == 39
