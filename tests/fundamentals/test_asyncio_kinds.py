"""Leaderboards, records and event logs in an event loop: the same names, the same behaviour, awaitable."""

from __future__ import annotations

import asyncio
import inspect
from decimal import Decimal

import pytest

from writebehind import (
    AsyncEvents,
    AsyncLeaderboard,
    AsyncRecords,
    AsyncWriteBehind,
    BufferFull,
    DeadLettered,
    Events,
    Leaderboard,
    NotOpen,
    PartlyWritten,
    Records,
    ValueRefused,
)
from writebehind.testing.valkey import TemporaryValkey


@pytest.fixture
def tables(videos):
    """The application's database with a table for each kind."""
    videos.run("CREATE TABLE clicks (place BIGINT, page TEXT NOT NULL)")
    videos.run("CREATE TABLE scores (game TEXT, player TEXT, points BIGINT, PRIMARY KEY (game, player))")
    videos.run("CREATE TABLE profiles (id BIGINT PRIMARY KEY, name TEXT, age INTEGER CHECK (age >= 0))")
    return videos


async def test_all_kinds_reach_their_rows_with_the_next_flush(valkey: TemporaryValkey, tables) -> None:
    wb = AsyncWriteBehind(cache=valkey.url, database=tables.url)
    points = wb.leaderboard("scores.points", member="player", board="game")
    people, log = wb.records("profiles"), wb.events("clicks", position="place")
    with pytest.raises(NotOpen):
        await people.get(1)
    async with wb:
        await points.submit("ada", 5, board="go")
        await points.submit("bob", 7, board="go", ack="local")
        await people.put(1, {"name": "Ada"})
        await people.patch(1, {"age": 36})
        await people.delete(2)
        await log.append({"page": "/a"})
        await log.extend([{"page": f"/{n}"} for n in range(2500)])
        assert [tuple(entry) for entry in await points.top(9, board="go")] == [(1, "bob", 7), (2, "ada", 5)]
        assert [await points.rank("ada", board="go"), await points.score("ada", board="go")] == [2, 5]
        assert [entry.member for entry in await points.around("ada", 1, board="go")] == ["bob", "ada"]
        assert await people.get_many([1, 2]) == {1: {"name": "Ada", "age": 36}, 2: None}
        await wb.flush(timeout=30)
        await points.remove("bob", board="go")
        assert await points.size(board="go") == 1
        await points.submit("ada", 9, board="go", ack="database", timeout=30)
    assert tables.run("SELECT * FROM scores") == [("go", "ada", 9)]
    assert tables.run("SELECT * FROM profiles") == [(1, "Ada", 36)]
    assert [page for (page,) in tables.run("SELECT page FROM clicks ORDER BY place")] == [
        "/a",
        *(f"/{n}" for n in range(2500)),
    ]


async def test_a_board_is_built_once_however_many_wait(valkey: TemporaryValkey, tables) -> None:
    tables.run("INSERT INTO scores VALUES " + ", ".join(f"('go', 'p{n:04}', {n})" for n in range(2000)))
    wb = AsyncWriteBehind(cache=valkey.url, database=tables.url)
    points = wb.leaderboard("scores.points", member="player", board="game")
    async with wb:
        with valkey.client() as redis:
            redis.config_resetstat()
            sizes = await asyncio.gather(*[points.size(board="go", timeout=30) for _ in range(100)])
            assert sizes == [2000] * 100
            assert redis.info("commandstats")["cmdstat_rename"]["calls"] == 1


async def test_levels_and_errors_are_those_of_the_blocking_world(valkey: TemporaryValkey, tables) -> None:
    wb = AsyncWriteBehind(cache=valkey.url, database=tables.url)
    points = wb.leaderboard("scores.points", member="player", board="game", keep="sum")
    people = wb.records("profiles")
    log = wb.events("clicks", position="place", max_length=1500, when_full="refuse")
    async with wb:
        with pytest.raises(ValueRefused):
            await people.put(1, {"nmae": "Ada"})
        with pytest.raises(ValueRefused):
            await points.submit("ada", Decimal("0.5"), board="go")
        with pytest.raises(DeadLettered):
            await people.put(1, {"name": "Ada", "age": -1}, ack="database", timeout=30)
        results = await asyncio.gather(
            points.submit("ada", 2**53, board="go"),
            points.submit("ada", 2**53, board="go"),
            points.submit("bob", 1, board="go"),
            return_exceptions=True,
        )
        assert sorted(type(result).__name__ for result in results) == ["NoneType", "NoneType", "SumOutOfRange"]
        with pytest.raises(PartlyWritten) as raised:
            await log.extend([{"page": f"/{n}"} for n in range(2200)])
        assert raised.value.written == 1000
        with pytest.raises(BufferFull):
            await log.extend([{"page": "/x"}] * 600)
        with pytest.raises(ValueRefused):
            await log.append({"page": None})


async def test_concurrent_patches_of_one_record_are_all_kept(valkey: TemporaryValkey, tables) -> None:
    tables.run("CREATE TABLE wide (id BIGINT PRIMARY KEY, " + ", ".join(f"c{n} BIGINT" for n in range(50)) + ")")
    wb = AsyncWriteBehind(cache=valkey.url, database=tables.url, flush_after=0.02)
    wide = wb.records("wide")
    async with wb:
        await wb.start_worker()
        for turn in range(5):
            await asyncio.gather(*[wide.patch(1, {f"c{n}": turn * n}) for n in range(50)])
            assert await wide.get(1) == {f"c{n}": turn * n for n in range(50)}
    assert tables.run("SELECT * FROM wide") == [(1, *(4 * n for n in range(50)))]


def test_both_worlds_have_the_same_names_and_parameters() -> None:
    for blocking, awaiting in ((Leaderboard, AsyncLeaderboard), (Records, AsyncRecords), (Events, AsyncEvents)):
        names = {name for name in vars(blocking) if not name.startswith("_")}
        assert names == {name for name in vars(awaiting) if not name.startswith("_")}
        for name in names:
            method, same = getattr(blocking, name), getattr(awaiting, name)
            assert list(inspect.signature(method).parameters) == list(inspect.signature(same).parameters)
            assert inspect.iscoroutinefunction(same)
