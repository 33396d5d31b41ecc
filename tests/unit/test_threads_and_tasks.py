"""How callers share the work: leader and followers in threads, a pump in an event loop."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, cast

import pytest

from writebehind.cache.async_link import AsyncLinks
from writebehind.cache.link import Links
from writebehind.client.effects import AskDatabase, Procedure, Source, await_news
from writebehind.client.gathering import Gathered, Gathering
from writebehind.client.tasks import Tasks
from writebehind.client.threads import Threads, retry_delay_s
from writebehind.errors import CacheUnavailable, ReadUnsettled, RowRefused

Work = Callable[[], None]


class Group(Gathered):
    """Callers by name."""

    def __init__(self) -> None:
        super().__init__()
        self.callers: list[int] = []


class FakeSource(Gathering[Group]):
    """Each delivery runs ``work`` and tells the group's callers what came of it."""

    def __init__(self, work: Work = lambda: None) -> None:
        super().__init__()
        self.work = work
        self.delivered: list[list[int]] = []
        self.resumed = 0
        self._abandoned: Group | None = None

    def join(self, caller: int) -> Group:
        with self._lock:
            if not self._waiting:
                self._waiting.append(Group())
            self._waiting[-1].callers.append(caller)
            return self._waiting[-1]

    @property
    def callers_waiting(self) -> int:
        with self._lock:
            return sum(len(group.callers) for group in self._waiting)

    def deliver(self, group: Group) -> Procedure[None]:
        try:
            yield AskDatabase(self.work)
        except RowRefused as error:
            self._finish(group, error)
            return
        self.delivered.append(group.callers)
        self._finish(group)

    def call(self, caller: int, timeout_s: float = 20.0) -> Procedure[None]:
        """What a caller does: join, wait, raise the group's error."""
        group = self.join(caller)
        while not group.resolved:
            if not (yield from await_news(cast(Source, self), group, time.monotonic() + timeout_s)):
                raise CacheUnavailable("the caller's time is over")
        if group.error is not None:
            raise group.error


class RetriedSource(FakeSource):
    """Like a lane: a group whose carrier was interrupted is given to another."""

    def abandon(self, group: Group) -> None:
        self._abandoned = group

    def resume(self) -> Group | None:
        group, self._abandoned = self._abandoned, None
        if group is not None:
            self.resumed += 1
            return group
        return self.take()


def no_housekeeping() -> Procedure[tuple[bool, Sequence[Source]]]:
    return False, []
    yield


@contextmanager
def running(housekeeping: Any = no_housekeeping) -> Iterator[Threads]:
    threads = Threads(cast(Links, None), housekeeping, linger_s=0)
    threads.start()
    try:
        yield threads
    finally:
        threads.stop()


def in_threads(count: int, call: Callable[[int], None]) -> tuple[list[threading.Thread], dict[int, BaseException]]:
    """Start callers; their errors are collected by caller."""
    errors: dict[int, BaseException] = {}

    def run(caller: int) -> None:
        try:
            call(caller)
        except BaseException as error:
            errors[caller] = error

    callers = [threading.Thread(target=run, args=(caller,)) for caller in range(count)]
    for thread in callers:
        thread.start()
    return callers, errors


def test_a_lone_caller_carries_its_group_itself() -> None:
    carriers: list[threading.Thread] = []
    source = FakeSource(lambda: carriers.append(threading.current_thread()))
    with running() as threads:
        threads.run(source.call(1))
    assert carriers == [threading.current_thread()]


def test_fifty_threads_share_two_deliveries(wait_until: Callable[[Callable[[], bool]], None]) -> None:
    may_go = threading.Event()
    source = FakeSource(lambda: cast(None, may_go.wait()))
    with running() as threads:
        first, errors = in_threads(1, lambda caller: threads.run(source.call(caller)))
        wait_until(lambda: source._flying is not None)
        others, more_errors = in_threads(49, lambda caller: threads.run(source.call(100 + caller)))
        wait_until(lambda: source.callers_waiting == 49)
        may_go.set()
        for thread in first + others:
            thread.join()
    assert [len(callers) for callers in source.delivered] == [1, 49]
    assert not errors
    assert not more_errors


