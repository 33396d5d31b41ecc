"""``writebehind ingest``: count a log file or a stream into a database. The options and their checks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import click

from writebehind.cli.connection import connection_options
from writebehind.cli.ingest_job import Format, Job, run_job
from writebehind.errors import ConfigurationError
from writebehind.ingest import COMBINED_FIELDS, CounterOption

HELP = f"""Count the records of FILE (- for standard input) into a database.

\b
  writebehind ingest access.log --format combined --counter pages.hits=path --create
  tail -F access.log | writebehind ingest - --format combined --counter pages.hits=path

Each record adds 1 to TABLE.COLUMN in the row whose key is FIELD's value; a row that is missing is
inserted. FIELD+FIELD is a composite key, in the order of the table's key columns. FIELD:AMOUNT_FIELD
adds that field's integer instead of 1. A backslash takes the meaning from a + or : in a field's name.
The key columns are the table's primary key, or what --key says; they need not be named like the fields.

\b
Formats (UTF-8; .gz files are unpacked):
  combined  access logs of Apache and nginx, common or combined. Fields, as they were logged:
            {", ".join(COMBINED_FIELDS[:7])},
            {", ".join(COMBINED_FIELDS[7:])}. path is the whole request target
            with its query; path_only is without. A size of - is 0, other fields of - are missing.
  csv       RFC 4180; the first row names the fields.
  ndjson    one JSON object a line; a.b is the member b of the object a.

A line that cannot be read, or lacks a field, is bad: it is reported by its number on stderr and
skipped, or ends the run (--on-error fail; what came before it is counted). Longer lines than 1 MiB
are bad; empty lines are skipped. A line is counted by all --counter options or by none.

Lines reach the cache within milliseconds, and the database when the flush is due (see flush_after) and
at the end. From a pipe, Ctrl-C or SIGTERM is an end: what had arrived is counted and flushed. A
second signal leaves at once, without waiting for the flush.

Ingesting a file twice counts it twice. Should this process be killed in the middle, what it sent to the
cache (all but the last milliseconds) is flushed once by the next worker or ingest, but no note is kept
of the line that it had come to.

\b
Exit status:
  0    every line was counted, skipped as bad, or empty, and all of it is in the database; also
       for a stream that a signal ended
  1    a bad line with --on-error fail; bad lines alone; the input could not be read to its end;
       or not all reached its row in the database
  2    wrong usage or configuration
  130  (SIGINT) or 143 (SIGTERM): a file was not read to its end, or the flush was not waited for
"""


def _read_counters(_ctx: click.Context, _parameter: click.Parameter, texts: tuple[str, ...]) -> list[CounterOption]:
    try:
        return [CounterOption.parse(text) for text in texts]
    except ConfigurationError as error:
        raise click.BadParameter(str(error)) from error


def _read_keys(_ctx: click.Context, _parameter: click.Parameter, texts: tuple[str, ...]) -> dict[str, list[str]]:
    keys = {}
    for text in texts:
        table, equals, columns = text.partition("=")
        if not (table and equals and all(columns.split("+"))):
            raise click.BadParameter(f"{text!r} is not TABLE=COLUMN or TABLE=COLUMN+COLUMN.")
        keys[table] = columns.split("+")
    return keys


def _read_delimiter(_ctx: click.Context, _parameter: click.Parameter, text: str | None) -> str | None:
    if text in ("tab", r"\t"):
        return "\t"
    if text is not None and (len(text) != 1 or text in '"\r\n'):
        raise click.BadParameter(f"{text!r} is not one character, or tab.")
    return text


@click.command(help=HELP)
@click.argument("file", type=click.Path(exists=True, dir_okay=False, allow_dash=True))
@click.option("--format", "format_", type=click.Choice(["combined", "csv", "ndjson"]), required=True)
@click.option(
    "--counter",
    "counters",
    metavar="TABLE.COLUMN=FIELD",
    multiple=True,
    required=True,
    callback=_read_counters,
    help="What to count. May be given several times.",
)
@click.option(
    "--key",
    "keys",
    metavar="TABLE=COLUMN",
    multiple=True,
    callback=_read_keys,
    help="The table's key column where it is not the primary key; it must be unique. COLUMN+COLUMN if composite.",
)
@connection_options
@click.option("--create", is_flag=True, help="Make missing tables: text key columns named after the fields.")
@click.option("--on-error", type=click.Choice(["skip", "fail"]), default="skip", show_default=True)
@click.option("--max-errors-shown", type=click.IntRange(0), default=10, show_default=True, metavar="N")
@click.option("--delimiter", callback=_read_delimiter, help="Between the values of CSV; a comma if left out.")
@click.option(
    "--timeout",
    type=click.FloatRange(0, min_open=True),
    default=60.0,
    show_default=True,
    metavar="SECONDS",
    help="How long to wait for the last flush, and for a cache that is full or away.",
)
@click.option("--no-progress", is_flag=True, help="Show no progress.")
def ingest(
    file: str,
    format_: Format,
    counters: list[CounterOption],
    keys: dict[str, list[str]],
    cache: str | None,
    database: str | None,
    config: Path | None,
    create: bool,
    on_error: str,
    max_errors_shown: int,
    delimiter: str | None,
    timeout: float,
    no_progress: bool,
) -> None:
    _check(format_, counters, keys, create, delimiter)
    job = Job(
        file=file,
        format=format_,
        counters=tuple(counters),
        keys=keys,
        delimiter=delimiter or ",",
        create=create,
        fail_on_error=on_error == "fail",
        max_errors_shown=max_errors_shown,
        timeout_s=timeout,
        show_progress=not no_progress,
    )
    outcome = run_job(job, cache, database, config)
    click.echo(outcome.summary())
    for remark in outcome.remarks():
        click.echo(f"writebehind: {remark}", err=True)
    click.get_current_context().exit(outcome.exit_status())


def _check(
    format_: Format,
    counters: Sequence[CounterOption],
    keys: Mapping[str, Sequence[str]],
    create: bool,
    delimiter: str | None,
) -> None:
    """What is wrong only in combination.

    :raises click.UsageError: before anything was contacted.
    """
    if delimiter is not None and format_ != "csv":
        raise click.UsageError("--delimiter is for --format csv.")
    for option in counters:
        unknown = [name for name in option.fields if name not in COMBINED_FIELDS]
        if format_ == "combined" and unknown:
            raise click.UsageError(
                f"The combined format has no field {unknown[0]!r}; it has {', '.join(COMBINED_FIELDS)}."
            )
        columns = keys.get(option.table, option.key_columns)
        if option.table in keys and len(columns) != len(option.key_fields):
            raise click.UsageError(
                f"--counter {option.target} reads {len(option.key_fields)} fields, "
                f"and --key gives {option.table} {len(columns)} key columns."
            )
        if create and option.column in columns:
            raise click.UsageError(f"--create cannot make {option.column!r} both the key and the counter.")
        others = [other for other in counters if other.table == option.table and option.table not in keys]
        if create and any(other.key_columns != columns for other in others):
            raise click.UsageError(
                f"--create cannot tell how to name the key columns of {option.table!r}: "
                f"its counters read different fields. Say it: --key {option.table}=COLUMN."
            )
    for table in keys:
        if table not in {option.table for option in counters}:
            raise click.UsageError(f"--key names the table {table!r}, which no --counter is in.")
