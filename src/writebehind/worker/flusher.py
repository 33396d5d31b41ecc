"""The flusher of one table: steps of the engine under leases, one at a time in this process."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from contextlib import suppress

from writebehind.cache import calls
from writebehind.cache.link import Link, Links
from writebehind.clock import Clock
from writebehind.errors import CacheUnavailable, FlushTimeout, WriteBehindError
from writebehind.flush.engine import Engine
from writebehind.flush.task import FlushReport, Task
from writebehind.worker.leases import Leases
from writebehind.worker.schedule import Dirt, is_due, look

WAIT_FOR_OTHERS_S = 0.02


class Flusher:
    """Flushes the partitions of one table. The worker's thread and ``flush()`` share it."""

    def __init__(self, cache: Links, engine: Engine, leases: Leases, clock: Clock, tasks: Sequence[Task]) -> None:
        self.tasks = tuple(tasks)
        self._cache = cache
        self._engine = engine
        self._leases = leases
        self._clock = clock
        self._lock = threading.Lock()
        self._nothing = threading.Event()
        self.keeps_leases = False
        """Set by a worker, which flushes again soon; who flushes once gives the leases back for others to flush."""

    @property
    def table(self) -> str:
        """For people: the table whose counters it flushes together, or the one mapping of another kind."""
        mapping = self.tasks[0].mapping
        return mapping.mapping.table if mapping.kind == "counter" else f"{mapping.name} ({mapping.kind}s)"

    def flush_due(self, *, flush_after_ms: int, flush_rows: int) -> FlushReport | None:
        """One step for everything dirty, if any partition is due; None where nothing was done."""
        with self._cache.borrow() as cache:
            dirt = look(cache, self.tasks)
            if not any(is_due(each, flush_after_ms=flush_after_ms, flush_rows=flush_rows) for each in dirt):
                return None
        with self._lock:
            return self._step(dirt)

    def _step(self, dirt: Sequence[Dirt]) -> FlushReport | None:
        with self._cache.borrow() as cache:
            held = self._leases.claim(cache, [each.task for each in dirt if not each.is_clean])
        return self._engine.step(held) if held else None

    def flush_all(self, deadline: float, report: FlushReport) -> None:
        """Flush until everything that is pending now is in the database; what was done is added to ``report``.

        Where another worker holds a lease, it is asked and waited for; what time can mend is tried again.
        :raises FlushTimeout: the deadline (of the clock's ``monotonic``) passed first; says why.
        :raises WriteBehindError: what a retry does not mend, at once.
        """
        try:
            self._flush_all(deadline, report)
        finally:
            if not self.keeps_leases:
                self.release()

    def _flush_all(self, deadline: float, report: FlushReport) -> None:
        wanted: dict[Task, set[str]] | None = None
        while True:
            why = "its database is slow, or another worker is flushing it"
            cause: WriteBehindError | None = None
            try:
                wanted, done = self._flush_some(deadline, wanted)
            except WriteBehindError as error:
                if not error.retryable:
                    raise
                why, cause, done = str(error), error, None
            if wanted is not None and not wanted:
                return
            if done is not None:
                report.add(done)
            elif self._clock.monotonic() < deadline:
                self._clock.wait(self._nothing, WAIT_FOR_OTHERS_S)
            if self._clock.monotonic() >= deadline:
                raise FlushTimeout(
                    f"the flush of {self.table!r} did not end within its timeout",
                    why=why,
                    fix="What is pending is safe in the cache; flush again.",
                ) from cause

    def _flush_some(
        self, deadline: float, wanted: dict[Task, set[str]] | None
    ) -> tuple[dict[Task, set[str]] | None, FlushReport | None]:
        """One step for what of ``wanted`` is still pending; without a lease, ask whoever holds it."""
        if not self._lock.acquire(timeout=max(0.0, deadline - self._clock.monotonic())):
            return wanted, None
        try:
            with self._cache.borrow() as cache:
                wanted = self._still_pending(cache, wanted)
                dirt = [each for each in look(cache, tuple(wanted)) if not each.is_clean]
            done = self._step(dirt) if dirt else None
            if done is None:
                with self._cache.borrow() as cache:
                    for task in wanted:
                        cache.execute(calls.ask_for_flush(task.keys))
            return wanted, done
        finally:
            self._lock.release()

    def _still_pending(self, cache: Link, wanted: dict[Task, set[str]] | None) -> dict[Task, set[str]]:
        """What of the writes that were pending at first still is: by the births of their batches.

        Births survive sealing, so newer writes do not keep a flush from ending.
        """
        now: dict[Task, set[str]] = {}
        for task in self.tasks if wanted is None else wanted:
            births = {link.birth for link in cache.execute(calls.queue(task.keys))}
            birth = cache.execute(calls.birth(task.keys))
            if birth:
                births.add(birth)
            still = births if wanted is None else births & wanted[task]
            if still:
                now[task] = still
        return now

    def release(self) -> None:
        """Give the leases back; where the cache cannot be asked now, they end by themselves."""
        with self._lock, self._cache.borrow() as cache, suppress(CacheUnavailable):
            self._leases.release(cache, self.tasks)
