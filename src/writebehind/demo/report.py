"""What was measured, in words and figures: one line while it runs, both ways side by side at the end."""

from __future__ import annotations

from dataclasses import dataclass

from writebehind.demo.audit import Audit
from writebehind.demo.histogram import quantile
from writebehind.demo.scenario import Scenario
from writebehind.demo.servers import CpuTime, Statements

EXIT_FAILED = 1
_DIFFERENCES_SHOWN = 5
_NAMES = (
    "",
    "clients at a time",
    "likes, timed",
    "likes a second",
    "p50 of a like",
    "p99 of a like",
    "rows updated",
    "UPDATE statements",
    "PostgreSQL's CPU per 1,000 likes",
    "Valkey's CPU per 1,000 likes",
)


@dataclass(frozen=True, slots=True)
class Sample:
    """One look while likes are written. Rate and latencies are of the last moments, the rest since the begin."""

    elapsed_s: float
    likes: int
    likes_per_s: float
    p50_s: float | None
    p99_s: float | None
    at_risk: int | None
    oldest_s: float
    rows: int
    statements: Statements
    trouble: str


@dataclass(frozen=True, slots=True)
class Measurement:
    """One way of writing likes, measured from its begin until all was in the database."""

    latencies: list[int]
    seconds: float
    rows: int
    cpu: CpuTime

    @property
    def likes(self) -> int:
        return sum(self.latencies)

    @property
    def likes_per_s(self) -> float:
        return self.likes / self.seconds if self.seconds else 0.0

    def cpu_ms(self, seconds: float) -> str:
        """CPU time for each 1,000 likes."""
        return f"{1e6 * seconds / self.likes:,.1f} ms" if self.likes else "-"


def milliseconds(seconds: float | None) -> str:
    """A latency for people."""
    return "-" if seconds is None else f"{seconds * 1000:,.1f} ms"


def collapse(likes: int, rows: int, updates: int) -> str:
    """The point of it all."""
    return f"{likes:,} likes → {rows:,} rows in {updates:,} UPDATE{'' if updates == 1 else 's'}"


def line(sample: Sample) -> str:
    """A sample for those without a terminal."""
    at_risk = "?" if sample.at_risk is None else f"{sample.at_risk:,}"
    return (
        f"{sample.elapsed_s:5.1f} s  {sample.likes_per_s:7,.0f} likes/s"
        f"  p50 {milliseconds(sample.p50_s)}  p99 {milliseconds(sample.p99_s)}"
        f"  at risk {at_risk} ({sample.oldest_s:.1f} s old)"
        f"  {collapse(sample.likes, sample.rows, sample.statements.updates)}"
        f"{'  TROUBLE: ' + sample.trouble if sample.trouble else ''}"
    )


def side_by_side(
    scenario: Scenario, cached: Measurement, statements: Statements, direct: Measurement | None, garbage: str
) -> list[str]:
    """Both ways as a table, with what the figures are and where they are from."""
    columns = [_column(scenario, cached, "through the cache", f"{statements.updates:,}")]
    columns[0].append(cached.cpu_ms(cached.cpu.cache_s))
    if direct is not None:
        columns.append([*_column(scenario, direct, "one UPDATE each", f"{direct.likes:,}"), "-"])
    table = [
        f"  {name:<34}" + "".join(f"{cell:>20}" for cell in cells)
        for name, *cells in zip(_NAMES, *columns, strict=True)
    ]
    return [
        *table,
        "",
        "  Through the cache: likes come on a schedule that never waits, and each is timed from the moment when it",
        "  was due until Valkey has it (ack=memory). Its UPDATEs are counted in PostgreSQL's own log of the worker's",
        f"  sessions, which said {statements.all:,} statements in all, BEGIN, ledger and COMMIT included.",
        "  One UPDATE each: prepared, committed one by one, sent as fast as each client is answered, and timed from",
        "  the call until PostgreSQL has it on disk. Rows are by PostgreSQL's statistics, CPU time is that of all its",
        "  processes.",
        f"  Python's garbage collector in the writers: {garbage}.",
    ]


def _column(scenario: Scenario, measured: Measurement, head: str, updates: str) -> list[str]:
    return [
        head,
        f"{scenario.clients:,}",
        f"{measured.likes:,}",
        f"{measured.likes_per_s:,.0f}",
        milliseconds(quantile(measured.latencies, 0.50)),
        milliseconds(quantile(measured.latencies, 0.99)),
        f"{measured.rows:,}",
        updates,
        measured.cpu_ms(measured.cpu.postgres_s),
    ]


def verdict(audit: Audit) -> list[str]:
    """The audit's outcome; ends with the difference."""
    total = sum(each.excess for each in audit.differences)
    unanswered = f", and {audit.unanswered:,} were sent without an answer" if audit.unanswered else ""
    lines = [
        f"audit: {audit.acknowledged:,} likes were acknowledged{unanswered}; PostgreSQL has {audit.stored:,} "
        f"in {audit.rows:,} rows"
    ]
    if audit.is_exact:
        return [*lines, "audit: every row is right, difference 0"]
    lines += [f"audit: {each}" for each in audit.differences[:_DIFFERENCES_SHOWN]]
    if len(audit.differences) > _DIFFERENCES_SHOWN:
        lines.append(f"audit: ... and {len(audit.differences) - _DIFFERENCES_SHOWN:,} more")
    return [*lines, f"audit: {len(audit.differences):,} rows are wrong, difference {total:+,}"]


def exit_status(*, is_exact: bool, complete: bool, interrupted_with: int | None) -> int:
    """0 where all is well; a wrong row outranks everything, and then an interruption what it left out."""
    if not is_exact:
        return EXIT_FAILED
    if interrupted_with is not None:
        return interrupted_with
    return 0 if complete else EXIT_FAILED
