"""The two measured halves: likes through the cache, and the same likes by one UPDATE each."""

from __future__ import annotations

import time
from collections import deque

from writebehind.demo.crew import Crew
from writebehind.demo.histogram import quantile, since
from writebehind.demo.interrupts import Interrupts
from writebehind.demo.report import Measurement, Sample
from writebehind.demo.scenario import TABLE, TABLE_OF_UPDATES
from writebehind.demo.screen import Screen
from writebehind.demo.servers import Servers

_LEAD_S = 0.1
"""Between the order and the begin, so that all writers begin together."""

_POLL_S = 0.02
_WINDOW_S = 1.0
"""Rate and latencies on the screen are of this time."""


def measure_cache(crew: Crew, servers: Servers, screen: Screen, interrupts: Interrupts) -> Measurement:
    """Likes on schedule through the cache, until all are in the database. A first signal shortens it.

    :raises ChildDied: a writer did.
    """
    cpu_before = servers.cpu_time()
    begin = time.monotonic() + _LEAD_S
    crew.order(begin=begin)
    _watch(_Sampler(begin, crew, servers, screen.sample_interval_s), crew, servers, screen, interrupts)
    ended = max(written["ended"] for written in crew.wait_for_writers("written"))
    screen.say("the clients have stopped; the worker flushes the rest")
    crew.drain(servers)
    cpu = servers.cpu_time() - cpu_before
    return Measurement(crew.counts(lambda board: board.latencies), ended - begin, servers.rows_updated(TABLE), cpu)


def _watch(sampler: _Sampler, crew: Crew, servers: Servers, screen: Screen, interrupts: Interrupts) -> None:
    """Show the figures until all writers are done."""
    told_to_stop = False
    while not crew.have_all_said("written"):
        if interrupts.requested and not told_to_stop:
            told_to_stop = True
            screen.say("interrupted: the clients stop, and what they were acknowledged is flushed and audited")
            crew.order(stop=True)
        if crew.replace_dead_worker(servers):
            screen.say(crew.remarks[-1])
        if revival := servers.revive_cache():
            crew.remarks.append(revival)
            screen.say(revival)
        if sampler.is_due():
            screen.show(sampler.sample())
        time.sleep(_POLL_S)
    screen.show(sampler.sample())


class _Sampler:
    """Takes samples at an interval."""

    def __init__(self, begin: float, crew: Crew, servers: Servers, interval_s: float) -> None:
        self._begin = begin
        self._crew = crew
        self._servers = servers
        self._interval_s = interval_s
        self._next = begin + interval_s
        self._window = deque([(begin, self._counts())], maxlen=max(1, round(_WINDOW_S / interval_s)))

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
            likes_per_s=sum(recent) / max(now - then, _POLL_S),
            p50_s=quantile(recent, 0.50),
            p99_s=quantile(recent, 0.99),
            at_risk=crew.worker_says("at_risk"),
            oldest_s=crew.worker_says("oldest_s") or 0.0,
            rows=crew.rows_flushed(),
            statements=self._servers.worker_statements(),
            trouble=crew.worker_says("trouble") or "",
        )


def measure_updates(crew: Crew, servers: Servers, interrupts: Interrupts) -> Measurement:
    """The same likes by one UPDATE each. A first signal ends it early."""
    crew.order(connect=True)
    crew.wait_for_writers("connected")
    cpu_before = servers.cpu_time()
    begin = time.monotonic() + _LEAD_S
    crew.order(begin=begin)
    told_to_stop = False
    while not crew.have_all_said("updated"):
        if interrupts.requested and not told_to_stop:
            told_to_stop = True
            crew.order(stop=True)
        time.sleep(_POLL_S)
    cpu = servers.cpu_time() - cpu_before
    ended = max(updated["ended"] for updated in crew.wait_for_writers("updated"))
    crew.dismiss_writers()
    return Measurement(
        crew.counts(lambda board: board.update_latencies),
        ended - begin,
        servers.rows_updated(TABLE_OF_UPDATES),
        cpu,
    )
