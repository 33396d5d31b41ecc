"""The worker's process: it flushes until it is told to stop, then drains; meanwhile it tells the status."""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path

from writebehind import WriteBehind, WriteBehindError
from writebehind.demo.parent import command, tell
from writebehind.demo.scenario import TABLE
from writebehind.observe import BatchApplied, Event

_STATUS_INTERVAL_S = 0.2
_DRAIN_TIMEOUT_S = 30.0


def _tell_status(wb: WriteBehind, ended: threading.Event) -> None:
    while not ended.wait(_STATUS_INTERVAL_S):
        try:
            status = wb.status()
        except WriteBehindError as error:
            tell(trouble=str(error))
            continue
        tell(
            at_risk=status.pending_writes,
            oldest_s=status.oldest_pending_s,
            trouble="; ".join(status.worker_errors.values()),
        )


class _RowsFlushed:
    """Tells how many rows this worker has brought to the database."""

    def __init__(self) -> None:
        self.rows = 0

    def __call__(self, event: Event) -> None:
        if isinstance(event, BatchApplied):
            self.rows += event.rows
            tell(rows=self.rows)


def _wait_for_stop(stop: threading.Event) -> None:
    while line := sys.stdin.buffer.readline():
        if command(line).get("stop"):
            stop.set()
    # All is drained; or the demonstration is gone, or in a hurry, and its database with it, so that there is
    # nothing to flush to. Then whoever is left stops the cache's server: it sees by the kernel's locks who is.
    os._exit(0)


def main() -> None:
    """Open, work, drain."""
    start = command(sys.stdin.buffer.readline())
    if "cache" not in start:
        return
    stop, ended = threading.Event(), threading.Event()
    wb = WriteBehind(
        folder=Path(start["cache"]),
        database=start["database"],
        flush_after=start["flush_after"],
        drain_timeout=_DRAIN_TIMEOUT_S,
        observers=[_RowsFlushed()],
    )
    wb.counter(f"{TABLE}.likes")
    threading.Thread(target=_wait_for_stop, args=(stop,), name="demo-commands", daemon=True).start()
    with wb:
        teller = threading.Thread(target=_tell_status, args=(wb, ended), name="demo-status")
        teller.start()
        tell(ready=True)
        try:
            drained = wb.run_worker(stop)
        finally:
            ended.set()
            teller.join()
    tell(at_risk=0 if drained else None, oldest_s=0.0, drained=drained)


if __name__ == "__main__":
    main()
