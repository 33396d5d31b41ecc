"""The processes of the first act: writers of likes, and a worker."""

from __future__ import annotations

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
from writebehind.demo.workers import ANSWER_TIMEOUT_S, Workers


class Crew:
    """Everything that is started, asked and ended together."""

    def __init__(self, scenario: Scenario, folder: Path, cache: Path, remarks: list[str]) -> None:
        self.remarks = remarks
        """What the report must not keep to itself."""
        self.workers = Workers("worker", folder, remarks)
        self._scenario = scenario
        self._folder = folder
        self._cache = cache
        self._stack = ExitStack()
        self._stack.callback(self.workers.close)
        self._writers: list[Child] = []
        self._boards: list[Scoreboard] = []

    def start(self) -> None:
        """Start the processes; they wait for ``open``."""
        self.workers.start()
        for process in range(self._scenario.processes):
            board = Scoreboard.create(self._board(process))
            self._stack.callback(board.close)
            self._boards.append(board)
            writer = Child(f"writer {process + 1}", "writebehind.demo.writer", self._folder)
            self._stack.callback(writer.close)
            self._writers.append(writer)

    def _board(self, process: int) -> Path:
        return self._folder / f"writer-{process + 1}.counts"

    def close(self) -> None:
        """End all processes, killing those that do not end."""
        self.workers.let_go()  # all at once, so that the time of the slowest is enough for all
        for writer in self._writers:
            writer.let_go()
        self._stack.close()

    def open(self, servers: Servers) -> None:
        """Let everybody open cache and database, and the writers warm up."""
        self.workers.open(
            act="likes",
            cache=str(self._cache),
            database=servers.worker_url,
            flush_after=self._scenario.flush_after_s,
        )
        for process, writer in enumerate(self._writers):
            writer.send(
                scenario=asdict(self._scenario),
                process=process,
                board=str(self._board(process)),
                cache=str(self._cache),
                database=servers.url,
            )
        self.workers.wait_until_ready()
        self.wait_for_writers("ready")

    def order(self, **command: Any) -> None:
        """Send a command to all writers."""
        for writer in self._writers:
            writer.send(**command)

    def wait_for_writers(self, topic: str) -> list[Any]:
        """What each writer says about a topic."""
        return [writer.wait_for(topic, ANSWER_TIMEOUT_S) for writer in self._writers]

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
                writer.wait_for("written", ANSWER_TIMEOUT_S)
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
