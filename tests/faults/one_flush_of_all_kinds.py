"""A worker process of the fault tests: one flush of all kinds, killed by SIGKILL after its n-th step.

``test_kinds_killed`` runs it in processes that have the library loaded already, and gives ``cache``, ``database`` and
``kill_after``.
"""

from __future__ import annotations

import os
import signal

from writebehind import WriteBehind
from writebehind.observe import Event

steps = 0


def die_at_step(event: Event) -> None:
    global steps
    if steps == kill_after:  # noqa: F821
        os.kill(os.getpid(), signal.SIGKILL)
    steps += 1


wb = WriteBehind(cache=cache, database=database, lease_ttl=0.2, poll=0.05, observers=[die_at_step])  # noqa: F821
wb.events("clicks", position="place")
wb.leaderboard("scores.points", member="player", keep="sum")
wb.records("profiles")
with wb:
    wb.flush(timeout=60)
