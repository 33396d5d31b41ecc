"""How safe a write is when it is acknowledged: ``ack="replica"`` and ``ack="disk"``, and how they are refused.

Both are waited for after the cache has accepted the write; callers of one moment share one wait.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator

import pytest

from writebehind import AsyncWriteBehind, CacheRefused, DurabilityUnknown, WriteBehind
from writebehind.cache.server_process import server_binary
from writebehind.testing.valkey import TemporaryValkey


@pytest.fixture
def primary() -> Iterator[TemporaryValkey]:
    """A Valkey, also where other tests run on another server: not all have WAITAOF."""
    with TemporaryValkey(
        tcp=True, binary=server_binary(), config={"appendfsync": "always", "repl-diskless-sync-delay": "0"}
    ) as server:
        yield server


@pytest.fixture
def replica(primary: TemporaryValkey, wait_until) -> Iterator[TemporaryValkey]:
    address = primary.url.removeprefix("redis://").partition("/")[0].replace(":", " ")
    with TemporaryValkey(tcp=True, binary=server_binary(), config={"replicaof": address}) as server:
        client = primary.client()
        wait_until(lambda: client.info("replication")["connected_slaves"] == 1)
        wait_until(lambda: client.wait(1, 100) == 1)
        client.close()
        yield server


def test_a_write_is_on_a_replica_when_it_is_acknowledged(
    primary: TemporaryValkey, replica: TemporaryValkey, videos
) -> None:
    wb = WriteBehind(cache=primary.url, database=videos.url)
    likes = wb.counter("videos.likes")
    with wb, replica.client() as mirror:
        for number in range(1, 51):
            likes.add(1, ack="replica")
            assert mirror.hget("wb:{default:videos.likes:0}:open", "1") == b"%d" % number
        assert likes.incr(1, ack="replica") == 51
        wb.flush(timeout=30)
    assert videos.likes(1) == 51


async def test_many_callers_share_a_wait(primary: TemporaryValkey, replica: TemporaryValkey, videos) -> None:
    wb = AsyncWriteBehind(cache=primary.url, database=videos.url)
    likes = wb.counter("videos.likes")
    async with wb:
        with primary.client() as client:
            before = client.info("commandstats")["cmdstat_wait"]["calls"]
            await asyncio.gather(*(likes.add(number % 100 + 1, ack="replica") for number in range(1_000)))
            waits = client.info("commandstats")["cmdstat_wait"]["calls"] - before
        assert waits < 100
        await wb.flush(timeout=30)
    assert sum(videos.all_likes().values()) == 1_000


def test_without_a_replica_the_level_is_refused_and_nothing_is_written(primary: TemporaryValkey, videos) -> None:
    wb = WriteBehind(cache=primary.url, database=videos.url)
    likes = wb.counter("videos.likes")
    with wb:
        with pytest.raises(CacheRefused, match="1 connected replicas, and the cache has 0"):
            likes.add(1, ack="replica")
        with pytest.raises(CacheRefused, match="replica"):
            likes.incr(1, ack="replica")
        assert likes.get(1) == 0


def test_a_replica_that_stands_still_leaves_the_outcome_unknown(
    primary: TemporaryValkey, replica: TemporaryValkey, videos
) -> None:
    wb = WriteBehind(cache=primary.url, database=videos.url)
    likes = wb.counter("videos.likes")
    with wb:
        likes.add(1, ack="replica")
        replica.pause()
        with pytest.raises(DurabilityUnknown, match="0 of 1 replicas had it in time"):
            likes.add(1, ack="replica", timeout=0.5)
        likes.add(1)  # the other levels do not wait for it
        replica.resume()
        likes.add(1, ack="replica", timeout=30)
        assert likes.get(1) == 4
        wb.flush(timeout=30)
    assert videos.likes(1) == 4


def test_two_replicas_can_be_asked_for(primary: TemporaryValkey, replica: TemporaryValkey, videos) -> None:
    wb = WriteBehind(cache=primary.url, database=videos.url, replicas=2)
    likes = wb.counter("videos.likes")
    with wb, pytest.raises(CacheRefused, match="needs 2 connected replicas, and the cache has 1"):
        likes.add(1, ack="replica")


def test_a_write_is_on_disk_when_it_is_acknowledged(primary: TemporaryValkey, videos) -> None:
    """Killed at once, the server has every acknowledged write when it comes back."""
    wb = WriteBehind(cache=primary.url, database=videos.url, ack="disk")
    likes = wb.counter("videos.likes")
    with wb:
        for number in range(20):
            likes.add(number % 3 + 1)
        primary.kill()
        primary.start()
        with primary.client() as client:
            survived = client.hgetall("wb:{default:videos.likes:0}:open")
        assert sum(map(int, survived.values())) == 20
        wb.flush(timeout=30)
        likes.add(1, timeout=30)
        wb.flush(timeout=30)
    assert sum(videos.all_likes().values()) == 21


@pytest.mark.parametrize(
    ("config", "why"),
    [
        ({"appendfsync": "everysec"}, "its appendfsync is everysec"),
        ({"appendfsync": "no"}, "its appendfsync is no"),
        ({"appendonly": "no"}, "it has no append-only file"),
    ],
)
def test_a_disk_that_cannot_be_promised_is_refused(primary: TemporaryValkey, videos, config, why: str) -> None:
    with primary.client() as client:
        for name, value in config.items():
            client.config_set(name, value)
    wb = WriteBehind(cache=primary.url, database=videos.url)
    likes = wb.counter("videos.likes")
    with wb:
        with pytest.raises(CacheRefused, match=why):
            likes.add(1, ack="disk")
        assert likes.get(1) == 0


def test_a_promoted_replica_has_every_write_that_was_acknowledged(
    primary: TemporaryValkey, replica: TemporaryValkey, videos
) -> None:
    """The writer dies with the primary: what its level said is what survives."""
    writer = WriteBehind(cache=primary.url, database=videos.url)
    likes = writer.counter("videos.likes")
    writer.open()
    acknowledged = 0
    stop = threading.Event()

    def write() -> None:
        nonlocal acknowledged
        while not stop.is_set():
            likes.add(1, ack="replica", timeout=5)
            acknowledged += 1

    thread = threading.Thread(target=write)
    thread.start()
    while acknowledged < 200:
        assert thread.is_alive()
    stop.set()
    thread.join()
    primary.kill()
    with replica.client() as mirror:
        mirror.replicaof("NO", "ONE")
    heir = WriteBehind(cache=replica.url, database=videos.url)
    heir.counter("videos.likes")
    with heir:
        heir.flush(timeout=30)
    assert videos.likes(1) == acknowledged
    writer._end()  # as its process's death would have done, without settling anything


def test_event_logs_and_records_have_the_levels_too(primary: TemporaryValkey, replica: TemporaryValkey, videos) -> None:
    videos.run("CREATE TABLE clicks (page TEXT)")
    wb = WriteBehind(cache=primary.url, database=videos.url)
    clicks, rows = wb.events("clicks"), wb.records("videos")
    with wb, replica.client() as mirror:
        clicks.extend([{"page": "/"}, {"page": "/about"}], ack="replica")
        assert mirror.xlen("wb:{default:clicks:0}:open") == 2
        rows.patch(7, {"title": "seven"}, ack="disk")
        wb.flush(timeout=30)
    assert videos.run("SELECT title FROM videos WHERE id = 7") == [("seven",)]
