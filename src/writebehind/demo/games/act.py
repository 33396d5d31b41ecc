"""The second act, from the start of its processes until all is in the databases, and its audit."""

from __future__ import annotations

import time
from collections import deque
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from functools import partial
from types import TracebackType
from typing import Self

import click

from writebehind.demo.child import Child, ChildDied
from writebehind.demo.folder import RunFolder
from writebehind.demo.games.audit import MappingAudit, audit_games, top_by_journal
from writebehind.demo.games.journal import read_journal
from writebehind.demo.games.report import (
    GamesMeasurement,
    GamesSample,
    by_kind,
    collapse_of,
    games_line,
    introduction,
    verdict_on,
)
from writebehind.demo.games.scenario import BOARDS
from writebehind.demo.games.stores import Stores
from writebehind.demo.interrupts import Interrupts
from writebehind.demo.measuring import LEAD_S, POLL_S, WINDOW_S, keep_alive
from writebehind.demo.panels import games_panel
from writebehind.demo.scenario import Scenario
from writebehind.demo.screen import Screen, choose_screen
from writebehind.demo.servers import Servers
from writebehind.demo.workers import ANSWER_TIMEOUT_S, Workers


class GamesAct:
    """Its player process and its workers. Leaving the block ends them."""

    def __init__(self, scenario: Scenario, servers: Servers, folder: RunFolder, remarks: list[str]) -> None:
        self.stores = Stores(servers, folder.path / "events.duckdb")
        self._scenario = scenario
        self._servers = servers
        self._remarks = remarks
        self._cache = str(folder.cache)
        self._journal = folder.path / "games.journal"
        self._workers = Workers("games worker", folder.path, remarks)
        self._player = Child("player", "writebehind.demo.games.player", folder.path)
        self._workers.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None, /
    ) -> None:
        with ExitStack() as stack:
            stack.callback(self._workers.close)
            stack.callback(self._player.close)
            self._workers.let_go()
            self._player.let_go()

    def perform(self, interrupts: Interrupts) -> GamesMeasurement | None:
        """Play until the end of the schedule or a first signal, and let the worker flush everything.

        None where a process ended before its time, which is remarked on; what was acknowledged is audited all the same.
        """
        click.echo(introduction(self._scenario))
        measured: GamesMeasurement | None = None
        try:
            with choose_screen(games_line, partial(games_panel, self._scenario)) as screen:
                self._open()
                measured = self._play(screen, interrupts)
        except ChildDied as error:
            self._remarks.append(str(error))
            self._end_in_disorder()
        return measured

    def _open(self) -> None:
        """Create the tables, and let both processes open the cache and the databases."""
        self.stores.prepare()
        common = {"cache": self._cache, "events": self.stores.events_url}
        self._workers.open(
            act="games", database=self._servers.worker_url, flush_after=self._scenario.flush_after_s, **common
        )
        self._player.send(
            scenario=asdict(self._scenario), database=self._servers.url, journal=str(self._journal), **common
        )
        self._workers.wait_until_ready()
        self._player.wait_for("ready", ANSWER_TIMEOUT_S)

    def _play(self, screen: Screen[GamesSample], interrupts: Interrupts) -> GamesMeasurement:
        cpu_before = self._servers.cpu_time()
        begin = time.monotonic() + LEAD_S
        self._player.send(begin=begin)
        self._watch(screen, _Sampler(begin, self._player, self._workers, screen.sample_interval_s), interrupts)
        played = self._player.news("played")
        screen.say("the games are over; the worker flushes the rest")
        self._player.close()
        self._workers.drain()
        for error, count in played["refusals"].items():
            self._remarks.append(f"{count:,} writes of the games were not acknowledged: {error}")
        return GamesMeasurement(
            self._player.news("games"),
            played["ended"] - begin,
            self._player.news("written"),
            played["latencies_s"],
            [(player, points) for player, points in played["top"]],
            self._servers.cpu_time() - cpu_before,
        )

    def _watch(self, screen: Screen[GamesSample], sampler: _Sampler, interrupts: Interrupts) -> None:
        """Show the figures until the player is done."""
        told_to_stop = False
        while self._player.news("played") is None:
            if not self._player.is_alive:
                self._player.wait_for("played", ANSWER_TIMEOUT_S)  # it may have said it with its last words
                break
            if interrupts.requested and not told_to_stop:
                told_to_stop = True
                screen.say("interrupted: the clients stop, and what they were acknowledged is flushed and audited")
                self._player.send(stop=True)
            keep_alive(self._workers, self._servers, self._remarks, screen)
            if sampler.is_due():
                screen.show(sampler.sample())
            time.sleep(POLL_S)
        if sampler.is_half_due():
            screen.show(sampler.sample())

    def _end_in_disorder(self) -> None:
        """Stop what lives, and flush what there is."""
        try:
            if self._player.is_alive:
                self._player.send(stop=True)
                self._player.wait_for("played", ANSWER_TIMEOUT_S)
        except ChildDied as error:
            self._remarks.append(str(error))
        self._player.close()
        try:
            self._workers.drain()
        except ChildDied as error:  # the audit tells what is missing
            self._remarks.append(str(error))

    def report(self, measured: GamesMeasurement) -> list[str]:
        """The three kinds side by side."""
        return by_kind(measured, self.stores.written())

    def audit(self, measured: GamesMeasurement | None) -> GamesAudit:
        """Compare every row, and the top that was shown, with the journal."""
        writes = read_journal(self._journal)
        audits = audit_games(writes, self.stores.rows())
        top = list(measured.top) if measured is not None else []
        right = top_by_journal(writes, BOARDS[0], len(top))
        written = self.stores.written()
        lines = [collapse_of(each, *written[each.mapping]) + "\n" + "\n".join(verdict_on(each)) for each in audits]
        top_is_right = not top or right is None or top == right
        if not top_is_right:
            lines.append(f"audit: the top of {BOARDS[0]!r} was shown as {top}, by the answers it is {right}")
        return GamesAudit(tuple(audits), top_is_right, tuple(lines))


