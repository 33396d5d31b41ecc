"""Events as log records, under the logger ``writebehind``."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from writebehind.observe.events import Event, Observer

# A library leaves it to its application where records go; without this, Python prints warnings to stderr.
logging.getLogger("writebehind").addHandler(logging.NullHandler())

_LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}


class LogObserver:
    """Writes each event as one record; its fields are in the message and in ``record.event``."""

    def __init__(self, logger: logging.Logger | None = None) -> None:
        self._logger = logger or logging.getLogger("writebehind")

    def __call__(self, event: Event) -> None:
        level = _LEVELS[event.level]
        if self._logger.isEnabledFor(level):
            self._logger.log(level, "%r", event, extra={"event": event})


def observe_all(observers: Sequence[Observer]) -> Observer:
    """One observer that tells several, in order.

    What an observer raises is logged, and concerns nobody else: the writes and flushes that it is told of have
    happened, and a worker must not end with it.
    """

    def tell(event: Event) -> None:
        for observer in observers:
            try:
                observer(event)
            except Exception:
                logging.getLogger("writebehind").exception("an observer failed at %r", event)

    return tell
