"""``writebehind ingest``: feed a log file or a stream into databases. The options and their checks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import click

from writebehind.cli.connection import connection_options
from writebehind.cli.ingest_job import Job, run_job
from writebehind.cli.ingest_tables import tables_of
from writebehind.databases import open_database
from writebehind.errors import ConfigurationError
from writebehind.ingest import (
    COMBINED_FIELDS,
    CounterOption,
    EventsOption,
    Format,
    LeaderboardOption,
    Option,
    RecordsOption,
)

HELP = f"""Feed the records of FILE (- for standard input) into databases.

\b
  writebehind ingest access.log --format combined --counter pages.hits=path --create
  tail -F access.log | writebehind ingest - --format combined --counter pages.hits=path

Each record is written to every mapping that an option names; FIELD stands for the record's value of it:

\b
  --counter pages.hits=path
      adds 1 to the column hits of the row whose key is the path; =path:size adds the field size
  --leaderboard traffic.bytes=client:size,keep=sum
      submits the size as the client's score; =host+client:size on the board of each host;
      keep=max (if left out), min, last or sum
  --records visitors=client:last_seen=logged_at,path
      puts the fields logged_at and path into the columns last_seen and path of the client's row
  --events requests=logged_at,client,path=path_only,status
      appends a row; requests=* takes every column of the table from the field of its name

FIELD+FIELD is a composite key, in the order of the key columns. A backslash takes the meaning from a + : ,
or = in a field's name. The key columns are what --key says; else the table's primary key, of a leaderboard
the columns named like the fields. Rows that are missing are inserted. A field that a record lacks is
NULL, in --events the default of a column that cannot be NULL. All tables are in --database, but for
those of --database-of.

\b
Formats (UTF-8; .gz files are unpacked):
  combined  access logs of Apache and nginx, common or combined. Fields, as they were logged:
            {", ".join(COMBINED_FIELDS[:8])},
            {", ".join(COMBINED_FIELDS[8:])}. logged_at is the time in ISO 8601, for columns of timestamps;
            path is the whole request target with its query; path_only is without. A size of - is 0,
            other fields of - are missing.
  csv       RFC 4180; the first row names the fields. An empty value is NULL where the column is no text.
  ndjson    one JSON object a line; a.b is the member b of the object a.

A line that cannot be read, lacks a key or a number, or does not fit a column, is bad: it is reported by its
number on stderr and skipped, or ends the run (--on-error fail; what came before it is written). Longer lines
than 1 MiB are bad; empty lines are skipped. A line is written to all mappings or to none.

Lines reach the cache within milliseconds, and the database when the flush is due (see flush_after) and
at the end. From a pipe, Ctrl-C or SIGTERM is an end: what had arrived is written and flushed. A
second signal leaves at once, without waiting for the flush.

Ingesting a file twice counts it twice. Should this process be killed in the middle, what it sent to the
cache (all but the last milliseconds) is flushed once by the next worker or ingest, but no note is kept
of the line that it had come to, which may differ a little between the mappings.

\b
Exit status:
  0    every line was written, skipped as bad, or empty, and all of it is in the database; also
       for a stream that a signal ended
  1    a bad line with --on-error fail; bad lines alone; the input could not be read to its end;
       or not all reached its row in the database
  2    wrong usage or configuration
  130  (SIGINT) or 143 (SIGTERM): a file was not read to its end, or the flush was not waited for
