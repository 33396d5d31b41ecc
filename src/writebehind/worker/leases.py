"""Leases: who flushes a partition now. They save work; nothing depends on them for correctness."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Sequence

from writebehind.cache import calls
from writebehind.cache.link import Link
from writebehind.clock import Clock
from writebehind.flush.task import Task
from writebehind.observe import LeaseClaimed, Observer

TRUSTED_SHARE = 0.5
"""A lease is trusted for this share of its time to live; then it is renewed before the next step."""


class Leases:
    """The leases of one process, under one owner's name."""

    def __init__(self, clock: Clock, observe: Observer, ttl_s: float) -> None:
        self._clock = clock
        self._observe = observe
        self._ttl_s = ttl_s
        self._owner = secrets.token_hex(8)
        self._trusted_until: dict[Task, float] = {}

    def claim(self, cache: Link, tasks: Sequence[Task]) -> list[Task]:
        """Those of ``tasks`` that this process may flush now."""
        now = self._clock.monotonic()
        held = []
        for task in tasks:
            if self._trusted_until.get(task, 0.0) > now:
                held.append(task)
            elif cache.execute(calls.claim(task.keys, self._owner, int(self._ttl_s * 1000))):
                self._trusted_until[task] = now + self._ttl_s * TRUSTED_SHARE
                held.append(task)
            else:
                self._trusted_until.pop(task, None)
        if held:
            self._observe(LeaseClaimed(tuple(task.label for task in held)))
        return held

    def release(self, cache: Link, tasks: Iterable[Task]) -> None:
        """Give leases back, so that another worker need not wait for their end."""
        for task in tasks:
            if self._trusted_until.pop(task, None) is not None:
                cache.execute(calls.release(task.keys, self._owner))
