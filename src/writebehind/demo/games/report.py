"""What became of the games, in words and figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from writebehind.demo.games.audit import MappingAudit
from writebehind.demo.games.scenario import BOARDS, CLICKS, CLIENTS, MAPPINGS, PLAYERS, PROFILES, SCORES
from writebehind.demo.report import milliseconds
from writebehind.demo.scenario import Scenario
from writebehind.demo.servers import CpuTime

_DIFFERENCES_SHOWN = 5
_UNITS = {SCORES: "scores", PROFILES: "changes of profiles", CLICKS: "clicks"}
_STORES = {SCORES: "PostgreSQL", PROFILES: "PostgreSQL", CLICKS: "DuckDB"}
_KINDS = {SCORES: "leaderboard, keep=max", PROFILES: "records", CLICKS: "event log"}
_NAMES = ("", "kind", "in", "p50 of a write", "p99 of a write", "written", "rows changed", "statements")


@dataclass(frozen=True, slots=True)
class GamesSample:
    """One look while games are played. The rate is of the last moments, the rest since the begin."""

    elapsed_s: float
    games: int
    games_per_s: float
    at_risk: int | None
    oldest_s: float
    written: Mapping[str, int]
    rows: Mapping[str, int]
    trouble: str

    def collapses(self) -> list[str]:
        """How many writes of each mapping became how many rows, by the worker's report."""
        return [f"{self.written.get(m, 0):,} {_UNITS[m]} → {self.rows.get(m, 0):,} rows" for m in MAPPINGS]


@dataclass(frozen=True, slots=True)
class GamesMeasurement:
    """The second act, measured from its begin until all was in the databases."""

    games: int
    seconds: float
    written: Mapping[str, int]
    latencies_s: Mapping[str, Sequence[float | None]]
    """By mapping: p50 and p99 of a call."""
    top: Sequence[tuple[str, int]]
    cpu: CpuTime


def introduction(scenario: Scenario) -> str:
    """What begins."""
    return (
        f"now games: {len(CLIENTS)} clients in another process play {scenario.game_rate:,} a second with "
        f"{len(PLAYERS)} players, for {scenario.game_seconds:g} s;\n"
        "each game submits a score to its board, changes the player's profile, and logs three clicks, "
        "which go to DuckDB"
    )


def games_line(sample: GamesSample) -> str:
    """A sample for those without a terminal."""
    at_risk = "?" if sample.at_risk is None else f"{sample.at_risk:,}"
    return (
        f"{sample.elapsed_s:5.1f} s  {sample.games_per_s:5,.0f} games/s"
        f"  at risk {at_risk} ({sample.oldest_s:.1f} s old)  {', '.join(sample.collapses())}"
        f"{'  TROUBLE: ' + sample.trouble if sample.trouble else ''}"
    )


def by_kind(measured: GamesMeasurement, written: Mapping[str, tuple[int, int]]) -> list[str]:
    """The three kinds side by side, the top of a board, and what it cost."""
    columns = [
        (
            mapping,
            _KINDS[mapping],
            _STORES[mapping],
            *map(milliseconds, measured.latencies_s[mapping]),
            f"{measured.written.get(mapping, 0):,}",
            *(f"{figure:,}" for figure in written[mapping]),
        )
        for mapping in MAPPINGS
    ]
    total = sum(measured.written.values())
    places = [f"{place}. {player} {points:,}" for place, (player, points) in enumerate(measured.top, 1)]
    return [
        *(
            f"  {name:<20}" + "".join(f"{cell:>24}" for cell in cells)
            for name, *cells in zip(_NAMES, *columns, strict=True)
        ),
        "",
        f"  {measured.games:,} games, {measured.games / measured.seconds:,.0f} a second. A write is timed from its "
        "call until Valkey has it",
        "  (ack=memory); three clicks are one call. Rows are by PostgreSQL's statistics and its statements by its log,",
        "  clicks by DuckDB's rows and its ledger. CPU time per 1,000 writes: "
        f"PostgreSQL {_cpu_ms(measured.cpu.postgres_s, total)}, Valkey {_cpu_ms(measured.cpu.cache_s, total)}.",
        "",
        f"  top() of {BOARDS[0]!r}, asked when the last game was over: {', '.join(places) or 'no answer'}",
    ]


def _cpu_ms(seconds: float, writes: int) -> str:
    return f"{1e6 * seconds / writes:,.1f} ms" if writes else "-"


def collapse_of(audit: MappingAudit, rows: int, statements: int) -> str:
    """What became of one mapping's writes."""
    return (
        f"{audit.acknowledged:,} {_UNITS[audit.mapping]} → {rows:,} rows in "
        f"{statements:,} statement{'' if statements == 1 else 's'}"
    )


def verdict_on(audit: MappingAudit) -> list[str]:
    """The audit of one mapping."""
    unanswered = f", and {audit.unanswered:,} were sent without an answer" if audit.unanswered else ""
    lines = [
        f"audit: {audit.acknowledged:,} {_UNITS[audit.mapping]} were acknowledged{unanswered}; "
        f"{_STORES[audit.mapping]} has {audit.rows:,} rows"
    ]
    if not audit.differences:
        return [*lines, "audit: every row is right, difference 0"]
    lines += [f"audit: {each}" for each in audit.differences[:_DIFFERENCES_SHOWN]]
    count = len(audit.differences)
    if count > _DIFFERENCES_SHOWN:
        lines.append(f"audit: ... and {count - _DIFFERENCES_SHOWN:,} more")
    return [*lines, f"audit: {count:,} {'row is' if count == 1 else 'rows are'} wrong"]
