"""The worker of an act, and another in its place should it be killed."""

from __future__ import annotations

import time
from collections import Counter as Tally
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from writebehind.demo.child import Child, ChildDied

ANSWER_TIMEOUT_S = 60.0
_MOST = 5
"""A worker that dies again and again is a fault of the demonstration."""


class Workers:
    """All workers that there were; the last one is at work. ``remarks`` is told of those that were killed."""

    def __init__(self, role: str, folder: Path, remarks: list[str]) -> None:
        self._role = role
        self._folder = folder
        self._remarks = remarks
        self._order: dict[str, Any] = {}
        self._all: list[Child] = []

    def start(self) -> None:
        """Start a process; it waits for ``open``."""
        self._all.append(Child(f"{self._role} {len(self._all) + 1}", "writebehind.demo.worker", self._folder))

    def open(self, **order: Any) -> None:
        """Let it open cache and database, and begin; ``wait_until_ready`` waits for it."""
        self._order = order
        self._all[-1].send(**order)

    def wait_until_ready(self) -> None:
        """Wait until it works."""
        self._all[-1].wait_for("ready", ANSWER_TIMEOUT_S)

    def says(self, topic: str) -> Any:
        """The last that the worker has said about a topic, or None."""
        return self._all[-1].news(topic)

    def rows_flushed(self) -> Mapping[str, int]:
        """How many rows the workers have told of, by mapping."""
        total: Tally[str] = Tally()
        for worker in self._all:
            total.update(worker.news("rows") or {})
        return total

    def replace_dead(self) -> bool:
        """Start another worker if the present one was killed, and say so; True where that was so.

        :raises ChildDied: it ended by an error of its own, which another would meet too, or this happens too often.
        """
        present = self._all[-1]
        if present.is_alive:
            return False
        death = present.died()
        if not present.was_killed or len(self._all) >= _MOST:
            raise death
        self._remarks.append(f"{death}; another was started")
        self.start()
        self.open(**self._order)
        return True

    def drain(self) -> None:
        """Let the worker flush everything and end, or another in its place.

        :raises ChildDied: none of them could.
        """
        deadline = time.monotonic() + ANSWER_TIMEOUT_S
        while True:
            self.replace_dead()
            try:
                self._all[-1].send(stop=True)
                drained = self._all[-1].wait_for("drained", deadline - time.monotonic())
                break
            except ChildDied:
                if self._all[-1].is_alive:
                    raise  # it takes too long
        if not drained:
            self._remarks.append(f"the worker could not flush everything: {self._all[-1].news('trouble')}")
        self._all[-1].close()

    def let_go(self) -> None:
        """Let them end by themselves."""
        for worker in self._all:
            worker.let_go()

    def close(self) -> None:
        """End them, killing those that do not end."""
        for worker in self._all:
            worker.close()
