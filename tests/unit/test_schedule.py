"""When a flush is due."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import pytest

from writebehind.cache import calls
from writebehind.cache.address import Address
from writebehind.cache.keys import PartitionKeys
from writebehind.cache.link import Link
from writebehind.chain import new_identity
from writebehind.databases.contract import PartitionName
from writebehind.flush.task import Task
from writebehind.mapping import BoundCounter, CounterMapping
from writebehind.testing.valkey import TemporaryValkey
from writebehind.values import Amounts, KeyCodec, KeyColumn
from writebehind.worker.schedule import Dirt, is_due, look
from writebehind.worker.worker import LONGEST_RETRY_DELAY_S, retry_delay_s

COUNTER = BoundCounter(
    CounterMapping("videos", "likes"), KeyCodec((KeyColumn("id", "integer", "bigint"),), "videos.likes"), Amounts()
)
TASK = Task(PartitionName("tests", "videos.likes", 0), PartitionKeys.of("tests", "videos.likes", 0), COUNTER)
CLEAN = Dirt(
    TASK,
    open_fields=0,
    open_writes=0,
    sealed=0,
    sealed_fields=0,
    sealed_writes=0,
    oldest_ms=0,
    flush_asked=False,
    incarnation="i1",
)
YOUNG = dataclasses.replace(CLEAN, open_fields=1, open_writes=5, oldest_ms=9_999)


@pytest.mark.parametrize(
    ("dirt", "due"),
    [
        pytest.param(CLEAN, False, id="nothing is pending"),
        pytest.param(dataclasses.replace(CLEAN, flush_asked=True), False, id="somebody asked, and nothing is pending"),
        pytest.param(dataclasses.replace(CLEAN, oldest_ms=10**9), False, id="an age without a write"),
        pytest.param(YOUNG, False, id="one key, not yet old enough"),
        pytest.param(dataclasses.replace(YOUNG, oldest_ms=10_000), True, id="the first write is old enough"),
        pytest.param(dataclasses.replace(YOUNG, open_fields=99), False, id="a key less than enough"),
        pytest.param(dataclasses.replace(YOUNG, open_fields=100), True, id="enough keys"),
        pytest.param(dataclasses.replace(YOUNG, open_writes=10**6), False, id="many writes to one key"),
        pytest.param(dataclasses.replace(YOUNG, flush_asked=True), True, id="somebody asked"),
        pytest.param(dataclasses.replace(CLEAN, sealed=1), True, id="a fence waits"),
        pytest.param(dataclasses.replace(CLEAN, sealed=1, sealed_fields=1), True, id="a sealed batch waits"),
    ],
)
def test_a_flush_is_due_by_age_size_leftovers_or_wish(dirt: Dirt, due: bool) -> None:
    assert is_due(dirt, flush_after_ms=10_000, flush_rows=100) is due


def test_with_no_delay_everything_pending_is_due() -> None:
    assert is_due(dataclasses.replace(YOUNG, oldest_ms=0), flush_after_ms=0, flush_rows=100)
    assert not is_due(CLEAN, flush_after_ms=0, flush_rows=100)


@pytest.fixture
def link(valkey: TemporaryValkey) -> Iterator[Link]:
    link = Link(Address.parse(valkey.url))
    yield link
    link.close()


def write(link: Link, incarnation: str, sequence: int, *names: bytes) -> None:
    link.execute(
        calls.write_amounts(
            TASK.keys,
            calls.GroupHead(
                layout="1",
                incarnation=incarnation,
                producer="p1",
                sequence=sequence,
                writes=10,
                max_pending_fields=0,
            ),
            [COUNTER.value_key(name) for name in names],
            [part for name in names for part in (name, 1)],
            want_totals=False,
        )
    )


def test_a_partition_that_nobody_has_written_is_clean(link: Link) -> None:
    [dirt] = look(link, [TASK])
    assert dirt == dataclasses.replace(CLEAN, incarnation="")


def test_looking_counts_what_is_open_and_what_is_sealed(link: Link) -> None:
    entered = link.execute(
        calls.enter(TASK.keys, layout="1", batch="b1", fence=new_identity(), leave="", cached_value_ttl_ms=1_000)
    )
    assert isinstance(entered, calls.Entered)
    write(link, entered.incarnation, 1, b"1", b"2")
    link.execute(calls.seal(TASK.keys, layout="1", batch="b2", batch_fields=1, ledger="", commit=0))
    write(link, entered.incarnation, 2, b"3")
    link.execute(calls.ask_for_flush(TASK.keys))
    [dirt] = look(link, [TASK])
    assert (dirt.open_fields, dirt.open_writes) == (1, 10)
    assert (dirt.sealed, dirt.sealed_fields, dirt.sealed_writes) == (2, 2, 10), "the fence and the batch"
    assert (dirt.flush_asked, dirt.incarnation, dirt.is_clean) == (True, entered.incarnation, False)
    assert 0 <= dirt.oldest_ms < 60_000


@pytest.mark.parametrize("attempt", [0, 1, 5, 50, 1_024, 10**6])
def test_a_retry_waits_longer_each_time_up_to_a_bound_for_ever(attempt: int) -> None:
    assert 0.0 <= retry_delay_s(attempt, 0.0) <= retry_delay_s(attempt, 0.999) <= LONGEST_RETRY_DELAY_S
    assert retry_delay_s(attempt, 0.5) <= retry_delay_s(attempt + 1, 0.5)
