"""Lanes of processes that are long gone do not stay in the cache for ever; a producer that comes back is safe."""

from __future__ import annotations

import time

from writebehind import WriteBehind
from writebehind.testing.valkey import TemporaryValkey

LANES = "wb:{default:videos.likes:0}:lanes"
EIGHT_DAYS_MS = 8 * 24 * 3600 * 1000


def test_a_silent_lane_is_forgotten_and_its_producer_begins_anew(valkey: TemporaryValkey, videos) -> None:
    silent = WriteBehind(cache=valkey.url, database=videos.url)
    busy = WriteBehind(cache=valkey.url, database=videos.url)
    silent_likes, busy_likes = silent.counter("videos.likes"), busy.counter("videos.likes")
    with silent, busy, valkey.client() as client:
        silent_likes.add(1, 5)
        silent.flush(timeout=30)
        (confirmed,) = [field for field in client.hkeys(LANES) if field.endswith(b":confirmed")]
        producer = confirmed.removesuffix(b":confirmed")
        client.hset(LANES, confirmed, f"1 {int(time.time() * 1000) - EIGHT_DAYS_MS}")

        busy_likes.add(1)
        busy.flush(timeout=30)
        assert producer not in client.hkeys(LANES)

        silent_likes.add(1)  # its next number does not follow anything that the cache knows
        assert busy_likes.get(1) == 7
        silent.flush(timeout=30)
        busy.flush(timeout=30)
    assert videos.all_likes() == {1: 7}
