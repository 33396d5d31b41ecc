"""Plain Redis commands too: an application that knows nothing of the library, and the worker that follows it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from writebehind import AsyncWriteBehind, ConfigurationError, WriteBehind
from writebehind.testing.valkey import TemporaryValkey

WaitUntil = Callable[[Callable[[], bool]], None]


@pytest.fixture
def application(valkey: TemporaryValkey) -> Iterator[redis.Redis]:
    """Another program, in whatever language: it has a Redis client and nothing else."""
    with valkey.client() as client:
        yield client


@pytest.fixture
def shop(videos: Any) -> Any:
    """The application's tables: videos with a hundred rows, profiles and scores without one."""
    videos.run("CREATE TABLE profiles (id BIGINT PRIMARY KEY, name TEXT, plan TEXT DEFAULT 'free', visits INTEGER)")
    videos.run("CREATE TABLE scores (game TEXT, player TEXT, points BIGINT NOT NULL, PRIMARY KEY (game, player))")
    return videos


def rows(shop: Any, table: str) -> list[tuple[Any, ...]]:
    return sorted(shop.run(f"SELECT * FROM {table}"))


# Counters


def test_incr_reaches_the_row(valkey: TemporaryValkey, shop: Any, application: redis.Redis) -> None:
    wb = WriteBehind(cache=valkey.url, database=shop.url)
    wb.capture("video:{id}:likes", to="videos.likes")
    with wb:
        wb.start_worker()
        for _ in range(50):
            application.incr("video:1:likes")
        application.incrby("video:2:likes", 7)
        application.decr("video:2:likes")
        report = wb.flush(timeout=30)
        assert report.rows == 2, "57 commands are two rows"
        assert shop.all_likes() == {1: 50, 2: 6}
        application.decrby("video:1:likes", 20)
        application.set("video:2:likes", 100)
        wb.flush(timeout=30)
        assert shop.all_likes() == {1: 30, 2: 100}


def test_the_librarys_own_writes_and_plain_ones_add_up(
    valkey: TemporaryValkey, shop: Any, application: redis.Redis
) -> None:
    wb = WriteBehind(cache=valkey.url, database=shop.url)
    likes = wb.counter("videos.likes")
    wb.capture("video:{id}:likes", to="videos.likes")
    with wb:
        wb.start_worker()
        assert likes.incr(1, 5) == 5
        application.incrby("video:1:likes", 10)
        wb.flush(timeout=30)
        assert likes.get(1) == 15
        assert likes.incr(1) == 16, "the cached total had the captured part added"
        wb.flush(timeout=30)
    assert shop.all_likes() == {1: 16}


def test_a_deleted_key_takes_what_was_captured_of_it_back(
    valkey: TemporaryValkey, shop: Any, application: redis.Redis
) -> None:
    shop.run("UPDATE videos SET likes = 1000 WHERE id = 1")
    wb = WriteBehind(cache=valkey.url, database=shop.url)
    wb.capture("video:{id}:likes", to="videos.likes")
    with wb:
        wb.start_worker()
        application.incrby("video:1:likes", 5)
        wb.flush(timeout=30)
        assert shop.likes(1) == 1005
        application.delete("video:1:likes")
        wb.flush(timeout=30)
        assert shop.likes(1) == 1000
        application.incrby("video:1:likes", 3)
        application.delete("video:1:likes")
        application.incrby("video:1:likes", 2)
        wb.flush(timeout=30)
        assert shop.likes(1) == 1002, "a life that nobody captured leaves nothing; the next one counts"


def test_an_expired_key_never_lowers_its_row_and_its_next_life_counts_from_zero(
    valkey: TemporaryValkey, shop: Any, application: redis.Redis
) -> None:
    wb = WriteBehind(cache=valkey.url, database=shop.url)
    wb.capture("video:{id}:likes", to="videos.likes")
    with wb:
        wb.start_worker()
        application.incrby("video:1:likes", 5)
        wb.flush(timeout=30)
        application.pexpire("video:1:likes", 1)
        while application.exists("video:1:likes"):
            time.sleep(0.001)
        application.incrby("video:1:likes", 2)
        wb.flush(timeout=30)
        assert shop.likes(1) == 7
        [status] = wb.status().captures
        assert (status.vanished, status.vanished_keys) == (1, ("video:1:likes",))


def test_what_does_not_fit_is_left_alone_and_shown(
    valkey: TemporaryValkey, shop: Any, application: redis.Redis
) -> None:
    wb = WriteBehind(cache=valkey.url, database=shop.url)
    wb.capture("video:{id}:likes", to="videos.likes")
    with wb:
        wb.start_worker()
        application.set("video:007:likes", 1)  # a second name for video 7
        application.set("video:cat:likes", 1)
        application.set("video:1:likes", "many")
        application.set("video:2:likes", str(2**64))
        application.hset("video:3:likes", "a", 1)
        application.incr("video:4:likes")
        wb.flush(timeout=30)
        assert shop.all_likes() == {4: 1}
        [status] = wb.status().captures
        assert status.unfit == 5
        assert any("007" in line for line in status.unfit_keys)
        application.set("video:1:likes", 3)
        wb.flush(timeout=30)
        assert shop.all_likes() == {1: 3, 4: 1}
        assert wb.status().captures[0].unfit == 4


