"""A worker process of the fault tests: one flush, killed by SIGKILL after its n-th step (never, where n is -1).

The steps are the engine's own events, so a step that is added later is killed at, too.
"""

from __future__ import annotations

import os
import signal
import sys

from writebehind import WriteBehind
from writebehind.observe import Event

cache, database, kill_after = sys.argv[1], sys.argv[2], int(sys.argv[3])
steps = 0


def die_at_step(event: Event) -> None:
    global steps
    print(type(event).__name__, flush=True)
    if steps == kill_after:
        os.kill(os.getpid(), signal.SIGKILL)
    steps += 1


wb = WriteBehind(cache=cache, database=database, lease_ttl=0.2, poll=0.05, observers=[die_at_step])
wb.counter("videos.likes")
wb.counter("videos.views")
with wb:
    wb.flush(timeout=60)
