"""``writebehind worker``: flush in a process of its own until stopped."""

from __future__ import annotations

import logging
import os
import signal
from pathlib import Path

import click

from writebehind.cli.connection import connection_options
from writebehind.cli.loading import application_or_connection
from writebehind.cli.signals import StopSignals

EXIT_LEFT_OVER = 3
EXIT_AT_ONCE = 4
LOG_LEVELS = ["debug", "info", "warning", "error"]


@click.command()
@click.argument("application", metavar="[MODULE:NAME]", required=False)
@connection_options
@click.option("--log-level", type=click.Choice(LOG_LEVELS), default="info", show_default=True)
def worker(
    application: str | None, cache: str | None, database: str | None, config: Path | None, log_level: str
) -> None:
    """Flush what the writers leave in the cache to the database, until SIGTERM or Ctrl-C.

    MODULE:NAME is the application's WriteBehind object, imported from the working directory or the
    path. Where there is no Python application, a TOML file (--config, or writebehind.toml here) declares
    the mappings. Several workers may run: each partition is flushed by one of them at a time.

    At the signal the worker drains: it flushes what is pending, for at most the setting drain_timeout. What
    is then left stays safe in the cache for the next worker. A second signal leaves at once, which is
    safe too, as is kill -9: a flush either reached the database whole, and then once, or not at all.

    \b
    Exit status: 0 drained, 1 failed, 2 wrong usage or configuration, 3 something is left in the
    cache, 4 left at once by a second signal.
    """
    logging.basicConfig(level=log_level.upper(), format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    wb = application_or_connection(application, cache, database, config)
    with StopSignals(_leave_at_once) as stop, wb:
        click.echo("flushing; Ctrl-C or SIGTERM drains and stops", err=True)
        drained = wb.run_worker(stop.event)
    click.echo("drained" if drained else "stopped; what is left is safe in the cache", err=True)
    click.get_current_context().exit(0 if drained else EXIT_LEFT_OVER)


def _leave_at_once(_number: signal.Signals) -> None:
    os.write(2, b"writebehind: left at once; what was not flushed is safe in the cache\n")
    os._exit(EXIT_AT_ONCE)
