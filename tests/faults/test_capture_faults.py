"""Captures through crashes: of the worker, of the subscription, of the cache and of its memory."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from writebehind import WriteBehind
from writebehind.errors import CacheRefused
from writebehind.observe import CaptureRescanned, Event, SubscriptionBroken
from writebehind.testing.valkey import TemporaryValkey

WaitUntil = Callable[[Callable[[], bool]], None]


@pytest.fixture
def shop(videos: Any) -> Any:
    videos.run("CREATE TABLE profiles (id BIGINT PRIMARY KEY, name TEXT, plan TEXT DEFAULT 'free', visits INTEGER)")
    videos.run("CREATE TABLE scores (game TEXT, player TEXT, points BIGINT NOT NULL, PRIMARY KEY (game, player))")
    return videos


@pytest.fixture
def application(own_valkey: TemporaryValkey) -> Iterator[redis.Redis]:
    with own_valkey.client() as client:
        yield client


class Watched:
    """A capture of likes, and what it said."""

    def __init__(self, server: TemporaryValkey, shop: Any, **settings: Any) -> None:
        self.events: list[Event] = []
        chosen: dict[str, Any] = {"lease_ttl": 0.3, "poll": 0.02, "capture_every": 0.02, "flush_after": 60, **settings}
        self.wb = WriteBehind(cache=server.url, database=shop.url, observers=[self.events.append], **chosen)
        self.wb.capture("video:{id}:likes", to="videos.likes", baseline="zero")

    def count(self, kind: type[Event]) -> int:
        return sum(isinstance(event, kind) for event in list(self.events))


def start_worker(server: TemporaryValkey, shop: Any) -> subprocess.Popen[bytes]:
    script = Path(__file__).parent / "capturing_worker.py"
    return subprocess.Popen([sys.executable, str(script), server.url, shop.url], env={**os.environ})


def test_a_deletion_that_nobody_saw_never_lowers_the_row(
    own_valkey: TemporaryValkey, application: redis.Redis, shop: Any
) -> None:
    first = Watched(own_valkey, shop)
    with first.wb as wb:
        wb.start_worker()
        application.incrby("video:1:likes", 5)
        application.incrby("video:2:likes", 5)
        wb.flush(timeout=30)
    application.delete("video:1:likes", "video:2:likes")
    application.incrby("video:2:likes", 7)
    second = Watched(own_valkey, shop)
    with second.wb as wb:
        wb.start_worker()
        wb.flush(timeout=30)
        [status] = wb.status().captures
        assert status.vanished_keys == ("video:1:likes",)
        application.incrby("video:1:likes", 3)
        wb.flush(timeout=30)
    assert shop.all_likes() == {1: 8, 2: 7}, "2 looks as if it had been raised from 5 to 7"


def test_what_happened_while_no_worker_ran_is_found(
    own_valkey: TemporaryValkey, application: redis.Redis, shop: Any
) -> None:
    first = Watched(own_valkey, shop)
    with first.wb as wb:
        wb.start_worker()
        application.incrby("video:1:likes", 5)
        wb.flush(timeout=30)
    application.decrby("video:1:likes", 2)
    application.incr("video:2:likes")
    second = Watched(own_valkey, shop)
    with second.wb as wb:
        wb.start_worker()
        wb.flush(timeout=30)
        assert shop.all_likes() == {1: 3, 2: 1}


def test_a_broken_subscription_is_made_anew_and_followed_by_a_scan(
    own_valkey: TemporaryValkey, application: redis.Redis, shop: Any, wait_until: WaitUntil
) -> None:
    watched = Watched(own_valkey, shop)
    with watched.wb as wb:
        wb.start_worker()
        wb.flush(timeout=30)
        for round_number in range(1, 4):
            application.execute_command("CLIENT", "KILL", "TYPE", "pubsub")
            application.incrby("video:1:likes", 5)
            wait_until(lambda expected=round_number: watched.count(SubscriptionBroken) >= expected)  # type: ignore[misc]
            wb.flush(timeout=30)
            assert shop.likes(1) == 5 * round_number
    assert watched.count(CaptureRescanned) >= 4


def test_a_dead_connection_is_noticed_without_being_closed(
    own_valkey: TemporaryValkey, application: redis.Redis, shop: Any, wait_until: WaitUntil
) -> None:
    """A server that is frozen for longer than the socket's timeout answers no PING."""
    watched = Watched(own_valkey, shop)
    with watched.wb as wb:
        wb.start_worker()
        wb.flush(timeout=30)
        application.incrby("video:1:likes", 5)
        own_valkey.pause()
        wait_until(lambda: watched.count(SubscriptionBroken) > 0)
        own_valkey.resume()
        application.incrby("video:1:likes", 5)
        wb.flush(timeout=30)
    assert shop.all_likes() == {1: 10}


