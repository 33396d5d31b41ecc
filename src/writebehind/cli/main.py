"""``writebehind``: the group of commands."""

from __future__ import annotations

import click

from writebehind.cli.lazy import LazyCommand, LazyGroup

COMMANDS = {
    "demo": LazyCommand("writebehind.demo", "demo", "Show 10,000 likes a second, and games, reach real databases."),
    "ingest": LazyCommand("writebehind.cli.ingest", "ingest", "Feed a log file or a stream into databases."),
    "init": LazyCommand("writebehind.cli.init", "init", "Create the ledger in a database, or print its SQL."),
    "worker": LazyCommand("writebehind.cli.worker", "worker", "Flush until stopped, then drain."),
    "status": LazyCommand("writebehind.cli.status", "status", "Show what is pending, and for how long."),
}


@click.group(cls=LazyGroup, lazy_commands=COMMANDS, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="writebehind", message="writebehind %(version)s")
def main() -> None:
    """Write to the cache, be answered at once, and let a worker flush to the database.

    \b
    Exit status: 0 success, 1 failure, 2 wrong usage or configuration,
    130 interrupted. `ingest` and `worker` have more; see their help.
    """
