"""Callers that gather for one piece of work: at most one group is on its way, arrivals form the next."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

from writebehind.errors import ReadUnsettled


class Gathered:
    """A group of callers that share one piece of work and its outcome."""

    def __init__(self) -> None:
        self.resolved = False
        self.error: Exception | None = None
        self._sleepers: list[Callable[[], None]] = []

    def add_sleeper(self, wake: Callable[[], None]) -> None:
        self._sleepers.append(wake)

    def remove_sleeper(self, wake: Callable[[], None]) -> bool:
        """The caller sleeps no more; False where it was woken already."""
        try:
            self._sleepers.remove(wake)
        except ValueError:
            return False
        return True

    def wake_one(self) -> bool:
        """Wake one caller; False where none sleeps."""
        if not self._sleepers:
            return False
        self._sleepers.pop()()
        return True

    def resolve(self, error: Exception | None = None) -> None:
        """Tell every caller that it is done, or what went wrong."""
        self.error, self.resolved = error, True
        sleepers, self._sleepers = self._sleepers, []
        for wake in sleepers:
            wake()


class _Resolvable(Protocol):
    def wake_one(self) -> bool: ...
    def resolve(self, error: Exception | None = None) -> None: ...


G = TypeVar("G", bound=_Resolvable)


class Gathering(Generic[G]):
    """The part of a ``Source`` that does not depend on the work. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: deque[G] = deque()
        self._flying: G | None = None

    def take(self) -> G | None:
        with self._lock:
            if self._flying is not None or not self._waiting:
                return None
            self._flying = self._waiting.popleft()
            return self._flying

    def resume(self) -> G | None:
        return self.take()

    def abandon(self, group: G) -> None:
        """What is gathered here can be asked for again: the callers are told that it was interrupted."""
        self._finish(group, ReadUnsettled("the call was interrupted", fix="Call again."))

    def wake_next_leader(self) -> bool:
        with self._lock:
            if self._flying is not None or not self._waiting:
                return True
            return self._waiting[0].wake_one()

    def _finish(self, group: G, error: Exception | None = None) -> None:
        with self._lock:
            if self._flying is not group:
                return  # it has ended already
            self._flying = None
        group.resolve(error)
