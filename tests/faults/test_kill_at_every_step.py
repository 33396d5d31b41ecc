"""A worker killed between any two steps of a flush changes nothing about the sums."""

from __future__ import annotations

import signal
import subprocess
import sys
from itertools import count
from pathlib import Path

from writebehind import WriteBehind
from writebehind.testing.valkey import TemporaryValkey

FLUSH = Path(__file__).with_name("one_flush.py")

STEPS_OF_A_FLUSH = {
    "LeaseClaimed",
    "HeadsRead",
    "Sealed",
    "BatchRead",
    "TransactionBegun",
    "PartitionsLocked",
    "RowsWritten",
    "DeadLettersWritten",
    "MarksWritten",
    "HeadMoved",
    "Committed",
    "BatchApplied",
    "Acknowledged",
}


def flush_in_a_process(valkey: TemporaryValkey, database: str, *, kill_after: int) -> tuple[bool, list[str]]:
    """Whether it was killed, and the steps that it had taken."""
    process = subprocess.run(
        [sys.executable, str(FLUSH), valkey.url, database, str(kill_after)],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    killed = process.returncode == -signal.SIGKILL
    assert killed or process.returncode == 0, process.stderr
    return killed, process.stdout.split()


def test_a_kill_after_any_step_neither_loses_nor_doubles(valkey: TemporaryValkey, videos) -> None:
    wb = WriteBehind(cache=valkey.url, database=videos.url, lease_ttl=0.2, poll=0.05)
    likes, views = wb.counter("videos.likes"), wb.counter("videos.views")
    expected = 0
    dead = 0
    seen: set[str] = set()
    with wb:
        for step in count():
            for _ in range(10):
                likes.add(1)
            views.add(1, 10)
            likes.add(999)  # its row is missing, so that every step of a flush is taken
            expected += 10
            dead += 1

            killed, steps = flush_in_a_process(valkey, videos.url, kill_after=step)
            seen.update(steps)
            assert likes.get(1) == expected, f"a read after a kill at {steps[-1:]}"
            wb.flush(timeout=60)

            row = videos.run("SELECT likes, views FROM videos WHERE id = 1")
            assert row == [(expected, expected)], f"killed after {steps[-1:]}"
            letters = videos.run("SELECT count(*), sum(CAST(value AS BIGINT)) FROM writebehind_dead_letters")
            assert [tuple(map(int, letter)) for letter in letters] == [(dead, dead)], f"killed after {steps[-1:]}"
            if not killed:
                break
    assert step >= len(STEPS_OF_A_FLUSH)
    assert seen >= STEPS_OF_A_FLUSH


def test_the_flush_of_a_fence_survives_a_kill_at_any_step_too(valkey: TemporaryValkey, videos) -> None:
    for step in count():
        valkey.empty()  # the cache has lost everything: the next client enters a new incarnation
        wb = WriteBehind(cache=valkey.url, database=videos.url, lease_ttl=0.2, poll=0.05)
        likes = wb.counter("videos.likes")
        with wb:
            likes.add(1)
            killed, steps = flush_in_a_process(valkey, videos.url, kill_after=step)
            wb.flush(timeout=60)
            assert videos.likes(1) == step + 1, f"killed after {steps[-1:]}"
            if not killed:
                break
    assert "FenceApplied" in steps
