"""What is painted on a terminal while it runs: a panel of figures for each act."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from writebehind.demo.games.report import GamesSample
from writebehind.demo.report import Sample, collapse, milliseconds
from writebehind.demo.scenario import VIRAL_VIDEO, Scenario

_BAR_WIDTH = 72


def likes_panel(scenario: Scenario, sample: Sample) -> RenderableType:
    """The first act on a terminal."""
    figures = _figures()
    at_risk = "?" if sample.at_risk is None else f"{sample.at_risk:,}"
    p99 = milliseconds(sample.p99_s)
    figures.add_row("likes a second", f"{sample.likes_per_s:,.0f}", f"of {scenario.total_rate:,.0f} due")
    figures.add_row("p50 of a like", milliseconds(sample.p50_s), "from when it was due until Valkey has it")
    figures.add_row("p99 of a like", p99, "in the last second")
    figures.add_row("at risk", at_risk, f"likes not in PostgreSQL yet, the oldest for {sample.oldest_s:.1f} s")
    figures.add_row("rows flushed", f"{sample.rows:,}", "by the worker's report")
    figures.add_row(
        "SQL statements",
        f"{sample.statements.all:,}",
        f"by PostgreSQL's log; UPDATEs of videos: {sample.statements.updates:,}",
    )
    summary = collapse(sample.likes, sample.rows, sample.statements.updates)
    title = f"video {VIRAL_VIDEO} goes viral: {sample.elapsed_s:.0f} of {scenario.seconds:g} s"
    return _frame(title, figures, [summary], sample.trouble, sample.elapsed_s / scenario.seconds)


def games_panel(scenario: Scenario, sample: GamesSample) -> RenderableType:
    """The second act on a terminal."""
    figures = _figures()
    at_risk = "?" if sample.at_risk is None else f"{sample.at_risk:,}"
    figures.add_row("games a second", f"{sample.games_per_s:,.0f}", f"of {scenario.game_rate:,} due")
    figures.add_row("at risk", at_risk, f"writes not in a database yet, the oldest for {sample.oldest_s:.1f} s")
    title = f"games: {min(sample.elapsed_s, scenario.game_seconds):.1f} of {scenario.game_seconds:g} s"
    return _frame(title, figures, sample.collapses(), sample.trouble, sample.elapsed_s / scenario.game_seconds)


def _figures() -> Table:
    """A table for a name, a figure, and what it is."""
    figures = Table.grid(padding=(0, 3))
    figures.add_column(style="dim")
    figures.add_column(justify="right", style="bold", min_width=12)
    figures.add_column()
    return figures


def _frame(title: str, figures: Table, summary: Sequence[str], trouble: str, share_done: float) -> Panel:
    parts: list[RenderableType] = [figures, Text(), *(Text(line, style="bold green") for line in summary)]
    if trouble:
        parts.append(Text(trouble, style="bold red"))
    parts.append(ProgressBar(total=1.0, completed=min(share_done, 1.0), width=_BAR_WIDTH))  # it ends without a new line
    return Panel(Group(*parts), title=title, expand=False)
