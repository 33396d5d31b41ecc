"""``writebehind ingest`` with all four kinds at once: real processes, real databases, and what plain Python makes of
the same lines.
"""

from __future__ import annotations

import json
import os
import re
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import psycopg
import pytest

from writebehind.testing.postgresql import TemporaryPostgres
from writebehind.testing.valkey import TemporaryValkey

SAMPLE = Path(__file__).parents[2] / "examples" / "data" / "access-sample.log"
COMMAND = [sys.executable, "-m", "writebehind"]
PATIENCE_S = 120.0
ALL_KINDS = (
    *("--counter", "pages.hits=path"),
    *("--leaderboard", "traffic.bytes=client:size,keep=sum"),
    *("--records", "visitors=client:last_seen=logged_at,path,status,referer"),
    *("--events", "requests=logged_at,client,path,status,size,referer"),
)
_LINE = re.compile(
    r'(?P<client>\S+) \S+ \S+ \[(?P<time>[^]]+)\] "\S+ (?P<path>\S+)[^"]*" '
    r'(?P<status>\d+) (?P<size>\S+) "(?P<referer>[^"]*)'
)


@dataclass(frozen=True)
class Request:
    """A line of the log as this test reads it."""

    at: datetime
    client: str
    path: str
    status: int
    size: int
    referer: str | None


def requests_in(text: str) -> list[Request]:
    found = []
    for line in text.splitlines():
        fields = _LINE.match(line)
        assert fields is not None, line
        at = datetime.strptime(fields["time"], "%d/%b/%Y:%H:%M:%S %z").astimezone(UTC)
        size = 0 if fields["size"] == "-" else int(fields["size"])
        referer = None if fields["referer"] == "-" else fields["referer"]
        found.append(Request(at, fields["client"], fields["path"], int(fields["status"]), size, referer))
    return found


@dataclass(frozen=True)
class Tables:
    """What is in the four tables, read without the library."""

    hits: dict[str, int]
    traffic: dict[str, int]
    visitors: dict[str, tuple[Any, ...]]
    requests: list[Request]


def plain(requests: Sequence[Request]) -> Tables:
    """What the tables have to hold after these requests."""
    traffic: Counter[str] = Counter()
    for request in requests:
        traffic[request.client] += request.size
    return Tables(
        dict(Counter(request.path for request in requests)),
        dict(traffic),
        {request.client: (request.at, request.path, request.status, request.referer) for request in requests},
        list(requests),
    )


Query = Callable[[str, str], list[tuple[Any, ...]]]
"""Rows of a query; the table's name, too, since it may be in a database of its own."""


def tables_in(query: Query) -> Tables:
    def moment(value: datetime | str) -> datetime:
        return (datetime.fromisoformat(value) if isinstance(value, str) else value).astimezone(UTC)

    visitors = query("visitors", "SELECT client, last_seen, path, status, referer FROM visitors")
    requests = query("requests", "SELECT logged_at, client, path, status, size, referer FROM requests")
    return Tables(
        dict(query("pages", "SELECT path, hits FROM pages")),
        dict(query("traffic", "SELECT client, bytes FROM traffic")),
        {client: (moment(seen), *rest) for client, seen, *rest in visitors},
        [Request(moment(at), *rest) for at, *rest in requests],
    )


class Place:
    """A folder in which the command runs, and how its databases are asked."""

    def __init__(self, folder: Path, options: Sequence[str], query: Query) -> None:
        self.folder = folder
        self.options = tuple(options)
        self.query = query
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("WRITEBEHIND_")}
        self.environment = inherited | {"PYTHONWARNINGS": "error", "PYTHONDEVMODE": "1"}

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*COMMAND, *arguments],
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )

    def ingest(self, file: str | Path, *arguments: str) -> subprocess.CompletedProcess[str]:
        return self.run("ingest", str(file), "--format", "combined", *ALL_KINDS, *self.options, *arguments)

    @property
    def tables(self) -> Tables:
        return tables_in(self.query)


