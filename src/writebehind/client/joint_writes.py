"""Writes to several mappings that belong together: this process's buffer takes all of them, or none."""

from __future__ import annotations

import time
from collections.abc import Sequence

from writebehind.client.core import Client
from writebehind.client.delivery import Delivery
from writebehind.client.flows.base import Intent
from writebehind.client.threads import Threads
from writebehind.errors import BufferFull, CacheUnavailable


class JointWrites:
    """A buffer of writes that nobody waits for (``ack="local"``), for one thread that writes much.

    What is in the buffer reaches the cache within milliseconds, each mapping's part by itself: all or none is what
    this process promises while it lives, not what is in the cache at any moment.
    """

    def __init__(self, client: Client, threads: Threads) -> None:
        self._client = client
        self._threads = threads

    def buffer(self, intents: Sequence[Intent], timeout_s: float) -> None:
        """Take writes that were checked, all of them or none.

        :raises BufferFull, CacheUnavailable: for ``timeout_s`` there was no room for them; none was taken.
        """
        deadline = time.monotonic() + timeout_s
        for delivery in dict.fromkeys(intent.delivery for intent in intents):
            self._make_room(delivery, deadline)
        for intent in intents:
            # What else was written since there was room must not part what belongs together.
            intent.delivery.partition.lane.join(intent.field, intent.change, local=True, anyway=True)
            self._threads.kick(intent.delivery)

    def send(self, timeout_s: float) -> None:
        """Wait until the cache has everything that this process has written.

        :raises BufferFull, CacheUnavailable: it does not have it within ``timeout_s``; it is sent as soon as possible.
        """
        if not self._threads.run(self._client.send_all(time.monotonic() + timeout_s)):
            unsent = (delivery for delivery in self._client.deliveries if not delivery.partition.lane.is_idle)
            for delivery in unsent:
                raise _not_sent(delivery)

    def _make_room(self, delivery: Delivery, deadline: float) -> None:
        lane = delivery.partition.lane
        while lane.ring.refuses or not lane.has_room_for_local_writes:
            group = lane.last_unsent()
            if group is None:
                raise lane.ring.full_error()  # only the database can make room, and is not waited for
            if not self._threads.wait(delivery, group, deadline) and time.monotonic() >= deadline:
                raise _not_sent(delivery)


def _not_sent(delivery: Delivery) -> BufferFull | CacheUnavailable:
    hindrance = delivery.partition.lane.hindrance
    if isinstance(hindrance, BufferFull):
        return hindrance
    return CacheUnavailable(
        f"writes to {delivery.partition.name.mapping!r} wait in this process",
        why=str(hindrance or "the cache has not answered in time"),
        fix="They are sent as soon as it answers.",
    )