def test_an_error_reaches_exactly_the_callers_of_its_group(
    wait_until: Callable[[Callable[[], bool]], None],
) -> None:
    may_go = threading.Event()
    turns = iter(["good", "bad", "good"])

    def work() -> None:
        may_go.wait()
        if next(turns) == "bad":
            raise RowRefused("bad")

    source = FakeSource(work)
    with running() as threads:
        first, errors = in_threads(1, lambda caller: threads.run(source.call(caller)))
        wait_until(lambda: source._flying is not None)
        others, other_errors = in_threads(5, lambda caller: threads.run(source.call(caller)))
        wait_until(lambda: source.callers_waiting == 5)
        may_go.set()
        for thread in first + others:
            thread.join()
        threads.run(source.call(9))
    assert not errors
    assert {type(error) for error in other_errors.values()} == {RowRefused}
    assert sorted(other_errors) == [0, 1, 2, 3, 4]
    assert source.delivered[-1] == [9]


def test_a_leader_that_is_interrupted_leaves_its_group_to_the_background_thread() -> None:
    carriers: list[threading.Thread] = []

    def work() -> None:
        carriers.append(threading.current_thread())
        if len(carriers) == 1:
            raise KeyboardInterrupt

    source = RetriedSource(work)
    with running() as threads:
        with pytest.raises(KeyboardInterrupt):
            threads.run(source.call(1))
        threads.run(source.call(2))
    assert source.delivered == [[1], [2]]
    assert source.resumed == 1
    assert carriers[1].name == "writebehind-client"


def test_callers_are_told_where_what_they_gathered_for_can_simply_be_asked_for_again(
    wait_until: Callable[[Callable[[], bool]], None],
) -> None:
    may_go, interrupts = threading.Event(), iter([True, False])

    def work() -> None:
        may_go.wait()
        if next(interrupts):
            raise KeyboardInterrupt

    source = FakeSource(work)
    group = source.join(0)
    with running() as threads:
        leader, errors = in_threads(1, lambda caller: threads.run(source.call(caller)))
        wait_until(lambda: source._flying is not None)
        may_go.set()
        leader[0].join()
        assert isinstance(errors[0], KeyboardInterrupt)
        assert isinstance(group.error, ReadUnsettled)
        threads.run(source.call(1))
    assert source.delivered == [[1]]


def test_what_failed_for_a_while_is_tried_again_by_the_background_thread() -> None:
    failures = iter([True, True, True, False])

    def work() -> None:
        if next(failures):
            raise CacheUnavailable("away")

    class Lane(RetriedSource):
        def deliver(self, group: Group) -> Procedure[None]:
            try:
                yield from super().deliver(group)
            except CacheUnavailable:
                self.abandon(group)
                raise

    source = Lane(work)
    with running() as threads:
        threads.run(source.call(1))
    assert source.delivered == [[1]]


def test_an_error_that_nobody_foresaw_does_not_end_the_background_thread(
    wait_until: Callable[[Callable[[], bool]], None],
) -> None:
    surprises = iter([True, False])

    def work() -> None:
        if next(surprises):
            raise AssertionError("a reply that the protocol does not have")

    source = RetriedSource(work)
    with running() as threads:
        group = source.join(1)
        threads.kick(cast(Source, source))
        wait_until(lambda: group.resolved)
    assert source.delivered == [[1]]