def sqlite_rows(file: Path) -> Query:
    def query(_table: str, statement: str) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(file, timeout=PATIENCE_S)) as connection:
            return connection.execute(statement).fetchall()

    return query


@pytest.fixture(params=["sqlite", "sqlite+duckdb", "postgresql+duckdb"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """An empty database of each kind; the events in DuckDB, or beside the others."""
    common, _, warehouse = request.param.partition("+")
    options: list[str] = []
    query = sqlite_rows(tmp_path / ".writebehind" / "data.db")
    if common == "postgresql":
        postgres: TemporaryPostgres = request.getfixturevalue("shared_postgres")
        url = postgres.create_database()
        options += ["--database", url]

        def query(_table: str, statement: str) -> list[tuple[Any, ...]]:  # type: ignore[misc]
            with psycopg.connect(url) as connection:
                return connection.execute(statement).fetchall()

    if not warehouse:
        return Place(tmp_path, options, query)

    def query_both(table: str, statement: str) -> list[tuple[Any, ...]]:
        if table != "requests":
            return query(table, statement)
        with closing(duckdb.connect(str(tmp_path / "requests.duckdb"), read_only=True)) as connection:
            return connection.execute(statement).fetchall()

    return Place(tmp_path, [*options, "--database-of", "requests=duckdb:///requests.duckdb"], query_both)


@pytest.fixture
def sqlite_place(tmp_path: Path) -> Place:
    return Place(tmp_path, (), sqlite_rows(tmp_path / ".writebehind" / "data.db"))


def logs() -> list[Path]:
    whole = os.environ.get("WRITEBEHIND_ACCESS_LOG")
    return [SAMPLE, Path(whole)] if whole else [SAMPLE]


@pytest.mark.parametrize("log", logs(), ids=lambda log: log.name)
def test_one_command_makes_of_a_log_what_plain_python_makes_of_it(place: Place, log: Path) -> None:
    expected = plain(requests_in(log.read_text()))
    done = place.ingest(log, "--create")
    assert (done.returncode, done.stderr) == (0, "")
    assert place.tables == expected
    first, *lines = done.stdout.splitlines()
    assert re.fullmatch(rf"{len(expected.requests):,} lines ingested, [\d.]+ s \([\d,]+ lines/s\)", first)
    rows = [len(expected.hits), len(expected.traffic), len(expected.visitors), len(expected.requests)]
    names = ["counter pages.hits", "leaderboard traffic.bytes", "records visitors", "events requests"]
    for line, name, count in zip(lines, names, rows, strict=True):
        assert re.match(rf"  {name} .*→ {count:,} rows? in \d+ statements?$", line), line


def test_the_types_of_created_columns(place: Place) -> None:
    assert place.ingest(os.devnull, "--create").returncode == 0
    columns = dict(declared_types(place))
    assert [columns[name] for name in ("logged_at", "status", "client")] in (
        ["TIMESTAMPTZ", "INTEGER", "TEXT"],
        ["TIMESTAMP WITH TIME ZONE", "BIGINT", "VARCHAR"],
    )


def declared_types(place: Place) -> list[tuple[str, str]]:
    if any("duckdb" in option for option in place.options):
        return [row[:2] for row in place.query("requests", "DESCRIBE requests")]  # type: ignore[misc]
    return place.query("requests", "SELECT name, type FROM pragma_table_info('requests')")  # type: ignore[return-value]


def test_a_line_that_does_not_fit_one_mapping_is_written_to_none(sqlite_place: Place) -> None:
    good, bad = SAMPLE.read_text().splitlines()[:2]
    (sqlite_place.folder / "log").write_text(f"{good}\n{bad.replace('17/May', '31/Feb')}\n{good}\n")
    done = sqlite_place.ingest("log", "--create")
    assert done.returncode == 0
    assert done.stderr.startswith(
        "line 2: the field 'logged_at' does not fit the column 'last_seen' of type TIMESTAMPTZ: day is out of range"
    )
    assert sqlite_place.tables == plain(requests_in(f"{good}\n{good}"))
    assert done.stdout.startswith("2 lines ingested, 1 bad, ")


def test_ndjson_with_boards_scores_and_json(sqlite_place: Place) -> None:
    with closing(sqlite3.connect(sqlite_place.folder / "app.db")) as connection, connection:
        connection.execute("CREATE TABLE laps (track TEXT, driver TEXT, best REAL, PRIMARY KEY (track, driver))")
        connection.execute(
            "CREATE TABLE plays (player TEXT, won BOOLEAN, detail JSON, note TEXT NOT NULL DEFAULT 'none')"
        )
    lines: list[dict[str, object]] = [
        {"track": "spa", "driver": "ada", "lap": 101.5, "player": "ada", "won": True, "detail": {"gear": [1, 2.50]}},
        {"track": "spa", "driver": "ada", "lap": 99.25, "player": "ada", "won": False, "detail": "rain"},
        {"track": "spa", "driver": "bob", "lap": 100, "player": "bob", "extra": 1},
        {"track": "spa", "driver": "bob", "lap": "fast", "player": "bob"},
    ]
    (sqlite_place.folder / "log").write_text("\n".join(map(json.dumps, lines)))
    done = sqlite_place.run(
        *("ingest", "log", "--format", "ndjson", "--database", "sqlite:///app.db"),
        *("--leaderboard", "laps.best=track+driver:lap,keep=min", "--events", "plays=*"),
    )
    assert done.returncode == 1, done.stderr  # there is no ledger yet
    assert "writebehind init" in done.stderr
    assert sqlite_place.run("init", "--database", "sqlite:///app.db").returncode == 0
    done = sqlite_place.run(
        *("ingest", "log", "--format", "ndjson", "--database", "sqlite:///app.db"),
        *("--leaderboard", "laps.best=track+driver:lap,keep=min", "--events", "plays=*"),
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr.startswith("line 4: the field 'lap' is not a score of this leaderboard: it is not a number")
    query = sqlite_rows(sqlite_place.folder / "app.db")
    assert query("laps", "SELECT * FROM laps ORDER BY driver") == [("spa", "ada", 99.25), ("spa", "bob", 100.0)]
    assert query("plays", "SELECT * FROM plays") == [
        ("ada", 1, '{"gear":[1,2.5]}', "none"),
        ("ada", 0, '"rain"', "none"),
        ("bob", None, None, "none"),
    ]


def test_csv_with_empty_values_and_a_key_of_another_name(sqlite_place: Place) -> None:
    (sqlite_place.folder / "log.csv").write_text("id,name,age\n7,Ada,36\n8,,\n7,Ada L.,x\n")
    (sqlite_place.folder / ".writebehind").mkdir()
    with closing(sqlite3.connect(sqlite_place.folder / ".writebehind" / "data.db")) as connection, connection:
        connection.execute("CREATE TABLE people (number INTEGER PRIMARY KEY, name TEXT, age INTEGER, plan TEXT)")
        connection.execute("INSERT INTO people VALUES (7, 'A', 1, 'gold')")
    done = sqlite_place.run("ingest", "log.csv", "--format", "csv", "--records", "people=id:name,age")
    assert done.returncode == 0, done.stderr
    assert done.stderr.startswith("line 4: the field 'age' does not fit the column 'age' of type INTEGER: it is not a")
    assert sqlite_place.query("people", "SELECT * FROM people") == [(7, "Ada", 36, "gold"), (8, "", None, None)]


def test_columns_that_are_not_there_are_named_before_a_line_is_read(sqlite_place: Place) -> None:
    assert sqlite_place.ingest(os.devnull, "--create").returncode == 0
    for option, message in (
        (("--records", "visitors=client:page=path"), "the table 'visitors' has no column 'page' that --records can"),
        (("--events", "requests=page=path"), "the table 'requests' has no column 'page' that --events can fill"),
        (("--leaderboard", "traffic.bytes=path:size"), "has no column 'path'"),
    ):
        done = sqlite_place.run("ingest", str(SAMPLE), "--format", "combined", *option)
        assert (done.returncode, done.stdout) == (1, "")
        assert message in done.stderr
        assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("more", [(), ("--create",)])
def test_a_warehouse_that_is_to_count_is_refused(sqlite_place: Place, more: tuple[str, ...]) -> None:
    with closing(duckdb.connect(str(sqlite_place.folder / "w.duckdb"))) as warehouse:
        warehouse.execute("CREATE TABLE pages (path VARCHAR PRIMARY KEY, hits BIGINT)")
    done = sqlite_place.run(
        *("ingest", str(SAMPLE), "--format", "combined", "--counter", "pages.hits=path"),
        *("--database-of", "pages=duckdb:///w.duckdb", *more),
    )
    assert done.returncode in (1, 2)
    assert "event" in done.stderr
    assert "Give the mapping another database" in done.stderr
    assert done.stderr.count("\n") == 1


def is_prefix(tables: Tables, requests: Sequence[Request]) -> dict[str, int]:
    """How many requests each table has, where it has what the first so many make, exactly; else an AssertionError."""
    counted, sent = sum(tables.hits.values()), sum(tables.traffic.values())
    assert tables.hits == plain(requests[:counted]).hits
    assert tables.requests == list(requests[: len(tables.requests)])
    sums = [0]
    for request in requests:
        sums.append(sums[-1] + request.size)
    scored = [count for count, size in enumerate(sums) if size == sent]
    assert any(tables.traffic == plain(requests[:count]).traffic for count in scored)
    # A client's last request is told by its time: each line of this test's log is a second later than the one before.
    last = max((values[0] for values in tables.visitors.values()), default=None)
    put = next((count for count, request in enumerate(requests, 1) if request.at == last), 0)
    assert tables.visitors == plain(requests[:put]).visitors
    return {"hits": counted, "bytes": scored[-1], "visitors": put, "requests": len(tables.requests)}


def numbered_log(lines: int) -> str:
    """A log in which every line is one second later, and a client or a path comes again and again."""
    return "".join(
        f"192.0.2.{n % 97} - - [{datetime.fromtimestamp(1_400_000_000 + n, UTC):%d/%b/%Y:%H:%M:%S} +0000] "
        f'"GET /{n % 301} HTTP/1.1" {200 + n % 3} {n + 1} "-" "-"\n'
        for n in range(lines)
    )


def test_what_a_killed_ingest_left_in_the_cache_is_in_the_database_once(
    place: Place, own_valkey: TemporaryValkey, wait_until: Callable[[Callable[[], bool]], None]
) -> None:
    place.options = (*place.options, "--cache", own_valkey.url)
    assert place.ingest(os.devnull, "--create").returncode == 0
    requests = requests_in(text := numbered_log(60_000))
    (place.folder / "log").write_text(text)
    process = subprocess.Popen(
        [*COMMAND, "ingest", "log", "--format", "combined", "--no-progress", *ALL_KINDS, *place.options],
        cwd=place.folder,
        env=place.environment | {"WRITEBEHIND_FLUSH_AFTER": "0.2"},
        stderr=subprocess.PIPE,
    )
    with process:
        # Killed in the middle of a flush or between two, with some lines in the database and others in the cache.
        wait_until(lambda: bool(place.query("pages", "SELECT 1 FROM pages LIMIT 1")))
        process.kill()
        assert process.wait() != 0, "it had ended before it was killed"

    done = place.ingest(os.devnull)  # brings nothing of its own

    assert (done.returncode, done.stderr) == (0, "")
    found = is_prefix(place.tables, requests)
    assert all(0 < count < len(requests) for count in found.values()), found
    assert max(found.values()) - min(found.values()) <= 2_000, "a mapping lost what the cache had"
    again = place.ingest(os.devnull)
    assert again.stdout.startswith("0 lines ingested")
    assert is_prefix(place.tables, requests) == found
