"""``writebehind init``: create the ledger, or print its SQL."""

from __future__ import annotations

from pathlib import Path

import click

from writebehind.cli.connection import connect, connection_options


@click.command()
@connection_options
@click.option("--sql", is_flag=True, help="Print the statements for a person to run, and create nothing.")
def init(cache: str | None, database: str | None, config: Path | None, sql: bool) -> None:
    """Create the ledger's tables in the database, where they are missing.

    The ledger is what makes every write count once: it must be in each database that has tables which are
    written, the common one and those that the TOML file gives to single mappings. Running it again changes
    nothing. The cache is not contacted.
    """
    wb = connect(cache, database, config)
    if sql:
        click.echo(wb.ledger_sql())
        return
    wb.init()
    for url in wb.databases:
        click.echo(f"The ledger's tables are in place in {url}")
