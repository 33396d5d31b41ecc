"""What is seen while it runs: a live screen on a terminal, plain lines elsewhere."""

from __future__ import annotations

import os
import sys
from importlib.util import find_spec
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, Self

import click

from writebehind.demo.report import Sample, collapse, line, milliseconds
from writebehind.demo.scenario import VIRAL_VIDEO, Scenario

if TYPE_CHECKING:
    from rich.console import RenderableType

_BAR_WIDTH = 72


class Screen(Protocol):
    """Shows lines, which stay, and samples, of which the last counts."""

    sample_interval_s: float

    def say(self, text: str) -> None:
        """Print a line."""
        ...

    def show(self, sample: Sample) -> None:
        """Show the present figures."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None, /
    ) -> None: ...


def choose_screen(scenario: Scenario) -> Screen:
    """The live one where stdout is a terminal that can be painted on, and Rich is installed."""
    if sys.stdout.isatty() and os.environ.get("TERM", "dumb") != "dumb" and find_spec("rich") is not None:
        return LiveScreen(scenario)
    return PlainScreen()


class PlainScreen:
    """One line a second."""

    sample_interval_s = 1.0

    def say(self, text: str) -> None:
        click.echo(text)

    def show(self, sample: Sample) -> None:
        click.echo(line(sample))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None, /
    ) -> None:
        pass


class LiveScreen:
    """A panel that is painted anew with each sample; lines scroll above it."""

    sample_interval_s = 0.25

    def __init__(self, scenario: Scenario) -> None:
        from rich.live import Live

        self._scenario = scenario
        self._live = Live(auto_refresh=False)

    def say(self, text: str) -> None:
        self._live.console.print(text, markup=False, highlight=False, soft_wrap=True)

    def show(self, sample: Sample) -> None:
        self._live.update(self._panel(sample), refresh=True)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None, /
    ) -> None:
        self._live.stop()

    def _panel(self, sample: Sample) -> RenderableType:
        from rich.console import Group
        from rich.panel import Panel
        from rich.progress_bar import ProgressBar
        from rich.table import Table
        from rich.text import Text

        figures = Table.grid(padding=(0, 3))
        figures.add_column(style="dim")
        figures.add_column(justify="right", style="bold", min_width=12)
        figures.add_column()
        at_risk = "?" if sample.at_risk is None else f"{sample.at_risk:,}"
        p99 = milliseconds(sample.p99_s)
        figures.add_row("likes a second", f"{sample.likes_per_s:,.0f}", f"of {self._scenario.total_rate:,.0f} due")
        figures.add_row("p50 of a like", milliseconds(sample.p50_s), "from when it was due until Valkey has it")
        figures.add_row("p99 of a like", p99, "in the last second")
        figures.add_row("at risk", at_risk, f"likes not in PostgreSQL yet, the oldest for {sample.oldest_s:.1f} s")
        figures.add_row("rows flushed", f"{sample.rows:,}", "by the worker's report")
        figures.add_row(
            "SQL statements",
            f"{sample.statements.all:,}",
            f"by PostgreSQL's log; UPDATEs of videos: {sample.statements.updates:,}",
        )
        progress = ProgressBar(
            total=self._scenario.seconds, completed=min(sample.elapsed_s, self._scenario.seconds), width=_BAR_WIDTH
        )
        summary = Text(collapse(sample.likes, sample.rows, sample.statements.updates), style="bold green")
        parts: list[RenderableType] = [figures, Text(), summary]
        if sample.trouble:
            parts.append(Text(sample.trouble, style="bold red"))
        parts.append(progress)  # the last, since it ends without a new line
        title = f"video {VIRAL_VIDEO} goes viral: {sample.elapsed_s:.0f} of {self._scenario.seconds:g} s"
        return Panel(Group(*parts), title=title, expand=False)