"""


def _reader(parse: Callable[[str], Option]) -> Callable[..., list[Option]]:
    """The callback of an option that may be given several times."""

    def read(_ctx: click.Context, _parameter: click.Parameter, texts: tuple[str, ...]) -> list[Option]:
        try:
            return [parse(text) for text in texts]
        except ConfigurationError as error:
            raise click.BadParameter(str(error)) from error

    return read


def _read_keys(_ctx: click.Context, _parameter: click.Parameter, texts: tuple[str, ...]) -> dict[str, list[str]]:
    keys = {}
    for text in texts:
        table, equals, columns = text.partition("=")
        if not (table and equals and all(columns.split("+"))):
            raise click.BadParameter(f"{text!r} is not TABLE=COLUMN or TABLE=COLUMN+COLUMN.")
        keys[table] = columns.split("+")
    return keys


def _read_databases(_ctx: click.Context, _parameter: click.Parameter, texts: tuple[str, ...]) -> dict[str, str]:
    databases = {}
    for text in texts:
        table, _, url = text.partition("=")
        if not (table and url):
            raise click.BadParameter("write it TABLE=URL, for example requests=duckdb:///requests.duckdb.")
        try:
            open_database(url).close()  # contacts nothing, and refuses what is no URL
        except ConfigurationError as error:
            raise click.BadParameter(str(error)) from error
        databases[table] = url
    return databases


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
    metavar="TABLE.COLUMN=KEY[:AMOUNT]",
    multiple=True,
    callback=_reader(CounterOption.parse),
    help="What to count. This and the next three may be given several times.",
)
@click.option(
    "--leaderboard",
    "leaderboards",
    metavar="TABLE.COLUMN=MEMBER:SCORE",
    multiple=True,
    callback=_reader(LeaderboardOption.parse),
    help="Scores to submit.",
)
@click.option(
    "--records",
    "records",
    metavar="TABLE=KEY:FIELD,...",
    multiple=True,
    callback=_reader(RecordsOption.parse),
    help="Rows to keep, the last of each key.",
)
@click.option(
    "--events",
    "events",
    metavar="TABLE=FIELD,...",
    multiple=True,
    callback=_reader(EventsOption.parse),
    help="Rows to append, one for each record.",
)
@click.option(
    "--key",
    "keys",
    metavar="TABLE=COLUMN",
    multiple=True,
    callback=_read_keys,
    help="The table's key column where it is not the primary key; it must be unique. COLUMN+COLUMN if composite.",
)
@click.option(
    "--database-of",
    "databases",
    metavar="TABLE=URL",
    multiple=True,
    callback=_read_databases,
    help="A table that is in a database of its own: requests=duckdb:///requests.duckdb.",
)
@connection_options
@click.option("--create", is_flag=True, help="Make ledgers, and missing tables with text keys named after the fields.")
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
    counters: list[Option],
    leaderboards: list[Option],
    records: list[Option],
    events: list[Option],
    keys: dict[str, list[str]],
    databases: dict[str, str],
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
    options = (*counters, *leaderboards, *records, *events)
    if not options:
        raise click.UsageError("Nothing is to be written: give --counter, --leaderboard, --records or --events.")
    if delimiter is not None and format_ != "csv":
        raise click.UsageError("--delimiter is for --format csv.")
    _check_fields(options, format_)
    _check_tables(options, keys, databases)
    if create:
        try:
            tables_of(options, keys, format_)
        except ConfigurationError as error:
            raise click.UsageError(str(error)) from error
    job = Job(
        file=file,
        format=format_,
        options=options,
        keys=keys,
        databases=databases,
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


def _check_fields(options: Sequence[Option], format_: Format) -> None:
    """:raises click.UsageError: an option reads a field that no record of the format has."""
    if format_ != "combined":
        return
    unknown = [(option.flag, name) for option in options for name in option.fields if name not in COMBINED_FIELDS]
    for flag, name in unknown:
        raise click.UsageError(
            f"{flag} reads {name!r}: the combined format has no field {name!r}; it has {', '.join(COMBINED_FIELDS)}."
        )


def _check_tables(options: Sequence[Option], keys: Mapping[str, Sequence[str]], databases: Mapping[str, str]) -> None:
    """:raises click.UsageError: --key or --database-of does not fit the other options."""
    tables = {option.table for option in options}
    for flag, given in (("--key", keys), ("--database-of", databases)):
        for table in given:
            if table not in tables:
                raise click.UsageError(f"{flag} names the table {table!r}, which no other option writes to.")
    flags: dict[str, str] = {}
    for option in options:
        if flags.setdefault(option.name, option.flag) != option.flag:
            raise click.UsageError(f"{flags[option.name]} and {option.flag} cannot both write to {option.name!r}.")
        columns = keys.get(option.table)
        if columns is None:
            continue
        if isinstance(option, EventsOption):
            raise click.UsageError(f"--key names the table {option.table!r}, and events have no key.")
        if len(columns) != len(option.key_fields):
            raise click.UsageError(
                f"{option.flag} {option.name} reads {len(option.key_fields)} key fields, "
                f"and --key gives {option.table} {len(columns)} key columns."
            )
