"""The public names as an application uses them; never run, checked by the type checker."""

from __future__ import annotations

from decimal import Decimal
from typing import assert_type

from writebehind import AsyncCounter, AsyncWriteBehind, Counter, FlushReport, Status, WriteBehind


def blocking() -> None:
    wb = WriteBehind(cache="redis://localhost:6379/0", database="postgresql://localhost/app", flush_after=10)
    likes = wb.counter("videos.likes", key="id")
    assert_type(likes, Counter[int])
    credit = wb.counter("accounts.credit", value=Decimal)
    assert_type(credit, Counter[Decimal])
    with wb:
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
    async with wb:
        await likes.add(("tetris", 7), ack="database")
        assert_type(await likes.incr(123), int)
        assert_type((await likes.get_many([1, 2]))[1], int)
        assert_type(await wb.flush(), FlushReport)
        assert_type(await wb.status(), Status)