def test_a_restarted_server_has_forgotten_the_setting_and_is_told_again(
    own_valkey: TemporaryValkey, application: redis.Redis, shop: Any, wait_until: WaitUntil
) -> None:
    watched = Watched(own_valkey, shop)
    with watched.wb as wb:
        wb.start_worker()
        application.incrby("video:1:likes", 5)
        wb.flush(timeout=30)
        own_valkey.restart()
        application.incrby("video:1:likes", 2)
        wb.flush(timeout=30)
        assert shop.likes(1) == 7
        application.delete("video:1:likes")
        wb.flush(timeout=30)
        assert shop.likes(1) == 0, "the deletion was heard"


def test_an_emptied_cache_never_lowers_the_rows(
    own_valkey: TemporaryValkey, application: redis.Redis, shop: Any
) -> None:
    watched = Watched(own_valkey, shop)
    with watched.wb as wb:
        wb.start_worker()
        application.incrby("video:1:likes", 5)
        application.incrby("video:2:likes", 5)
        wb.flush(timeout=30)
        application.flushall()
        wb.flush(timeout=30)
        assert shop.all_likes() == {1: 5, 2: 5}
        application.incr("video:1:likes")
        wb.flush(timeout=30)
        assert shop.likes(1) in (5, 6), "what the first capture after a loss finds may be what the row has already"
        before = shop.likes(1)
        application.incrby("video:1:likes", 10)
        wb.flush(timeout=30)
        assert shop.all_likes() == {1: before + 10, 2: 5}


def test_a_key_that_fell_back_while_it_may_have_been_evicted_began_a_new_life(
    own_valkey: TemporaryValkey, application: redis.Redis, shop: Any
) -> None:
    """Nobody listened. With eviction the lower number is what came after it; without, it was lowered."""
    for policy, expected in (("noeviction", 3), ("allkeys-lru", 3 + 2)):
        application.config_set("maxmemory-policy", "noeviction")
        with Watched(own_valkey, shop).wb as wb:
            wb.start_worker()
            application.set("video:1:likes", 3 if policy == "allkeys-lru" else 9)
            wb.flush(timeout=30)
        application.config_set("maxmemory-policy", policy)  # without maxmemory, nothing is evicted really
        application.set("video:1:likes", 2 if policy == "allkeys-lru" else 3)
        with Watched(own_valkey, shop, allow_eviction=True).wb as wb:
            wb.start_worker()
            wb.flush(timeout=30)
        assert shop.likes(1) == expected


def test_a_rollback_between_incr_capture_and_apply_counts_nothing_twice(
    own_valkey: TemporaryValkey, application: redis.Redis, shop: Any
) -> None:
    """The application's INCR survived, its capture did not, and the batch is in the database already."""
    watched = Watched(own_valkey, shop, capture_every=60)
    with watched.wb as wb:
        wb.start_worker()
        wb.flush(timeout=30)
        application.incrby("video:1:likes", 5)
        size_before = own_valkey.append_only_files()[-1].stat().st_size
        wb.flush(timeout=30)
        assert shop.likes(1) == 5
        own_valkey.kill()
        grown = own_valkey.append_only_files()[-1].stat().st_size - size_before
        assert grown > 0
        own_valkey.cut_append_only_file(grown)  # all but the INCRBY is lost
        own_valkey.start()
        assert application.get("video:1:likes") == b"5"
        wb.flush(timeout=30)
        assert shop.likes(1) == 5, "not 10"
        application.incrby("video:1:likes", 3)
        wb.flush(timeout=30)
    assert shop.all_likes() == {1: 8}


