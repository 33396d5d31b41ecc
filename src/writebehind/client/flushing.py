"""``ack="database"``: callers that want their writes in the database now share one flush."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

from writebehind.client.effects import Procedure, ask_database, await_news
from writebehind.client.gathering import Gathered, Gathering
from writebehind.errors import FlushTimeout, WriteBehindError

FlushNow = Callable[[float], None]
"""Flush one table now, within a deadline of ``time.monotonic()``; waits for the database."""

LONGEST_FLUSH_S = 5.0
"""How long one shared flush may take before its callers ask again."""


class FlushGroup(Gathered):
    """Callers whose writes the next flush covers."""


class FlushDesk(Gathering[FlushGroup]):
    """Where the callers of one table gather for a flush. Thread-safe."""

    def __init__(self, flush_now: FlushNow) -> None:
        super().__init__()
        self._flush_now = flush_now

    def flush(self, deadline: float) -> Procedure[None]:
        """Wait for a flush that begins after this call.

        :raises FlushTimeout: the deadline passed first; and whatever the flush raised.
        """
        with self._lock:
            if not self._waiting:
                self._waiting.append(FlushGroup())
            group = self._waiting[-1]
        while not group.resolved:
            if not (yield from await_news(self, group, deadline)):
                raise FlushTimeout("no flush ended within the timeout", fix="What is pending is safe in the cache.")
        if group.error is not None:
            raise group.error

    def deliver(self, group: FlushGroup) -> Procedure[None]:
        """Flush once for the whole group."""
        try:
            yield from ask_database(partial(self._flush_now, time.monotonic() + LONGEST_FLUSH_S))
        except WriteBehindError as error:
            self._finish(group, error)
        else:
            self._finish(group)
