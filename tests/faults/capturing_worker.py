"""A worker in a process of its own, to be killed: captures videos' likes, profiles and scores."""

from __future__ import annotations

import sys
import threading

from writebehind import WriteBehind

if __name__ == "__main__":
    cache, database = sys.argv[1:]
    wb = WriteBehind(cache=cache, database=database, flush_after=0.05, lease_ttl=0.3, poll=0.02, capture_every=0.02)
    wb.capture("video:{id}:likes", to="videos.likes", baseline="zero")
    wb.capture("user:{id}", to="profiles", baseline="zero")
    wb.capture("board:{game}", to="scores.points", member="player", baseline="zero")
    with wb:
        wb.run_worker(threading.Event())