@pytest.mark.parametrize("seed", range(4))
def test_an_append_only_file_cut_anywhere_doubles_nothing(
    own_valkey: TemporaryValkey, application: redis.Redis, shop: Any, seed: int
) -> None:
    """The row never has more than was ever counted, nor less than the surviving keys say of what was counted since."""
    chance = random.Random(seed)
    watched = Watched(own_valkey, shop, capture_every=0.02)
    ever = dict.fromkeys(range(1, 6), 0)
    with watched.wb as wb:
        wb.start_worker()
        for _ in range(5):
            for _ in range(chance.randrange(5, 40)):
                video, amount = chance.randrange(1, 6), chance.randrange(1, 5)
                application.incrby(f"video:{video}:likes", amount)
                ever[video] += amount
                if chance.random() < 0.1:
                    wb.flush(timeout=30)
            own_valkey.kill()
            own_valkey.cut_append_only_file(chance.choice([1, 30, 200, 2_000, 20_000]))
            own_valkey.start()
            wb.flush(timeout=30)
            for video, most in ever.items():
                assert int(application.get(f"video:{video}:likes") or 0) <= shop.likes(video) <= most
        # From a quiet moment on, everything counts again, and once.
        before = {video: shop.likes(video) for video in ever}
        for video in ever:
            application.incrby(f"video:{video}:likes", 1000)
        wb.flush(timeout=30)
        assert {video: shop.likes(video) for video in ever} == {video: n + 1000 for video, n in before.items()}


def test_a_worker_that_is_killed_anywhere_loses_and_doubles_nothing(
    own_valkey: TemporaryValkey, application: redis.Redis, shop: Any, wait_until: WaitUntil
) -> None:
    """Random plain commands for some seconds, the worker killed and started meanwhile; then rows and keys agree."""
    chance = random.Random(5)
    worker = start_worker(own_valkey, shop)
    try:
        ends = time.monotonic() + 8
        next_kill = time.monotonic() + 1.2
        while time.monotonic() < ends:
            random_command(application, chance)
            if time.monotonic() > next_kill:
                worker.kill()
                worker.wait()
                worker = start_worker(own_valkey, shop)
                next_kill = time.monotonic() + chance.uniform(1.2, 2.2)
        wait_until(lambda: differences(application, shop) == [])
    finally:
        worker.kill()
        worker.wait()
    assert shop.run("SELECT count(*) FROM writebehind_dead_letters") == [(0,)]
    assert shop.run("SELECT count(*) FROM writebehind_incidents") == [(0,)]


def random_command(application: redis.Redis, chance: random.Random) -> None:
    """One that a scan can make good: nothing is deleted whole, since a deletion counts only where it was seen."""
    video, user, player = chance.randrange(1, 9), chance.randrange(1, 9), f"player {chance.randrange(20)}"
    match chance.randrange(8):
        case 0:
            application.incr(f"video:{video}:likes")
        case 1:
            application.decrby(f"video:{video}:likes", chance.randrange(5))
        case 2:
            application.set(f"video:{video}:likes", chance.randrange(1000))
        case 3:
            application.hset(f"user:{user}", mapping={"name": f"name {chance.random()}", "visits": 1})
        case 4:
            application.hincrby(f"user:{user}", "visits", 1)
        case 5:
            application.hset(f"user:{user}", "plan", "gold")
            application.hdel(f"user:{user}", "name")
        case 6:
            application.zadd("board:tetris", {player: chance.randrange(1000)})
        case 7:
            application.zincrby("board:tetris", 3, player)
            if application.zcard("board:tetris") > 5:
                application.zrem("board:tetris", f"player {chance.randrange(20)}")


def differences(application: redis.Redis, shop: Any) -> list[object]:
    """What the server's own values and the rows do not agree in."""
    likes = {n: int(value) for n in range(1, 9) if (value := application.get(f"video:{n}:likes")) and int(value)}
    rows = shop.all_likes()
    profiles = {}
    for n in range(1, 9):
        found = {name.decode(): text.decode() for name, text in application.hgetall(f"user:{n}").items()}
        if found:
            visits = int(found["visits"]) if "visits" in found else None
            profiles[n] = (found.get("name"), found.get("plan", "free"), visits)
    stored = {row[0]: row[1:] for row in shop.run("SELECT id, name, plan, visits FROM profiles")}
    scores = {
        member.decode(): int(score) for member, score in application.zrange("board:tetris", 0, -1, withscores=True)
    }
    kept = {row[0]: row[1] for row in shop.run("SELECT player, points FROM scores")}
    pairs = ((likes, rows), (profiles, stored), (scores, kept))
    return [pair for pair in pairs if pair[0] != pair[1]]


