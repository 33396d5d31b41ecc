"""The same counters in an event loop: the same names, the same behaviour, awaitable."""

from __future__ import annotations

import asyncio
import inspect

import pytest

from writebehind import (
    AsyncCounter,
    AsyncEvents,
    AsyncLeaderboard,
    AsyncRecords,
    AsyncWriteBehind,
    Counter,
    DeadLettered,
    Events,
    Leaderboard,
    NotOpen,
    Records,
    SumOutOfRange,
    WriteBehind,
)
from writebehind.testing.valkey import TemporaryValkey


async def test_a_write_reaches_its_row_with_the_next_flush(valkey: TemporaryValkey, videos) -> None:
    wb = AsyncWriteBehind(cache=valkey.url, database=videos.url)
    likes = wb.counter("videos.likes", key="id")
    async with wb:
        await likes.add(7)
        await likes.add(7, 4, ack="local")
        assert await likes.get(7) == 5
        assert videos.likes(7) == 0
        report = await wb.flush(timeout=30)
        assert (report.writes, report.rows, report.statements) == (2, 1, 1)
        assert videos.likes(7) == 5
        assert (await wb.status()).pending_writes == 0


async def test_concurrent_callers_get_an_exact_total_each(valkey: TemporaryValkey, videos) -> None:
    wb = AsyncWriteBehind(cache=valkey.url, database=videos.url, flush_after=0.05)
    likes = wb.counter("videos.likes")
    async with wb:
        await wb.start_worker()  # so that batches are sealed, applied and acknowledged meanwhile
        totals: list[int] = []
        for _ in range(10):
            totals += await asyncio.gather(*[likes.incr(1) for _ in range(100)])
        assert sorted(totals) == list(range(1, 1001))
    assert videos.likes(1) == 1000


async def test_levels_and_errors_are_those_of_the_blocking_world(valkey: TemporaryValkey, videos) -> None:
    wb = AsyncWriteBehind(cache=valkey.url, database=videos.url)
    likes = wb.counter("videos.likes")
    with pytest.raises(NotOpen):
        await likes.add(1)
    async with wb:
        await likes.add(1, 3, ack="database", timeout=30)
        assert videos.likes(1) == 3
        with pytest.raises(DeadLettered):
            await likes.add(999, ack="database", timeout=30)
        with pytest.raises(SumOutOfRange):
            await asyncio.gather(likes.add(2, 2**63 - 1), likes.add(2, 2**63 - 1), likes.add(3))
        assert await likes.get_many([2, 3]) == {2: 2**63 - 1, 3: 1}


async def test_a_refused_write_concerns_nobody_else_in_its_group(valkey: TemporaryValkey, videos) -> None:
    wb = AsyncWriteBehind(cache=valkey.url, database=videos.url)
    likes = wb.counter("videos.likes")
    async with wb:
        await likes.add(1, 2**63 - 1)
        results = await asyncio.gather(*[likes.add(1 + n % 2) for n in range(20)], return_exceptions=True)
        assert [type(result) for result in results] == [SumOutOfRange, type(None)] * 10
        assert await likes.get_many([1, 2]) == {1: 2**63 - 1, 2: 10}


async def test_a_cancelled_call_disturbs_no_other(valkey: TemporaryValkey, videos) -> None:
    wb = AsyncWriteBehind(cache=valkey.url, database=videos.url)
    likes = wb.counter("videos.likes")
    async with wb:
        calls = [asyncio.create_task(likes.add(n % 3 + 1)) for n in range(90)]
        await asyncio.sleep(0)
        for call in calls[::3]:  # the writes to video 1
            call.cancel()
        results = await asyncio.gather(*calls, return_exceptions=True)
        assert sum(isinstance(result, asyncio.CancelledError) for result in results) == 30
        assert await likes.get_many([2, 3]) == {2: 30, 3: 30}
        assert 0 <= await likes.get(1) <= 30  # each was either sent or not


async def test_misses_of_one_instant_are_one_statement(
    valkey: TemporaryValkey, shared_postgres, postgres_videos
) -> None:
    wb = AsyncWriteBehind(cache=valkey.url, database=postgres_videos.url)
    likes = wb.counter("videos.likes")
    async with wb:
        shared_postgres.log_statements()
        before = len(shared_postgres.log_text())
        await asyncio.gather(*[likes.get(n % 50 + 1, timeout=60) for n in range(500)])
        shared_postgres.log_statements(on=False)
        reads = [line for line in shared_postgres.log_text()[before:].splitlines() if "writebehind_partitions" in line]
        assert 1 <= len(reads) <= 3


DECLARING = {"counter", "leaderboard", "records", "events", "capture"}
WORLDS = [
    (WriteBehind, AsyncWriteBehind),
    (Counter, AsyncCounter),
    (Leaderboard, AsyncLeaderboard),
    (Records, AsyncRecords),
    (Events, AsyncEvents),
]


@pytest.mark.parametrize(("blocking", "awaiting"), WORLDS)
def test_both_worlds_have_the_same_names_and_parameters(blocking: type, awaiting: type) -> None:
    names = {name for name in dir(blocking) if not name.startswith("_")} - {"run_worker"}
    assert names == {name for name in dir(awaiting) if not name.startswith("_")}
    for name in names:
        method, same = getattr(blocking, name), getattr(awaiting, name)
        if isinstance(method, property):
            assert isinstance(same, property)
            continue
        assert list(inspect.signature(method).parameters) == list(inspect.signature(same).parameters)
        assert inspect.iscoroutinefunction(same) == (name not in DECLARING)
