"""The two measured halves: likes through the cache, and the same likes by one UPDATE each."""

from __future__ import annotations

import time
from collections import deque
from typing import Any

from writebehind.demo.crew import Crew
from writebehind.demo.histogram import quantile, since
from writebehind.demo.interrupts import Interrupts
from writebehind.demo.report import Measurement, Sample
from writebehind.demo.scenario import TABLE, TABLE_OF_UPDATES
from writebehind.demo.screen import Screen
from writebehind.demo.servers import Servers
from writebehind.demo.workers import Workers

LEAD_S = 0.1
"""Between the order and the begin, so that all writers begin together."""

POLL_S = 0.02
WINDOW_S = 1.0
"""Rate and latencies on the screen are of this time."""


def measure_cache(crew: Crew, servers: Servers, screen: Screen[Sample], interrupts: Interrupts) -> Measurement:
    """Likes on schedule through the cache, until all are in the database. A first signal shortens it.

    :raises ChildDied: a writer did.
    """
    cpu_before = servers.cpu_time()
    begin = time.monotonic() + LEAD_S
    crew.order(begin=begin)
    _watch(_Sampler(begin, crew, servers, screen.sample_interval_s), crew, servers, screen, interrupts)
    ended = max(written["ended"] for written in crew.wait_for_writers("written"))
    screen.say("the clients have stopped; the worker flushes the rest")
    crew.workers.drain()
    cpu = servers.cpu_time() - cpu_before
    return Measurement(crew.counts(lambda board: board.latencies), ended - begin, servers.rows_updated(TABLE), cpu)


def _watch(sampler: _Sampler, crew: Crew, servers: Servers, screen: Screen[Sample], interrupts: Interrupts) -> None:
    """Show the figures until all writers are done."""
    told_to_stop = False
    while not crew.have_all_said("written"):
        if interrupts.requested and not told_to_stop:
            told_to_stop = True
            screen.say("interrupted: the clients stop, and what they were acknowledged is flushed and audited")
            crew.order(stop=True)
        keep_alive(crew.workers, servers, crew.remarks, screen)
        if sampler.is_due():
            screen.show(sampler.sample())
        time.sleep(POLL_S)
    screen.show(sampler.sample())


def keep_alive(workers: Workers, servers: Servers, remarks: list[str], screen: Screen[Any]) -> None:
    """Replace a worker that was killed, and start Valkey again if it is gone; says so."""
    if workers.replace_dead():
        screen.say(remarks[-1])
    if revival := servers.revive_cache():
        remarks.append(revival)
        screen.say(revival)


class _Sampler:
    """Takes samples at an interval."""

    def __init__(self, begin: float, crew: Crew, servers: Servers, interval_s: float) -> None:
        self._begin = begin
        self._crew = crew
        self._servers = servers
        self._interval_s = interval_s
        self._next = begin + interval_s
        self._window = deque([(begin, self._counts())], maxlen=max(1, round(WINDOW_S / interval_s)))

    def _counts(self) -> list[int]:
        return self._crew.counts(lambda board: board.latencies)

    def is_due(self) -> bool:
        """Whether it is time for the next."""
        return time.monotonic() >= self._next

    def sample(self) -> Sample:
        """The figures now; those of the last moments since the oldest sample of the window."""
        now, counts = time.monotonic(), self._counts()
        self._next = now + self._interval_s
        then, counts_then = self._window[0]
        self._window.append((now, counts))
        recent = since(counts, counts_then)
        crew = self._crew
        return Sample(
            elapsed_s=max(0.0, now - self._begin),
            likes=sum(counts),
            likes_per_s=sum(recent) / max(now - then, POLL_S),
            p50_s=quantile(recent, 0.50),
            p99_s=quantile(recent, 0.99),
            at_risk=crew.workers.says("at_risk"),
            oldest_s=crew.workers.says("oldest_s") or 0.0,
            rows=sum(crew.workers.rows_flushed().values()),
            statements=self._servers.worker_statements(),
            trouble=crew.workers.says("trouble") or "",
        )


def measure_updates(crew: Crew, servers: Servers, interrupts: Interrupts) -> Measurement:
    """The same likes by one UPDATE each. A first signal ends it early."""
    crew.order(connect=True)
    crew.wait_for_writers("connected")
    cpu_before = servers.cpu_time()
    begin = time.monotonic() + LEAD_S
    crew.order(begin=begin)
    told_to_stop = False
    while not crew.have_all_said("updated"):
        if interrupts.requested and not told_to_stop:
            told_to_stop = True
            crew.order(stop=True)
        time.sleep(POLL_S)
    cpu = servers.cpu_time() - cpu_before
    ended = max(updated["ended"] for updated in crew.wait_for_writers("updated"))
    crew.dismiss_writers()
    return Measurement(
        crew.counts(lambda board: board.update_latencies),
        ended - begin,
        servers.rows_updated(TABLE_OF_UPDATES),
        cpu,
    )
