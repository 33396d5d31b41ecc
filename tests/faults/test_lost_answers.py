"""A group whose answer is lost is sent again under its number, and counts once."""

from __future__ import annotations

import asyncio
import random
import threading
from pathlib import Path

import pytest

from writebehind import AsyncWriteBehind, DurabilityUnknown, WriteBehind
from writebehind.testing.proxy import CutProxy
from writebehind.testing.valkey import TemporaryValkey

MOST_CUTS = 30
"""A line that is cut for ever would let nothing through: every try would meet the next cut."""


@pytest.fixture
def proxy(valkey: TemporaryValkey, tmp_path_factory: pytest.TempPathFactory):
    with CutProxy(tmp_path_factory.mktemp("p"), valkey.url.removeprefix("unix://")) as proxy:
        yield proxy


def test_a_repeated_group_counts_once(proxy: CutProxy, videos) -> None:
    wb = WriteBehind(cache=proxy.url, database=videos.url)
    likes = wb.counter("videos.likes")
    with wb:
        for round_number in range(20):
            proxy.cut_answers(round_number % 3)
            likes.add(1)
            proxy.cut_requests(round_number % 2)
            likes.add(2, 3)
        assert proxy.cuts > 0
        wb.flush(timeout=30)
    assert videos.all_likes() == {1: 20, 2: 60}


def test_a_total_is_exact_although_its_answer_was_lost(proxy: CutProxy, valkey: TemporaryValkey, videos) -> None:
    wb = WriteBehind(cache=proxy.url, database=videos.url)
    other = WriteBehind(cache=valkey.url, database=videos.url)
    likes, others = wb.counter("videos.likes"), other.counter("videos.likes")
    with wb, other:
        assert likes.incr(1) == 1
        for expected in range(2, 40, 2):
            proxy.cut_answers(1)
            assert likes.incr(1) == expected
            others.add(1)
        assert likes.get(1) == 39


def test_many_threads_through_a_bad_line_lose_and_double_nothing(proxy: CutProxy, videos) -> None:
    wb = WriteBehind(cache=proxy.url, database=videos.url)
    likes = wb.counter("videos.likes")
    chance = random.Random(7)

    def write() -> None:
        for _ in range(100):
            likes.add(1, timeout=30)

    with wb:
        threads = [threading.Thread(target=write) for _ in range(8)]
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads) and proxy.cuts < MOST_CUTS:
            (proxy.cut_answers if chance.random() < 0.5 else proxy.cut_requests)(1)
            threads[0].join(0.02)
        for thread in threads:
            thread.join()
        wb.flush(timeout=30)
    assert videos.all_likes() == {1: 800}


async def test_many_tasks_through_a_bad_line_lose_and_double_nothing(proxy: CutProxy, videos) -> None:
    wb = AsyncWriteBehind(cache=proxy.url, database=videos.url)
    likes = wb.counter("videos.likes")
    chance = random.Random(7)

    async def write() -> None:
        for _ in range(100):
            await likes.add(1, timeout=30)

    async with wb:
        writers = asyncio.gather(*[write() for _ in range(8)])
        while not writers.done() and proxy.cuts < MOST_CUTS:
            (proxy.cut_answers if chance.random() < 0.5 else proxy.cut_requests)(1)
            await asyncio.wait([writers], timeout=0.02)
        await writers
        await wb.flush(timeout=30)
    assert videos.all_likes() == {1: 800}


def test_an_outcome_that_stays_unknown_is_neither_success_nor_failure(
    proxy: CutProxy, videos, tmp_path: Path, wait_until
) -> None:
    wb = WriteBehind(cache=proxy.url, database=videos.url)
    likes = wb.counter("videos.likes")
    with wb:
        proxy.cut_answers(1_000_000)
        with pytest.raises(DurabilityUnknown, match="do not write it again") as raised:
            likes.add(1, timeout=0.2)
        assert raised.value.token.startswith("videos.likes/0 ")
        proxy.cut_answers(0)
        likes.add(1)  # the same lane goes on once the first is settled
        wb.flush(timeout=30)
    assert videos.all_likes() == {1: 2}
