"""The worker's process: it flushes until it is told to stop, then drains; meanwhile it tells the status."""

from __future__ import annotations

import os
import sys
import threading
from collections import Counter as Tally
from io import FileIO, RawIOBase
from pathlib import Path
from typing import Any

from writebehind import WriteBehind, WriteBehindError
from writebehind.demo.games.scenario import CLICKS, PROFILES, SCORES
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
    """Tells how many rows this worker has brought to the database, by mapping."""

    def __init__(self) -> None:
        self._rows: Tally[str] = Tally()
        self._lock = threading.Lock()
        """Tables are flushed side by side, each by a thread of its own."""

    def __call__(self, event: Event) -> None:
        if isinstance(event, BatchApplied):
            mapping, _, _ = event.partition.rpartition("/")
            with self._lock:
                self._rows[mapping] += event.rows
                tell(rows=self._rows)


def _wait_for_stop(commands: RawIOBase, stop: threading.Event) -> None:
    while line := commands.readline():
        if command(line).get("stop"):
            stop.set()
    # All is drained; or the demonstration is gone, or in a hurry, and its database with it, so that there is
    # nothing to flush to. Then whoever is left stops the cache's server: it sees by the kernel's locks who is.
    os._exit(0)


def _declare(wb: WriteBehind, start: dict[str, Any]) -> None:
    """What the act writes, as its clients declare it; the ledger would refuse a difference."""
    match start["act"]:
        case "likes":
            wb.counter(f"{TABLE}.likes")
        case "games":
            wb.leaderboard(SCORES, member="player", board="game", keep="max")
            wb.records(PROFILES)
            wb.events(CLICKS, database=start["events"])
        case act:
            raise ValueError(act)


def main() -> None:
    """Open, work, drain."""
    # Without a buffer, whose lock the thread below would hold at an end by an error, which Python calls fatal.
    commands = FileIO(sys.stdin.fileno(), closefd=False)
    start = command(commands.readline())
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
    _declare(wb, start)
    threading.Thread(target=_wait_for_stop, args=(commands, stop), name="demo-commands", daemon=True).start()
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