@pytest.mark.parametrize(("baseline", "likes"), [("database", 1002), ("cache", 52), ("zero", 1052)])
def test_whose_number_was_right_at_the_first_scan_must_be_said(
    valkey: TemporaryValkey, shop: Any, application: redis.Redis, baseline: Any, likes: int
) -> None:
    shop.run("UPDATE videos SET likes = 1000 WHERE id = 1")
    application.set("video:1:likes", 50)
    silent = WriteBehind(cache=valkey.url, database=shop.url)
    silent.capture("video:{id}:likes", to="videos.likes")
    with silent, pytest.raises(ConfigurationError, match=r"the rows are right.*the keys are right"):
        silent.start_worker()
    assert shop.likes(1) == 1000

    wb = WriteBehind(cache=valkey.url, database=shop.url)
    wb.capture("video:{id}:likes", to="videos.likes", baseline=baseline)
    with wb:
        wb.start_worker()
        wb.flush(timeout=30)
        application.incrby("video:1:likes", 2)
        wb.flush(timeout=30)
        assert shop.likes(1) == likes

    with silent:  # the first scan is done, and remembered in the database
        silent.start_worker()
        application.incr("video:1:likes")
        application.incrby("video:2:likes", 9)
        silent.flush(timeout=30)
    assert shop.all_likes() == {1: likes + 1, 2: 9}


# Hashes


def test_hset_reaches_the_record(valkey: TemporaryValkey, shop: Any, application: redis.Redis) -> None:
    wb = WriteBehind(cache=valkey.url, database=shop.url)
    wb.capture("user:{id}", to="profiles")
    with wb:
        wb.start_worker()
        application.hset("user:7", mapping={"name": "Ada", "visits": "1", "session": "no column"})
        application.hincrby("user:7", "visits", 2)
        wb.flush(timeout=30)
        assert rows(shop, "profiles") == [(7, "Ada", "free", 3)]
        application.hset("user:7", "plan", "gold")
        application.hdel("user:7", "visits")
        wb.flush(timeout=30)
        assert rows(shop, "profiles") == [(7, "Ada", "gold", None)]
        application.delete("user:7")
        application.hset("user:7", "name", "Bob")
        wb.flush(timeout=30)
        assert rows(shop, "profiles") == [(7, "Bob", "free", None)], "deleted, and made anew"
        application.delete("user:7")
        wb.flush(timeout=30)
        assert rows(shop, "profiles") == []


def test_an_expired_hash_leaves_its_row(valkey: TemporaryValkey, shop: Any, application: redis.Redis) -> None:
    wb = WriteBehind(cache=valkey.url, database=shop.url)
    wb.capture("user:{id}", to="profiles")
    with wb:
        wb.start_worker()
        application.hset("user:7", "name", "Ada")
        wb.flush(timeout=30)
        application.pexpire("user:7", 1)
        while application.exists("user:7"):
            time.sleep(0.001)
        wb.flush(timeout=30)
        assert rows(shop, "profiles") == [(7, "Ada", "free", None)]


def test_a_record_that_was_captured_is_read_as_it_is_now(
    valkey: TemporaryValkey, shop: Any, application: redis.Redis
) -> None:
    wb = WriteBehind(cache=valkey.url, database=shop.url)
    profiles = wb.records("profiles")
    wb.capture("user:{id}", to="profiles")
    with wb:
        wb.start_worker()
        application.hset("user:7", mapping={"name": "Ada", "visits": "007"})
        wb.flush(timeout=30)
        found = profiles.get(7)
        assert found is not None
        assert (found["name"], found["visits"]) == ("Ada", 7)


# Sorted sets


def test_zadd_reaches_the_leaderboard(valkey: TemporaryValkey, shop: Any, application: redis.Redis) -> None:
    wb = WriteBehind(cache=valkey.url, database=shop.url)
    wb.capture("board:{game}", to="scores.points", member="player")
    with wb:
        wb.start_worker()
        application.zadd("board:tetris", {"ada": 100, "bob": 50})
        application.zincrby("board:tetris", 5, "bob")
        application.zadd("board:go", {"ada": 1, "eve": 2.5})
        wb.flush(timeout=30)
        assert rows(shop, "scores") == [("go", "ada", 1), ("tetris", "ada", 100), ("tetris", "bob", 55)]
        assert wb.status().captures[0].unfit == 1, "2.5 is no whole number"
        application.zrem("board:tetris", "ada")
        application.zincrby("board:tetris", -10, "bob")
        wb.flush(timeout=30)
        assert rows(shop, "scores") == [("go", "ada", 1), ("tetris", "bob", 45)]
        application.delete("board:tetris")
        application.zadd("board:tetris", {"zoe": 1})
        wb.flush(timeout=30)
        assert rows(shop, "scores") == [("go", "ada", 1), ("tetris", "zoe", 1)]


