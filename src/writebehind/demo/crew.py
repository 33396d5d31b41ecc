"""The processes of the demonstration: writers, and a worker that is replaced should it die."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any

from writebehind.demo.audit import summed
from writebehind.demo.child import Child, ChildDied
from writebehind.demo.histogram import Histogram, merged
from writebehind.demo.scenario import Scenario
from writebehind.demo.scoreboard import Scoreboard
from writebehind.demo.servers import Servers

_ANSWER_TIMEOUT_S = 60.0
_WORKERS = 5
"""A worker that dies again and again is a fault of the demonstration."""


class Crew:
    """Everything that is started, asked and ended together."""

    def __init__(self, scenario: Scenario, folder: Path, cache: Path) -> None:
        self.remarks: list[str] = []
        """What the report must not keep to itself."""
        self._scenario = scenario
        self._folder = folder
        self._cache = cache
        self._stack = ExitStack()
        self._writers: list[Child] = []
        self._boards: list[Scoreboard] = []
        self._workers: list[Child] = []
        """All that there were; the last one is at work."""

    def start(self) -> None:
        """Start the processes; they wait for ``open``."""
        self._start_worker()
        for process in range(self._scenario.processes):
            board = Scoreboard.create(self._board(process))
            self._stack.callback(board.close)
            self._boards.append(board)
            self._writers.append(self._start(f"writer {process + 1}", "writebehind.demo.writer"))

    def _board(self, process: int) -> Path:
        return self._folder / f"writer-{process + 1}.counts"

    def _start(self, name: str, module: str) -> Child:
        child = Child(name, module, self._folder)
        self._stack.callback(child.close)
        return child

    def _start_worker(self) -> Child:
        worker = self._start(f"worker {len(self._workers) + 1}", "writebehind.demo.worker")
        self._workers.append(worker)
        return worker

    def close(self) -> None:
        """End all processes, killing those that do not end."""
        for child in (*self._writers, *self._workers):
            child.let_go()  # all at once, so that the time of the slowest is enough for all
        self._stack.close()

    # Writers

    def open(self, servers: Servers) -> None:
        """Let everybody open cache and database, and the writers warm up."""
        self._open_worker(self._workers[-1], servers)
        for process, writer in enumerate(self._writers):
            writer.send(
                scenario=asdict(self._scenario),
                process=process,
                board=str(self._board(process)),
                cache=str(self._cache),
                database=servers.url,
            )
        for child in (self._workers[-1], *self._writers):
            child.wait_for("ready", _ANSWER_TIMEOUT_S)

    def order(self, **command: Any) -> None:
        """Send a command to all writers."""
        for writer in self._writers:
            writer.send(**command)

    def wait_for_writers(self, topic: str) -> list[Any]:
        """What each writer says about a topic."""
        return [writer.wait_for(topic, _ANSWER_TIMEOUT_S) for writer in self._writers]

    def have_all_said(self, topic: str) -> bool:
        """Whether the writers have done something.

        :raises ChildDied: one of them has ended instead.
        """
        for writer in self._writers:
            if not writer.is_alive:
                raise writer.died()
        return all(writer.news(topic) is not None for writer in self._writers)

    def stop_writers(self) -> None:
        """Let those that live finish what is under way; who has died is passed over."""
        living = [writer for writer in self._writers if writer.is_alive]
        for writer in living:
            try:
                writer.send(stop=True)
                writer.wait_for("written", _ANSWER_TIMEOUT_S)
            except ChildDied as error:
                self.remarks.append(str(error))

    def dismiss_writers(self) -> None:
        """Let the writers end, and wait for it."""
        for writer in self._writers:
            writer.let_go()
        for writer in self._writers:
            writer.close()

    def remark_on_refusals(self) -> None:
        """Pass on what the writers met that was no success."""
        for writer in self._writers:
            written = writer.news("written") or {"refusals": {}, "unsent": 0}
            for error, count in written["refusals"].items():
                self.remarks.append(f"{writer.name}: {count:,} likes were not acknowledged: {error}")
            if written["unsent"]:
                self.remarks.append(
                    f"{writer.name}: {written['unsent']:,} likes that were due were not sent: "
                    "this machine does not keep up with this rate"
                )

    def garbage(self) -> str:
        """How the garbage collector is set in the writers."""
        return str(self._writers[0].news("ready"))

    def counts(self, of: Callable[[Scoreboard], Histogram]) -> list[int]:
        """The writers' latencies together."""
        return merged(of(board) for board in self._boards)

    def begun(self) -> list[int]:
        """Likes by video that all writers have sent, or may have."""
        return summed(board.begun for board in self._boards)

    def acknowledged(self) -> list[int]:
        """Likes by video for which they have had the answer."""
        return summed(board.acknowledged for board in self._boards)

    # The worker

    def _open_worker(self, worker: Child, servers: Servers) -> None:
        worker.send(cache=str(self._cache), database=servers.worker_url, flush_after=self._scenario.flush_after_s)

    def worker_says(self, topic: str) -> Any:
        """The last that the worker has said about a topic, or None."""
        return self._workers[-1].news(topic)

    def rows_flushed(self) -> int:
        """How many rows the workers have told of."""
        return sum(worker.news("rows") or 0 for worker in self._workers)

    def replace_dead_worker(self, servers: Servers) -> bool:
        """Start another worker if the present one was killed, and say so; True where that was so.

        :raises ChildDied: it ended by an error of its own, which another would meet too, or this happens too often.
        """
        if self._workers[-1].is_alive:
            return False
        death = self._workers[-1].died()
        if not self._workers[-1].was_killed or len(self._workers) >= _WORKERS:
            raise death
        self.remarks.append(f"{death}; another was started")
        self._open_worker(self._start_worker(), servers)
        return True

    def drain(self, servers: Servers) -> None:
        """Let the worker flush everything and end, or another in its place.

        :raises ChildDied: none of them could.
        """
        deadline = time.monotonic() + _ANSWER_TIMEOUT_S
        while True:
            self.replace_dead_worker(servers)
            try:
                self._workers[-1].send(stop=True)
                drained = self._workers[-1].wait_for("drained", deadline - time.monotonic())
                break
            except ChildDied:
                if self._workers[-1].is_alive:
                    raise  # it takes too long
        if not drained:
            self.remarks.append(f"the worker could not flush everything: {self._workers[-1].news('trouble')}")
        self._workers[-1].close()
