"""An application that forks while it is open, as a pre-forking server does; for ``test_forks``."""

from __future__ import annotations

import os
import sys

from writebehind import WriteBehind

wb = WriteBehind(cache=sys.argv[1], database=sys.argv[2])
likes = wb.counter("videos.likes")
reader, writer = os.pipe()


def producer() -> str:
    """Who this process is to the cache."""
    return next(iter(wb._runtime_now().client.deliveries)).partition.lane.producer


with wb:
    likes.add(1, 10)  # in the parent's ring at the fork: a child must not replay it
    children = []
    for _ in range(3):
        child = os.fork()
        if child == 0:
            for _ in range(100):
                likes.add(1)
            assert likes.incr(2, 10) > 0
            os.write(writer, f"{producer()}\n".encode())
            wb.close()
            os._exit(0)
        children.append(child)
    for _ in range(100):
        likes.add(1)
    for child in children:
        _, status = os.waitpid(child, 0)
        assert status == 0, status
    os.write(writer, f"{producer()}\n".encode())
    os.close(writer)
    with os.fdopen(reader) as lines:
        print("producers", len(set(lines)))
    wb.flush(timeout=30)
