"""One run of ``ingest``: connect, make tables, write, flush."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from writebehind.cli.connection import connect
from writebehind.cli.ingest_report import FlushTotals, Outcome, Troubles, labels_of
from writebehind.cli.ingest_run import BadLineFound, Ingestion, describe
from writebehind.cli.ingest_tables import tables_of
from writebehind.cli.input_source import InputFailed, InputSource
from writebehind.cli.progress import SHOW_CURSOR, Progress, choose_progress
from writebehind.cli.signals import StopSignals
from writebehind.errors import CacheError, ConfigurationError, TableMissing, WriteBehindError
from writebehind.ingest import (
    CounterOption,
    EventsOption,
    Format,
    LeaderboardOption,
    Option,
    Parsed,
    RecordsOption,
    combined_records,
    csv_records,
    ndjson_records,
    read_lines,
)
from writebehind.mapping import CounterMapping, EventMapping, LeaderboardMapping, RecordMapping

if TYPE_CHECKING:
    from writebehind import WriteBehind
    from writebehind.application.foundation import AnyMapping


@dataclass(frozen=True, slots=True)
class Job:
    """What is asked for. ``file`` is - for standard input; ``keys`` are the key columns by table, ``databases`` the
    URLs of the tables that have a database of their own.
    """

    file: str
    format: Format
    options: tuple[Option, ...]
    keys: Mapping[str, Sequence[str]]
    databases: Mapping[str, str]
    delimiter: str
    create: bool
    fail_on_error: bool
    max_errors_shown: int
    timeout_s: float
    show_progress: bool


def run_job(job: Job, cache: str | None, database: str | None, config: Path | None) -> Outcome:
    """Write the input to the databases.

    :raises WriteBehindError: before anything was written.
    """
    from writebehind.application.feeding import declare

    totals = FlushTotals(labels_of(job.options, job.databases))
    with StopSignals(leave_at_once) as stop, InputSource(job.file, stop) as source:
        progress = choose_progress(job.show_progress, source.size_bytes)
        wb = connect(cache, database, config, observers=[totals, Troubles(progress.show)])
        for option in job.options:
            declare(wb, _mapping(option, job.keys.get(option.table)), job.databases.get(option.table))
        if job.create:
            _create_tables(wb, job)
        _open(wb)
        with wb:
            return _ingest(wb, job, progress, totals, source, stop)


def _mapping(option: Option, given: Sequence[str] | None) -> AnyMapping:
    key = None if given is None else tuple(given)
    match option:
        case CounterOption():
            return CounterMapping.parse(option.target, key=key, missing="insert")
        case LeaderboardOption():
            *board, member = key or option.key_columns
            return LeaderboardMapping.parse(
                option.target, board=board[0] if board else None, member=member, keep=option.keep
            )
        case RecordsOption():
            return RecordMapping.parse(option.table, key=key)
        case EventsOption():
            return EventMapping.parse(option.table)


def _ingest(
    wb: WriteBehind,
    job: Job,
    progress: Progress,
    totals: FlushTotals,
    source: InputSource,
    stop: StopSignals,
) -> Outcome:
    from writebehind.application.feeding import flows_of, joint_writes
    from writebehind.cli.ingest_targets import target_of

    targets = [target_of(option, flows_of(wb, option.name), job.format) for option in job.options]
    started_s = time.monotonic()
    wb.start_worker()  # a stream may never end: what it wrote is flushed when it is due
    with progress:
        ingestion = Ingestion(
            targets,
            joint_writes(wb),
            progress,
            fail_on_error=job.fail_on_error,
            max_errors_shown=job.max_errors_shown,
            patience_s=job.timeout_s,
            stop_requested=lambda: stop.requested,
            position_bytes=source.position_bytes,
        )
        failure = _run(ingestion, _records(job, source))
    unflushed = _flush(wb, job.timeout_s)
    return Outcome(
        ingestion.tally,
        totals,
        failure=failure,
        unflushed=unflushed,
        refused_writes=_refused_writes(wb),
        ended_by=stop.signal if source.stopped else None,
        is_stream=source.is_stream,
        torn=source.torn,
        seconds=time.monotonic() - started_s,
    )


def leave_at_once(number: signal.Signals) -> None:
    """The second signal: end the process here and now, with the terminal's cursor visible again."""
    message = "writebehind: left without waiting; what the cache has accepted is safe there\n"
    os.write(2, ((SHOW_CURSOR if sys.stderr.isatty() else "") + message).encode())
    os._exit(128 + number)


def _create_tables(wb: WriteBehind, job: Job) -> None:
    from writebehind.application.feeding import create_table

    wb.init()
    for table in tables_of(job.options, job.keys, job.format):
        create_table(wb, table.name, table.columns, table.key, job.databases.get(table.name))


def _open(wb: WriteBehind) -> None:
    try:
        wb.open()
    except TableMissing as error:
        raise TableMissing(error.what, why=error.why, fix="Give --create to make it, or create it yourself.") from error


def _records(job: Job, source: InputSource) -> Iterator[Parsed]:
    lines = read_lines(source)
    if job.format == "combined":
        return combined_records(lines)
    if job.format == "ndjson":
        return ndjson_records(lines)
    needed = dict.fromkeys(name for option in job.options for name in option.fields)
    return csv_records(lines, delimiter=job.delimiter, needed=tuple(needed))


def _run(ingestion: Ingestion, records: Iterator[Parsed]) -> str:
    """Write to the end; why it ended before, or ''.

    :raises ConfigurationError: the input's header does not fit the options; nothing was written.
    """
    try:
        ingestion.run(records)
    except BadLineFound as found:
        return f"{describe(found.line)}\nwritebehind: stopped there; nothing of it or after it is ingested"
    except InputFailed as error:
        return f"the input could not be read after line {ingestion.tally.last_line:,}: {error}"
    except ConfigurationError:
        raise
    except WriteBehindError as error:
        return f"stopped after line {ingestion.tally.last_line:,}, nothing after it is ingested: {error}"
    return ""


def _flush(wb: WriteBehind, timeout_s: float) -> str:
    """Bring everything to the database; why that failed, or ''."""
    try:
        wb.flush(timeout=timeout_s)
    except WriteBehindError as error:
        return str(error)
    return ""


def _refused_writes(wb: WriteBehind) -> int:
    """Writes that the cache refused with nobody waiting; 0 too where it cannot be asked, as the flush has said."""
    try:
        return sum(mapping.lost_local_writes for mapping in wb.status().mappings)
    except CacheError:
        return 0
