"""The database is away, and no worker runs: writes are answered by the cache all the same."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from writebehind import BufferFull, FlushTimeout, PartitionStopped, TotalUnavailable, WriteBehind
from writebehind.testing.postgresql import TemporaryPostgres
from writebehind.testing.valkey import TemporaryValkey


@pytest.fixture
def own_postgres() -> Iterator[TemporaryPostgres]:
    """A PostgreSQL for this test alone, to be killed."""
    with TemporaryPostgres() as server:
        yield server


@pytest.fixture
def own_videos(own_postgres: TemporaryPostgres, make_videos):
    return make_videos(own_postgres.create_database())


def test_writes_go_on_while_the_database_is_away_and_through_a_restart_of_the_cache(
    own_valkey: TemporaryValkey, own_postgres: TemporaryPostgres, own_videos
) -> None:
    wb = WriteBehind(cache=own_valkey.url, database=own_videos.url)
    likes = wb.counter("videos.likes")
    with wb:
        assert likes.incr(1) == 1
        own_postgres.kill()
        for _ in range(100):
            likes.add(1)
        assert likes.incr(1) == 102  # its total is cached, so nobody asks the database
        with pytest.raises(TotalUnavailable, match="was accepted"):
            likes.incr(2)
        own_valkey.restart()
        for _ in range(100):
            likes.add(1)
        status = wb.status()
        assert status.mappings[0].dead_letters is None  # nobody to ask
        assert status.pending_writes == 203

        own_postgres.start()
        wb.flush(timeout=60)
        assert likes.get(1) == 202
    assert own_videos.all_likes() == {1: 202, 2: 1}


def test_a_worker_drains_the_backlog_when_the_database_returns(
    valkey: TemporaryValkey, own_postgres: TemporaryPostgres, own_videos, wait_until
) -> None:
    wb = WriteBehind(cache=valkey.url, database=own_videos.url, flush_after=0.05)
    likes = wb.counter("videos.likes")
    with wb:
        wb.start_worker()
        likes.add(1)
        wait_until(lambda: wb.status().pending_writes == 0)
        own_postgres.kill()
        likes.add(1, 2)
        wait_until(lambda: "videos" in wb.status().worker_errors)
        likes.add(2, 3)
        own_postgres.start()
        wait_until(lambda: wb.status().pending_writes == 0 and not wb.status().worker_errors)
    assert own_videos.all_likes() == {1: 3, 2: 3}


def test_a_flush_without_a_database_says_what_is_safe(
    valkey: TemporaryValkey, own_postgres: TemporaryPostgres, own_videos
) -> None:
    wb = WriteBehind(cache=valkey.url, database=own_videos.url)
    likes = wb.counter("videos.likes")
    with wb:
        likes.add(1)
        own_postgres.kill()
        with pytest.raises(FlushTimeout, match="safe in the cache"):
            wb.flush(timeout=0.5)
        own_postgres.start()
        wb.flush(timeout=60)
    assert own_videos.all_likes() == {1: 1}


def test_a_full_ring_blocks_or_refuses_and_says_why(valkey: TemporaryValkey, videos) -> None:
    for policy in ("block", "refuse"):
        wb = WriteBehind(
            cache=valkey.url, database=videos.url, namespace=policy, ring_groups=4, ring_full=policy, flush_after=3600
        )
        likes = wb.counter("videos.likes")
        with wb:
            for _ in range(4):
                likes.add(1)
            with pytest.raises(BufferFull, match="the ring of videos"):
                likes.add(1, timeout=0.1)
            wb.flush(timeout=30)
            likes.add(1)
            wb.flush(timeout=30)
    assert videos.all_likes() == {1: 10}


def test_the_bound_on_pending_rows_refuses_new_keys_only(valkey: TemporaryValkey, videos) -> None:
    wb = WriteBehind(cache=valkey.url, database=videos.url, max_pending_rows=3, flush_rows=3, buffer_full="refuse")
    likes = wb.counter("videos.likes")
    with wb:
        for video in (1, 2, 3):
            likes.add(video)
        with pytest.raises(BufferFull, match="3 pending rows"):
            likes.add(4)
        likes.add(3)  # no new row
        wb.flush(timeout=30)
        likes.add(4)
        wb.flush(timeout=30)
    assert videos.all_likes() == {1: 1, 2: 1, 3: 2, 4: 1}


def test_a_database_that_was_restored_stops_the_partition(valkey: TemporaryValkey, videos) -> None:
    wb = WriteBehind(cache=valkey.url, database=videos.url)
    likes = wb.counter("videos.likes")
    with wb:
        likes.add(1)
        wb.flush(timeout=30)
        head, commit = videos.run("SELECT head, commit_number FROM writebehind_partitions")[0]
        likes.add(1)
        wb.flush(timeout=30)
        # What a backup from before the second flush would show.
        videos.run(f"UPDATE writebehind_partitions SET head = '{head}', commit_number = {commit}")
        videos.run("UPDATE videos SET likes = 1 WHERE id = 1")
        likes.add(1)
        with pytest.raises(PartitionStopped, match="restored from a backup"):
            wb.flush(timeout=30)
        assert videos.likes(1) == 1
    assert videos.run("SELECT kind FROM writebehind_incidents") == [("database_restored",)]
