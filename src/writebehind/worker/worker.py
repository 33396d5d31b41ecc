"""The worker: one thread a table, each looking at its partitions and flushing what is due."""

from __future__ import annotations

import random
import threading
from collections.abc import Sequence
from dataclasses import dataclass

from writebehind.clock import Clock
from writebehind.errors import WriteBehindError
from writebehind.flush.task import FlushReport
from writebehind.observe import FlushFailed, Observer
from writebehind.worker.capture.capturer import Capturer
from writebehind.worker.flusher import Flusher

FIRST_RETRY_DELAY_S = 0.1
LONGEST_RETRY_DELAY_S = 30.0
PAUSED_DELAY_S = 30.0
"""How long a table rests after an error that a retry alone does not mend: someone must act first."""


@dataclass(frozen=True, slots=True)
class WorkerSettings:
    """What the worker needs to know of the configuration."""

    flush_after_s: float
    flush_rows: int
    poll_s: float


def retry_delay_s(attempt: int, share: float) -> float:
    """Exponential back-off with full jitter; ``share`` is random in [0, 1)."""
    return share * min(LONGEST_RETRY_DELAY_S, FIRST_RETRY_DELAY_S * 2.0 ** min(attempt, 20))


class Worker:
    """Runs flushers in threads until it is told to stop."""

    def __init__(
        self,
        flushers: Sequence[Flusher],
        capturers: Sequence[Capturer],
        clock: Clock,
        observe: Observer,
        settings: WorkerSettings,
    ) -> None:
        self.capturers = tuple(capturers)
        self._flushers = tuple(flushers)
        self._clock = clock
        self._observe = observe
        self._settings = settings
        self._stopping = threading.Event()
        self._threads: list[threading.Thread] = []
        self.errors: dict[str, str] = {}
        """The last error of each table that is failing now."""
        self.total = FlushReport()
        """What this worker has done since it started."""
        self._total_lock = threading.Lock()

    def start(self) -> None:
        """Start a thread for each capture and each table.

        :raises WriteBehindError: a capture cannot begin; nothing was started, and nothing written.
        """
        for capturer in self.capturers:
            capturer.prepare()
        for capturer in self.capturers:
            capturer.start()
        for flusher in self._flushers:
            flusher.keeps_leases = True
            thread = threading.Thread(
                target=self._work, args=(flusher,), name=f"writebehind-worker-{flusher.table}", daemon=True
            )
            self._threads.append(thread)
            thread.start()

    def all_errors(self) -> dict[str, str]:
        """What is failing now, by table; of captures by their patterns."""
        captures = {each.capture.pattern.text: each.error for each in self.capturers if each.error}
        return {**self.errors, **captures}

    def abandon(self) -> None:
        """End what a failed ``start`` has begun."""
        for capturer in self.capturers:
            capturer.abandon()

    def _work(self, flusher: Flusher) -> None:
        attempt = 0
        while not self._stopping.is_set():
            try:
                report = flusher.flush_due(
                    flush_after_ms=int(self._settings.flush_after_s * 1000), flush_rows=self._settings.flush_rows
                )
            except Exception as error:  # noqa: BLE001 - a worker that lives and flushes nothing would be worse
                mendable = isinstance(error, WriteBehindError) and error.retryable
                delay_s = retry_delay_s(attempt, random.random()) if mendable else PAUSED_DELAY_S  # noqa: S311
                attempt += 1
                self.errors[flusher.table] = str(error)
                self._observe(FlushFailed(flusher.table, str(error), attempt, delay_s))
                self._clock.wait(self._stopping, delay_s)
                continue
            attempt = 0
            self.errors.pop(flusher.table, None)
            if report is None:
                self._clock.wait(self._stopping, self._settings.poll_s)
            else:
                with self._total_lock:
                    self.total.add(report)

    def stop(self, drain_timeout_s: float) -> bool:
        """Stop the threads, flush what is pending within the time, give the leases back.

        True where everything is in the database; what is not stays safe in the cache.
        """
        deadline = self._clock.monotonic() + drain_timeout_s
        self._stopping.set()
        for thread in self._threads:
            thread.join(max(0.0, deadline - self._clock.monotonic()))
        drained = True
        for capturer in self.capturers:
            drained = capturer.stop(deadline) and drained
        for flusher in self._flushers:
            report = FlushReport()
            try:
                flusher.keeps_leases = False
                flusher.flush_all(deadline, report)
            except WriteBehindError as error:
                drained = False
                self.errors[flusher.table] = str(error)
                self._observe(FlushFailed(flusher.table, str(error), 0, 0.0))
            with self._total_lock:
                self.total.add(report)
        return drained
