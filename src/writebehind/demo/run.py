"""The demonstration's course, from the servers' start to the audit."""

from __future__ import annotations

import csv
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import click

from writebehind.cache.embedded import EmbeddedCache
from writebehind.demo.audit import Audit, compare
from writebehind.demo.child import ChildDied
from writebehind.demo.crew import Crew
from writebehind.demo.folder import RunFolder
from writebehind.demo.games.act import GamesAct
from writebehind.demo.interrupts import Interrupts
from writebehind.demo.measuring import measure_cache, measure_updates
from writebehind.demo.panels import likes_panel
from writebehind.demo.report import EXIT_FAILED, Measurement, collapse, exit_status, line, side_by_side, verdict
from writebehind.demo.scenario import TABLE, TAIL_SHARE, VIDEOS, VIRAL_VIDEO, Scenario
from writebehind.demo.screen import choose_screen
from writebehind.demo.servers import Servers, settings
from writebehind.testing.postgresql import TemporaryPostgres


class Interrupted(Exception):
    """Told to stop before there was anything to audit."""


def run(scenario: Scenario, keep: Path | None) -> int:
    """Do everything, clean up, and return the exit status."""
    with Interrupts() as interrupts:
        try:
            with ExitStack() as stack:
                folder = stack.enter_context(RunFolder(keep))
                crew, servers = _set_up(stack, scenario, folder, interrupts)
                return _perform(stack, scenario, crew, servers, folder, keep, interrupts)
        except Interrupted:
            click.echo("writebehind: interrupted before the first like", err=True)
            return interrupts.exit_status or EXIT_FAILED
        except ChildDied as error:
            click.echo(f"writebehind: {error}", err=True)
            return EXIT_FAILED


def _set_up(stack: ExitStack, scenario: Scenario, folder: RunFolder, interrupts: Interrupts) -> tuple[Crew, Servers]:
    """Start everything. What is entered here is left in the opposite order: processes, servers, files."""
    click.echo(f"starting Valkey and PostgreSQL, with all files in {folder.path}")
    try:
        postgres = TemporaryPostgres(settings=settings(scenario.clients))
        stack.callback(postgres.close)
        cache = EmbeddedCache.acquire(folder.cache)
        stack.callback(cache.release)
        crew = Crew(scenario, folder.path, folder.cache, remarks=[])
        stack.callback(crew.close)
        crew.start()  # its processes import while PostgreSQL starts
        postgres.start()
        stack.callback(postgres.stop)  # in order, which is quicker than close(), a kill
        servers = Servers(postgres, cache)
        stack.callback(servers.close)
        servers.prepare()
    except RuntimeError as error:
        if interrupts.requested:  # Ctrl-C reaches the programs that set PostgreSQL up as well
            raise Interrupted from None
        raise click.ClickException(f"PostgreSQL: {error}") from error
    if interrupts.requested:
        raise Interrupted
    click.echo(str(servers))
    click.echo(
        f"{scenario.clients} clients in {scenario.processes} processes like video {VIRAL_VIDEO} {scenario.rate:,} "
        f"times a second and {VIDEOS - 1:,} others {scenario.rate * TAIL_SHARE:,.0f} times, "
        f"for {scenario.seconds:g} s;\n"
        f"a worker in a process of its own flushes every {scenario.flush_after_s:g} s (the library's default is 10 s)"
    )
    return crew, servers


def _perform(
    stack: ExitStack,
    scenario: Scenario,
    crew: Crew,
    servers: Servers,
    folder: RunFolder,
    keep: Path | None,
    interrupts: Interrupts,
) -> int:
    """Both acts, the remarks, the audits; the exit status."""
    games: GamesAct | None = None
    is_complete = _like(scenario, crew, servers, interrupts)
    if is_complete and not interrupts.requested:
        games = stack.enter_context(GamesAct(scenario, servers, folder, crew.remarks))
        played = games.perform(interrupts)
        is_complete = played is not None
        if played is not None:
            click.echo("\n".join(["", *games.report(played), ""]))
    crew.remark_on_refusals()
    for remark in crew.remarks:
        click.echo(remark)
    audit = _audit(crew, servers, keep)
    rows, updates = servers.rows_updated(TABLE), servers.worker_statements().updates
    click.echo(collapse(audit.acknowledged, rows, updates))
    click.echo("\n".join(verdict(audit)))
    is_exact = audit.is_exact
    if games is not None:
        outcome = games.audit(played)
        click.echo("\n".join(outcome.lines))
        is_exact = is_exact and outcome.is_exact
    return exit_status(is_exact=is_exact, complete=is_complete, interrupted_with=interrupts.exit_status)


def _like(scenario: Scenario, crew: Crew, servers: Servers, interrupts: Interrupts) -> bool:
    """The first act, with its comparison and both ways side by side; whether nothing was left out."""
    cached: Measurement | None = None
    direct: Measurement | None = None
    with choose_screen(line, partial(likes_panel, scenario)) as screen:
        crew.open(servers)
        try:
            cached = measure_cache(crew, servers, screen, interrupts)
        except ChildDied as error:  # what it was acknowledged is audited all the same
            crew.remarks.append(str(error))
            crew.stop_writers()
            crew.workers.drain()
        if cached is not None and not interrupts.requested:
            screen.say(f"now the same likes with one UPDATE each, for {scenario.update_seconds:g} s, to compare")
            try:
                direct = measure_updates(crew, servers, interrupts)
            except ChildDied as error:
                crew.remarks.append(str(error))
    if cached is not None:
        lines = side_by_side(scenario, cached, servers.worker_statements(), direct, crew.garbage())
        click.echo("\n".join(["", *lines, ""]))
    return direct is not None


def _audit(crew: Crew, servers: Servers, keep: Path | None) -> Audit:
    begun, acknowledged, stored = crew.begun(), crew.acknowledged(), servers.likes(TABLE)
    if keep is not None:
        with (keep / "audit.csv").open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(("video", "begun", "acknowledged", "stored"))
            writer.writerows((id_, begun[id_], acknowledged[id_], stored.get(id_)) for id_ in range(1, VIDEOS + 1))
    return compare(begun, acknowledged, stored)
