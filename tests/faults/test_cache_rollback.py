"""A cache that forgets: killed and restarted with its append-only file cut, emptied, or set back to a snapshot.

While the writing process lives, what it wrote reaches the database exactly once.
"""

from __future__ import annotations

import random
import threading
from pathlib import Path

import pytest

from writebehind import DurabilityUnknown, WriteBehind
from writebehind.testing.valkey import TemporaryValkey


@pytest.mark.parametrize("seed", range(4))
def test_an_append_only_file_cut_anywhere_loses_and_doubles_nothing(
    own_valkey: TemporaryValkey, videos, seed: int
) -> None:
    chance = random.Random(seed)
    wb = WriteBehind(cache=own_valkey.url, database=videos.url, lease_ttl=0.2, poll=0.05)
    likes = wb.counter("videos.likes")
    expected: dict[int, int] = {}
    with wb:
        for _ in range(8):
            for _ in range(chance.randrange(1, 40)):
                video = chance.randrange(1, 20)
                likes.add(video, timeout=30)
                expected[video] = expected.get(video, 0) + 1
                if chance.random() < 0.08:
                    wb.flush(timeout=30)
            own_valkey.kill()
            own_valkey.cut_append_only_file(chance.choice([1, 30, 200, 2_000, 20_000, 10_000_000]))
            own_valkey.start()
        likes.add(1, timeout=30)
        expected[1] = expected.get(1, 0) + 1
        wb.flush(timeout=30)
        assert likes.get_many(list(expected), timeout=30) == expected
    assert videos.all_likes() == expected


def test_writers_and_worker_go_on_through_crashes_of_the_cache(own_valkey: TemporaryValkey, videos) -> None:
    chance = random.Random(11)
    wb = WriteBehind(
        cache=own_valkey.url, database=videos.url, lease_ttl=0.2, poll=0.05, flush_after=0.1, drain_timeout=30
    )
    likes = wb.counter("videos.likes")
    counted = [0] * 4
    stop = threading.Event()

    def write(index: int) -> None:
        while not stop.is_set():
            if index % 2:
                likes.add(1 + index, timeout=60)
            else:
                likes.add(1 + index, ack="local", timeout=60)
            counted[index] += 1
            stop.wait(0.001)

    with wb:
        wb.start_worker()
        threads = [threading.Thread(target=write, args=(index,)) for index in range(4)]
        for thread in threads:
            thread.start()
        for _ in range(5):
            before = sum(counted)
            while sum(counted) < before + 50:
                stop.wait(0.01)
            own_valkey.kill()
            own_valkey.cut_append_only_file(chance.choice([10, 1_000, 50_000]))
            own_valkey.start()
        stop.set()
        for thread in threads:
            thread.join()
        wb.flush(timeout=30)
    assert videos.all_likes() == {1 + index: count for index, count in enumerate(counted)}


def test_an_emptied_cache_is_written_again(own_valkey: TemporaryValkey, videos) -> None:
    wb = WriteBehind(cache=own_valkey.url, database=videos.url)
    likes = wb.counter("videos.likes")
    with wb:
        likes.add(1, 5)
        own_valkey.empty()  # FLUSHALL, which leaves the server's own incarnation as it is
        likes.add(1, 2)
        own_valkey.kill()
        own_valkey.wipe()
        own_valkey.start()
        likes.add(1, 1, timeout=30)
        wb.flush(timeout=30)
        assert likes.get(1, timeout=30) == 8
    assert videos.all_likes() == {1: 8}


def test_an_old_snapshot_of_the_cache_is_not_applied_again(own_valkey: TemporaryValkey, videos, tmp_path: Path) -> None:
    wb = WriteBehind(cache=own_valkey.url, database=videos.url)
    likes = wb.counter("videos.likes")
    with wb:
        likes.add(1, 5)
        own_valkey.stop()
        own_valkey.snapshot(tmp_path / "snapshot")
        own_valkey.start()
        likes.add(1, 2, timeout=30)
        wb.flush(timeout=30)
        assert videos.likes(1) == 7
        own_valkey.kill()
        own_valkey.restore(tmp_path / "snapshot")  # with the first five likes in its open batch
        own_valkey.start()
        likes.add(1, 1, timeout=30)
        wb.flush(timeout=30)
        assert likes.get(1, timeout=30) == 8
    assert videos.all_likes() == {1: 8}
    assert videos.run("SELECT count(*) FROM writebehind_dead_letters WHERE reason <> 'quarantine'") == [(0,)]


def test_a_cached_total_that_came_back_with_an_old_snapshot_is_not_answered(
    own_valkey: TemporaryValkey, videos, tmp_path: Path
) -> None:
    wb = WriteBehind(cache=own_valkey.url, database=videos.url)
    likes = wb.counter("videos.likes")
    with wb:
        assert likes.incr(1, 5) == 5  # fills the cached value
        wb.flush(timeout=30)
        own_valkey.stop()
        own_valkey.snapshot(tmp_path / "snapshot")
        own_valkey.start()
        assert likes.incr(1, 2, timeout=30) == 7
        wb.flush(timeout=30)
        own_valkey.kill()
        own_valkey.restore(tmp_path / "snapshot")
        own_valkey.start()
        assert likes.get(1, timeout=30) == 7
        assert likes.incr(1, 1, timeout=30) == 8


def test_a_write_in_flight_at_the_crash_is_settled(own_valkey: TemporaryValkey, videos) -> None:
    wb = WriteBehind(cache=own_valkey.url, database=videos.url)
    likes = wb.counter("videos.likes")
    with wb:
        likes.add(1)
        own_valkey.pause()
        with pytest.raises(DurabilityUnknown):
            likes.add(1, timeout=0.2)  # sent, and not answered
        own_valkey.kill()
        own_valkey.start()
        likes.add(1, timeout=30)
        wb.flush(timeout=30)
    assert videos.all_likes() == {1: 3}


def test_a_total_that_nobody_waits_for_any_more_is_written_all_the_same(own_valkey: TemporaryValkey, videos) -> None:
    """Its cached value is gone when it is sent again; the write was promised to be settled, without its total."""
    wb = WriteBehind(cache=own_valkey.url, database=videos.url)
    likes = wb.counter("videos.likes")
    with wb:
        assert likes.incr(1) == 1
        own_valkey.pause()
        with pytest.raises(DurabilityUnknown):
            likes.incr(1, timeout=0.2)
        own_valkey.kill()
        own_valkey.wipe()
        own_valkey.start()
        likes.add(2, timeout=30)
        wb.flush(timeout=30)
    assert videos.all_likes() == {1: 2, 2: 1}