@dataclass(frozen=True, slots=True)
class GamesAudit:
    """The outcome for the whole act, and its words."""

    mappings: tuple[MappingAudit, ...]
    top_is_right: bool
    lines: tuple[str, ...]

    @property
    def is_exact(self) -> bool:
        """Nothing lost, nothing doubled, in any row of any kind."""
        return self.top_is_right and not any(each.differences for each in self.mappings)


class _Sampler:
    """Takes samples at an interval."""

    def __init__(self, begin: float, player: Child, workers: Workers, interval_s: float) -> None:
        self._begin = begin
        self._player = player
        self._workers = workers
        self._interval_s = interval_s
        self._next = begin + interval_s
        self._window = deque([(begin, 0)], maxlen=max(1, round(WINDOW_S / interval_s)))

    def is_due(self) -> bool:
        """Whether it is time for the next."""
        return time.monotonic() >= self._next

    def is_half_due(self) -> bool:
        """Whether the last is long enough ago for a rate since then."""
        return time.monotonic() >= self._next - self._interval_s / 2

    def sample(self) -> GamesSample:
        """The figures now; the rate since the oldest sample of the window."""
        now, games = time.monotonic(), self._player.news("games") or 0
        self._next = now + self._interval_s
        then, games_then = self._window[0]
        self._window.append((now, games))
        return GamesSample(
            elapsed_s=max(0.0, now - self._begin),
            games=games,
            games_per_s=(games - games_then) / max(now - then, POLL_S),
            at_risk=self._workers.says("at_risk"),
            oldest_s=self._workers.says("oldest_s") or 0.0,
            written=self._player.news("written") or {},
            rows=self._workers.rows_flushed(),
            trouble=self._workers.says("trouble") or "",
        )