def test_a_board_that_is_captured_can_be_asked_at_any_time(
    valkey: TemporaryValkey, shop: Any, application: redis.Redis
) -> None:
    wb = WriteBehind(cache=valkey.url, database=shop.url, flush_after=60)
    board = wb.leaderboard("scores.points", member="player", board="game", keep="last")
    wb.capture("board:{game}", to="scores.points")
    with wb:
        wb.start_worker()
        application.zadd("board:tetris", {"ada": 100, "bob": 50})
        wb.flush(timeout=30)
        assert [(place.member, place.score) for place in board.top(10, board="tetris")] == [("ada", 100), ("bob", 50)]
        application.zincrby("board:tetris", 70, "bob")
        wb.flush(timeout=30)
        assert board.score("bob", board="tetris") == 120


async def test_an_awaiting_application_captures_too(
    valkey: TemporaryValkey, shop: Any, application: redis.Redis
) -> None:
    wb = AsyncWriteBehind(cache=valkey.url, database=shop.url)
    wb.capture("video:{id}:likes", to="videos.likes")
    async with wb:
        await wb.start_worker()
        application.incrby("video:1:likes", 5)
        await wb.flush(timeout=30)
    assert shop.all_likes() == {1: 5}


def test_a_large_board_is_captured_in_slices(valkey: TemporaryValkey, shop: Any, application: redis.Redis) -> None:
    wb = WriteBehind(cache=valkey.url, database=shop.url)
    wb.capture("board:{game}", to="scores.points", member="player")
    with wb:
        wb.start_worker()
        application.zadd("board:tetris", {f"player {number}": number for number in range(3500)})
        wb.flush(timeout=30)
        application.zremrangebyrank("board:tetris", 0, 2999)
        wb.flush(timeout=30)
    assert rows(shop, "scores") == sorted(("tetris", f"player {number}", number) for number in range(3000, 3500))


# The worker alone


def test_a_toml_file_and_the_worker_are_enough(
    valkey: TemporaryValkey, shop: Any, application: redis.Redis, tmp_path: Path, wait_until: WaitUntil
) -> None:
    config = tmp_path / "writebehind.toml"
    config.write_text(
        f'''
        cache = "{valkey.url}"
        database = "{shop.url}"
        flush_after = 0.2

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
        '''
    )
    stop = threading.Event()
    drained: list[bool] = []
    with WriteBehind(config=str(config)) as wb:
        worker = threading.Thread(target=lambda: drained.append(wb.run_worker(stop)))
        worker.start()
        application.incr("video:1:likes")
        application.hset("user:7", "name", "Ada")
        application.zadd("board:tetris", {"ada": 100})
        wait_until(lambda: bool(shop.all_likes() and rows(shop, "profiles") and rows(shop, "scores")))
        application.incr("video:1:likes")
        stop.set()  # the drain captures what is dirty first
        worker.join()
    assert drained == [True]
    assert shop.all_likes() == {1: 2}


def test_the_bound_on_pending_rows_holds_captures_back_and_loses_nothing(
    valkey: TemporaryValkey, shop: Any, application: redis.Redis, wait_until: WaitUntil
) -> None:
    wb = WriteBehind(cache=valkey.url, database=shop.url, max_pending_rows=10, flush_rows=10, flush_after=0.3)
    wb.capture("video:{id}:likes", to="videos.likes")
    with wb:
        wb.start_worker()
        for video in range(1, 41):
            application.incr(f"video:{video}:likes")
        wait_until(lambda: shop.all_likes() == dict.fromkeys(range(1, 41), 1))


def test_several_partitions_share_a_pattern(valkey: TemporaryValkey, shop: Any, application: redis.Redis) -> None:
    wb = WriteBehind(cache=valkey.url, database=shop.url)
    wb.capture("video:{id}:likes", to="videos.likes", partitions=4)
    with wb:
        wb.start_worker()
        for video in range(1, 41):
            application.incrby(f"video:{video}:likes", video)
        wb.flush(timeout=30)
    assert shop.all_likes() == {video: video for video in range(1, 41)}


@pytest.mark.parametrize(
    ("declare", "message"),
    [
        (lambda wb: wb.capture("videos:{id}:likes", to="videos.likes"), "own cached values"),
        (lambda wb: wb.capture("video:{title}:likes", to="videos.likes", key="id"), "the key columns are"),
        (lambda wb: wb.capture("board:{game}", to="scores.points", member="player", keep="sum"), 'keep="last"'),
        (lambda wb: wb.capture("board:{game}", to="scores.points", kind="leaderboard"), "no member"),
        (lambda wb: wb.capture("user:{id}", to="profiles", member="x", kind="record"), "does not belong"),
    ],
)
def test_what_cannot_be_captured_is_refused(valkey: TemporaryValkey, shop: Any, declare: Any, message: str) -> None:
    wb = WriteBehind(cache=valkey.url, database=shop.url)

    def declare_and_open() -> None:
        declare(wb)
        wb.open()

    with pytest.raises(ConfigurationError, match=message):
        declare_and_open()
