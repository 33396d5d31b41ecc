"""The public names as an application uses them; never run, checked by the type checker."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, assert_type

from writebehind import (
    AsyncCounter,
    AsyncEvents,
    AsyncLeaderboard,
    AsyncRecords,
    AsyncWriteBehind,
    BoardEntry,
    Counter,
    Events,
    FlushReport,
    Leaderboard,
    Records,
    Status,
    WriteBehind,
)


def blocking() -> None:
    wb = WriteBehind(cache="redis://localhost:6379/0", database="postgresql://localhost/app", flush_after=10)
    likes = wb.counter("videos.likes", key="id")
    assert_type(likes, Counter[int])
    credit = wb.counter("accounts.credit", value=Decimal)
    assert_type(credit, Counter[Decimal])
    scores = wb.leaderboard("scores.points", member="player", board="game", keep="max")
    assert_type(scores, Leaderboard[int])
    times = wb.leaderboard("laps.seconds", member="driver", keep="min", value=float)
    assert_type(times, Leaderboard[float])
    profiles = wb.records("profiles", key="id", version="updated_at")
    assert_type(profiles, Records)
    clicks = wb.events("clicks", database="duckdb:///events.duckdb", max_length=1_000_000, when_full="refuse")
    assert_type(clicks, Events)
    with wb:
        scores.submit("alice", 4200, board="tetris", ack="local")
        scores.remove("alice", board="tetris")
        assert_type(scores.top(10, board="tetris"), list[BoardEntry[int]])
        assert_type(scores.rank("alice", board="tetris"), int | None)
        assert_type(times.score("senna"), float | None)
        profiles.put(7, {"name": "Ada"}, timeout=1.5)
        profiles.patch(7, {"plan": "pro"}, ack="database")
        profiles.delete(7, version=5)
        assert_type(profiles.get(7), dict[str, Any] | None)
        clicks.append({"page": "/home"}, together="visitor 7")
        clicks.extend({"page": page} for page in ("/", "/about"))
        likes.add(123)
        likes.add(123, -2, ack="local", timeout=1.5)
        assert_type(likes.incr(123), int)
        assert_type(likes.decr(123, 5), int)
        assert_type(credit.incr("ada", Decimal("1.25")), Decimal)
        assert_type(likes.get(123), int)
        assert_type(likes.get_many([1, 2, 3])[2], int)
        assert_type(wb.flush(timeout=30), FlushReport)
        assert_type(wb.status(), Status)
        wb.start_worker()


async def awaiting() -> None:
    wb = AsyncWriteBehind()
    likes = wb.counter("videos.likes", key="id")
    assert_type(likes, AsyncCounter[int])
    scores = wb.leaderboard("scores.points", member="player", board="game", value=float)
    assert_type(scores, AsyncLeaderboard[float])
    profiles = wb.records("profiles")
    assert_type(profiles, AsyncRecords)
    clicks = wb.events("clicks")
    assert_type(clicks, AsyncEvents)
    async with wb:
        await scores.submit("alice", 1.5, board="tetris")
        assert_type(await scores.around("alice", 5, board="tetris"), list[BoardEntry[float]])
        await profiles.patch(7, {"plan": "pro"})
        assert_type((await profiles.get_many([7]))[7], dict[str, Any] | None)
        await clicks.extend([{"page": "/"}])
        await likes.add(("tetris", 7), ack="database")
        assert_type(await likes.incr(123), int)
        assert_type((await likes.get_many([1, 2]))[1], int)
        assert_type(await wb.flush(), FlushReport)
        assert_type(await wb.status(), Status)
