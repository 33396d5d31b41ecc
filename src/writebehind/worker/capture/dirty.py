"""The keys that have changed since they were captured, and how their lives ended in between."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping

DELETED = "d"
VANISHED = "v"

_ENDS = {
    b"del": DELETED,
    b"rename_from": DELETED,
    b"move_from": DELETED,
    b"expired": VANISHED,
    b"evicted": VANISHED,
}
_NO_CHANGES = frozenset({b"expire", b"persist", b"hexpire", b"hpersist"})


class DirtyKeys:
    """Dirty keys, each with the ends that were seen of it: ``""``, ``"d"``, ``"v"``, ``"dv"`` or ``"vd"``.

    An end that was seen before makes no difference when it comes again: a life in between was never captured.
    Thread-safe: the listener adds, the capturer takes.
    """

    def __init__(self) -> None:
        self._ends: dict[bytes, str] = {}
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._ends)

    def note(self, key: bytes, event: bytes) -> None:
        """A keyspace notification."""
        if event in _NO_CHANGES:
            return
        end = _ENDS.get(event, "")
        with self._lock:
            self._ends[key] = _joined(self._ends.get(key, ""), end)

    def take(self, limit: int) -> dict[bytes, str]:
        """Remove up to ``limit`` keys, oldest first, and what is known of each."""
        with self._lock:
            keys = [key for key, _ in zip(self._ends, range(limit), strict=False)]
            return {key: self._ends.pop(key) for key in keys}

    def take_these(self, keys: Iterable[bytes]) -> dict[bytes, str]:
        """Remove these keys, dirty or not."""
        with self._lock:
            return {key: self._ends.pop(key, "") for key in keys}

    def ends_since(self, keys: Iterable[bytes]) -> set[bytes]:
        """Those of the keys, which were taken, whose lives have ended since."""
        with self._lock:
            return {key for key in keys if self._ends.get(key)}

    def put_back(self, taken: Mapping[bytes, str]) -> None:
        """What could not be captured; what was seen since comes after it."""
        with self._lock:
            for key, ends in taken.items():
                self._ends[key] = _joined(ends, self._ends.get(key, ""))

    def clear(self) -> None:
        """Forget everything: all keys are to be looked at."""
        with self._lock:
            self._ends.clear()


def _joined(before: str, after: str) -> str:
    return before + "".join(end for end in after if end not in before)
