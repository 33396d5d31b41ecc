"""Two caches feed one ledger: a mistake that is noticed, stops the partition, and loses nothing while writers live."""

from __future__ import annotations

import pytest

from writebehind import FlushTimeout, PartitionStopped, WriteBehind
from writebehind.testing.valkey import TemporaryValkey


def test_two_caches_on_one_ledger_stop_the_partition(
    valkey: TemporaryValkey, own_valkey: TemporaryValkey, videos
) -> None:
    first = WriteBehind(cache=valkey.url, database=videos.url)
    second = WriteBehind(cache=own_valkey.url, database=videos.url)
    one, other = first.counter("videos.likes"), second.counter("videos.likes")
    messages: list[str] = []
    with first, second:
        for _ in range(12):
            for wb, likes in ((first, one), (second, other)):
                likes.add(1)
                try:
                    wb.flush(timeout=5)
                except PartitionStopped as error:
                    messages.append(str(error))
                except FlushTimeout as error:
                    pytest.fail(str(error))
    assert messages
    assert all("two caches probably feed one ledger" in message for message in messages)
    assert videos.likes(1) <= 24
    quarantined = videos.run("SELECT count(DISTINCT batch) FROM writebehind_dead_letters WHERE reason = 'quarantine'")
    assert 0 < int(quarantined[0][0]) <= 2 * 3
