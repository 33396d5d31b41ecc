"""Procedures in threads: leader and followers.

A caller that finds no group on its way becomes the leader and carries the next one itself, so that a
lone caller pays for no hand-over; the others sleep until their group has an answer. One background thread
per client carries what nobody waits for (local writes, replays) and what has to be tried again.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias, TypeVar

from writebehind.cache.link import Links
from writebehind.client.effects import (
    AskCache,
    AskCacheTogether,
    AskDatabase,
    AwaitNews,
    Effect,
    Group,
    Pause,
    Procedure,
    Source,
)
from writebehind.errors import BufferFull, CacheUnavailable

T = TypeVar("T")

Housekeeping: TypeAlias = Callable[[], Procedure[tuple[bool, Sequence[Source]]]]
"""Work to be done regularly; answers whether there is more, and the sources that have something to send."""

FIRST_RETRY_DELAY_S = 0.005
LONGEST_RETRY_DELAY_S = 0.5
HOUSEKEEPING_PERIOD_S = 0.1


def retry_delay_s(attempt: int) -> float:
    """Exponential back-off with full jitter, from milliseconds to half a second."""
    longest = min(LONGEST_RETRY_DELAY_S, FIRST_RETRY_DELAY_S * 2.0 ** min(attempt, 20))  # no power of 1,024: too large
    return random.uniform(0.5, 1.0) * longest  # noqa: S311


class Threads:
    """Performs procedures by blocking. ``housekeeping`` is run regularly while it says there is work."""

    def __init__(self, links: Links, housekeeping: Housekeeping, linger_s: float) -> None:
        self._links = links
        self._housekeeping = housekeeping
        self._linger_s = linger_s
        self._news = threading.Event()
        self._lock = threading.Lock()
        self._kicked: set[Source] = set()
        self._retries: dict[Source, float] = {}
        self._attempts: dict[Source, int] = {}
        self._stopping = False
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Start the background thread."""
        self._thread = threading.Thread(target=self._work, name="writebehind-client", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop the background thread, after the round trip that it is in."""
        self._stopping = True
        self._news.set()
        if self._thread is not None:
            self._thread.join()

    def run(self, procedure: Procedure[T]) -> T:
        """Perform a procedure in this thread."""
        try:
            effect = next(procedure)
            while True:
                try:
                    result = self._perform(effect)
                except Exception as error:  # noqa: BLE001 - it goes on in the procedure
                    effect = procedure.throw(error)
                else:
                    effect = procedure.send(result)
        except StopIteration as end:
            result_of_all: T = end.value
            return result_of_all

    def _perform(self, effect: Effect) -> Any:
        match effect:
            case AskCache(call):
                return self._links.execute(call)
            case AskCacheTogether(several):
                return self._links.execute_together(several)
            case AskDatabase(function):
                return function()
            case AwaitNews(source, group, deadline):
                return self.wait(source, group, deadline)
            case Pause(delay_s):
                time.sleep(delay_s)
                return None

    def wait(self, source: Source, group: Group, deadline: float) -> bool:
        """Wait for news of a group, leading its source if nobody does; False where the deadline passes first."""
        while not group.resolved:
            led = source.take()
            if led is None:
                break
            if not self._lead(source, led):
                break
        if group.resolved:
            return True
        wake = threading.Lock()
        wake.acquire()
        wake_me = wake.release
        group.add_sleeper(wake_me)
        if group.resolved:  # between the look above and falling asleep
            return True
        woken = False
        try:
            woken = wake.acquire(timeout=max(0.0, deadline - time.monotonic()))
        finally:
            # Whoever leaves and was woken at the same moment, perhaps in order to lead, hands that on.
            if not woken and not group.remove_sleeper(wake_me):
                self._wake_next_leader(source)
        return woken

    def _lead(self, source: Source, group: Any) -> bool:
        """Bring one group to its end; False where it has to be tried again later, by the background thread."""
        try:
            self.run(source.deliver(group))
        except (CacheUnavailable, BufferFull):
            self._retry_later(source)
            return False
        except BaseException:
            source.abandon(group)
            self._retry_later(source)
            raise
        self._attempts.pop(source, None)
        self._wake_next_leader(source)
        return True

    def _wake_next_leader(self, source: Source) -> None:
        if not source.wake_next_leader():
            self.kick(source)

    # The background thread

    def kick(self, source: Source) -> None:
        """Have the background thread carry what waits at ``source``, within the linger time."""
        if source not in self._kicked:
            with self._lock:
                self._kicked.add(source)
            self._news.set()

    def _retry_later(self, source: Source) -> None:
        with self._lock:
            attempt = self._attempts.get(source, 0)
            self._attempts[source] = attempt + 1
            self._retries[source] = time.monotonic() + retry_delay_s(attempt)
        self._news.set()

    def _work(self) -> None:
        busy = True
        next_housekeeping = 0.0
        while not self._stopping:
            self._news.wait(self._patience_s(busy))
            self._news.clear()
            if self._kicked and self._linger_s:
                time.sleep(self._linger_s)
            with self._lock:
                kicked, self._kicked = self._kicked, set()
                now = time.monotonic()
                due = [source for source, moment in self._retries.items() if moment <= now]
                for source in due:  # now, since another retry may be due before this one has ended
                    del self._retries[source]
            for source in kicked:
                self._carry(source, source.take)
            for source in due:
                self._carry(source, source.resume)
            if time.monotonic() >= next_housekeeping:
                busy, waiting = self.run(self._housekeeping())
                for source in waiting:
                    self.kick(source)
                next_housekeeping = time.monotonic() + HOUSEKEEPING_PERIOD_S

    def _patience_s(self, busy: bool) -> float:
        with self._lock:
            moments = list(self._retries.values())
        patience = HOUSEKEEPING_PERIOD_S if busy else 10 * HOUSEKEEPING_PERIOD_S
        return max(0.0, min([patience, *(moment - time.monotonic() for moment in moments)]))

    def _carry(self, source: Source, take: Callable[[], Any]) -> None:
        """Carry groups until nothing waits, or a caller can lead, or it has to be tried again."""
        group = take()
        while group is not None:
            try:
                self.run(source.deliver(group))
            except (CacheUnavailable, BufferFull):
                self._retry_later(source)
                return
            except Exception:  # noqa: BLE001 - this thread carries everybody's groups, and must not end with one
                source.abandon(group)
                self._retry_later(source)
                return
            self._attempts.pop(source, None)
            group = source.take()