def test_a_follower_whose_time_is_over_is_not_woken_to_lead(
    wait_until: Callable[[Callable[[], bool]], None],
) -> None:
    """It has left: another caller of its group must lead, or all of them would sleep."""
    may_go = threading.Event()
    source = FakeSource(lambda: cast(None, may_go.wait()))
    with running() as threads:
        first, _ = in_threads(1, lambda caller: threads.run(source.call(caller)))
        wait_until(lambda: source._flying is not None)
        patient, errors = in_threads(1, lambda caller: threads.run(source.call(1)))
        wait_until(lambda: source.callers_waiting == 1)
        with pytest.raises(CacheUnavailable):
            threads.run(source.call(2, timeout_s=0.01))
        may_go.set()
        for thread in first + patient:
            thread.join(10)
        assert not any(thread.is_alive() for thread in first + patient)
    assert not errors
    assert source.delivered == [[0], [1, 2]]


def test_retries_have_a_longest_delay_however_long_an_outage_lasts() -> None:
    assert all(0 < retry_delay_s(attempt) <= 0.5 for attempt in (0, 10, 1_024, 10**6))
    assert retry_delay_s(0) <= 0.005


# asyncio


async def started() -> Tasks:
    tasks = Tasks(cast(AsyncLinks, None), no_housekeeping, linger_s=0)
    tasks.start()
    return tasks


async def test_tasks_share_two_deliveries() -> None:
    tasks, may_go = await started(), threading.Event()
    source = FakeSource(lambda: cast(None, may_go.wait()))
    first = asyncio.create_task(tasks.run(source.call(0)))
    while source._flying is None:
        await asyncio.sleep(0)
    others = [asyncio.create_task(tasks.run(source.call(caller))) for caller in range(1, 50)]
    while source.callers_waiting < 49:
        await asyncio.sleep(0)
    may_go.set()
    await asyncio.gather(first, *others)
    assert [len(callers) for callers in source.delivered] == [1, 49]
    await tasks.stop()


async def test_a_cancelled_caller_disturbs_nobody() -> None:
    tasks, may_go = await started(), threading.Event()
    source = FakeSource(lambda: cast(None, may_go.wait()))
    first = asyncio.create_task(tasks.run(source.call(0)))
    while source._flying is None:
        await asyncio.sleep(0)
    second, third = (asyncio.create_task(tasks.run(source.call(caller))) for caller in (1, 2))
    while source.callers_waiting < 2:
        await asyncio.sleep(0)
    first.cancel()
    second.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    with pytest.raises(asyncio.CancelledError):
        await second
    may_go.set()
    await third
    assert source.delivered == [[0], [1, 2]], "what was begun is carried to its end"
    await tasks.stop()


async def test_an_error_reaches_exactly_the_tasks_of_its_group() -> None:
    tasks = await started()
    turns = iter(["bad", "good"])

    def work() -> None:
        if next(turns) == "bad":
            raise RowRefused("bad")

    source = FakeSource(work)
    with pytest.raises(RowRefused):
        await tasks.run(source.call(0))
    await tasks.run(source.call(1))
    assert source.delivered == [[1]]
    await tasks.stop()


async def test_a_wait_ends_when_its_time_is_over() -> None:
    tasks, may_go = await started(), threading.Event()
    source = FakeSource(lambda: cast(None, may_go.wait()))
    with pytest.raises(CacheUnavailable, match="time is over"):
        await tasks.run(source.call(0, timeout_s=0.01))
    may_go.set()
    await tasks.run(source.call(1))
    assert source.delivered == [[0], [1]]
    await tasks.stop()


async def test_stopping_leaves_a_group_to_whoever_comes_next() -> None:
    tasks, may_go = await started(), threading.Event()
    source = RetriedSource(lambda: cast(None, may_go.wait()))
    caller = asyncio.create_task(tasks.run(source.call(0)))
    while source._flying is None:
        await asyncio.sleep(0)
    await tasks.stop()
    caller.cancel()
    await asyncio.gather(caller, return_exceptions=True)
    may_go.set()
    tasks = await started()
    await tasks.run(source.call(1))
    assert source.delivered == [[0], [1]]
    assert source.resumed == 1
    await tasks.stop()