def test_whole_lives_of_keys_are_followed_while_the_worker_listens(
    own_valkey: TemporaryValkey, application: redis.Redis, shop: Any
) -> None:
    """Random plain commands, deletions and renames among them: every one of them is seen, so rows and keys agree."""
    chance = random.Random(9)
    wb = WriteBehind(cache=own_valkey.url, database=shop.url, flush_after=0.05, poll=0.02, capture_every=0.005)
    wb.capture("video:{id}:likes", to="videos.likes")
    wb.capture("user:{id}", to="profiles")
    wb.capture("board:{game}", to="scores.points", member="player")
    with wb:
        wb.start_worker()
        for _ in range(5):
            for _ in range(400):
                random_command(application, chance)
                random_end(application, chance)
            wb.flush(timeout=30)
            assert differences(application, shop) == []
    assert shop.run("SELECT count(*) FROM writebehind_dead_letters") == [(0,)]


def random_end(application: redis.Redis, chance: random.Random) -> None:
    """Now and then a key is deleted or renamed, at times to live again at once."""
    video, user = chance.randrange(1, 9), chance.randrange(1, 9)
    match chance.randrange(12):
        case 0:
            application.delete(f"video:{video}:likes")
        case 1:
            application.delete(f"user:{user}")
        case 2:
            application.unlink("board:tetris")
        case 3:
            application.delete(f"video:{video}:likes")
            application.incr(f"video:{video}:likes")
        case 4:
            application.delete(f"user:{user}")
            application.hset(f"user:{user}", "name", "new")
        case 5:
            if application.exists(f"video:{video}:likes"):
                application.rename(f"video:{video}:likes", f"video:{chance.randrange(1, 9)}:likes")
        case 6:
            application.expire(f"video:{video}:likes", 1000)
        case 7:
            application.persist(f"video:{video}:likes")


def test_expiring_keys_only_ever_add(own_valkey: TemporaryValkey, application: redis.Redis, shop: Any) -> None:
    """Each window's counter expires, and the row has them all: what was captured before the end stays."""
    wb = WriteBehind(cache=own_valkey.url, database=shop.url, flush_after=0.05, poll=0.02, capture_every=0.005)
    wb.capture("video:{id}:likes", to="videos.likes")
    with wb:
        wb.start_worker()
        for _ in range(20):
            application.incrby("video:1:likes", 3)
            wb.flush(timeout=30)
            application.pexpire("video:1:likes", 1)
            while application.exists("video:1:likes"):
                time.sleep(0.001)
        wb.flush(timeout=30)
        assert shop.likes(1) == 60


def test_one_worker_captures_at_a_time_and_another_takes_over(
    own_valkey: TemporaryValkey, application: redis.Redis, shop: Any, wait_until: WaitUntil
) -> None:
    first, second = Watched(own_valkey, shop), Watched(own_valkey, shop)
    with second.wb:
        with first.wb:
            first.wb.start_worker()
            first.wb.flush(timeout=30)
            second.wb.start_worker()
            application.incrby("video:1:likes", 5)
            first.wb.flush(timeout=30)
            assert second.count(CaptureRescanned) == 0
        wait_until(lambda: second.count(CaptureRescanned) == 1)
        application.incrby("video:1:likes", 2)
        second.wb.flush(timeout=30)
    assert shop.all_likes() == {1: 7}


def test_a_server_that_will_not_tell_of_changed_keys_is_refused_with_the_fix(
    own_valkey: TemporaryValkey, application: redis.Redis, shop: Any
) -> None:
    application.execute_command(
        "ACL", "SETUSER", "worker", "on", ">secret", "~*", "&*", "+@all", "-config", "+config|get"
    )
    wb = WriteBehind(cache=own_valkey.url.replace("unix://", "unix://worker:secret@"), database=shop.url)
    wb.capture("video:{id}:likes", to="videos.likes")
    with wb:
        with pytest.raises(CacheRefused, match=r"notify-keyspace-events to Kg\$hzxe"):
            wb.start_worker()
        application.config_set("notify-keyspace-events", "KEA")
        wb.start_worker()
        application.incr("video:1:likes")
        wb.flush(timeout=30)
    assert shop.all_likes() == {1: 1}
