"""The two servers, and what they say of themselves: PostgreSQL's statistics and log, the processes' CPU time."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import psutil  # type: ignore[import-untyped]  # comes with the PostgreSQL wheel
import psycopg
import redis
from psycopg.sql import SQL, Identifier

from writebehind.databases import open_database
from writebehind.demo.scenario import TABLE, TABLE_OF_UPDATES, VIDEOS

if TYPE_CHECKING:
    from writebehind.cache.embedded import EmbeddedCache
    from writebehind.testing.postgresql import TemporaryPostgres

_SPARE_CONNECTIONS = 20
_LEAVE_TIMEOUT_S = 5.0
_POLL_S = 0.01
_OTHER_SESSIONS = """
    SELECT count(*) FROM pg_stat_activity
    WHERE backend_type = 'client backend' AND datname = current_database() AND pid <> pg_backend_pid()
"""
_UPDATE = re.compile(rf'UPDATE ("[^"]+"\.)?"{TABLE}" AS t ')
_STATEMENT = re.compile(r" LOG:  (statement|execute [^:]*): ")
# Logged is what the worker's sessions say, and nobody else's; without the parameters, which are long arrays.
_LOG_EVERYTHING = "-c log_statement=all -c log_parameter_max_length=0"


def settings(clients: int) -> dict[str, str]:
    """PostgreSQL's settings: its defaults, and room for the comparison's connections."""
    return {"max_connections": str(clients + _SPARE_CONNECTIONS)}


@dataclass(frozen=True, slots=True)
class CpuTime:
    """CPU seconds that the servers have used until now, or between two looks."""

    postgres_s: float
    cache_s: float

    def __sub__(self, before: CpuTime) -> CpuTime:
        return CpuTime(self.postgres_s - before.postgres_s, self.cache_s - before.cache_s)


@dataclass(frozen=True, slots=True)
class Statements:
    """What the worker said to PostgreSQL, by PostgreSQL's log."""

    updates: int
    all: int


class Servers:
    """PostgreSQL and Valkey while they run."""

    def __init__(self, postgres: TemporaryPostgres, cache: EmbeddedCache) -> None:
        self._postgres = postgres
        self._cache = cache
        self.url = postgres.url()
        self.worker_url = f"{self.url}&options={quote(_LOG_EVERYTHING)}"
        """The same database, for sessions whose every statement is logged."""
        self.connection: psycopg.Connection[tuple[Any, ...]] = psycopg.connect(self.url, autocommit=True)

    def __str__(self) -> str:
        with redis.Redis.from_url(self._cache.url) as client:
            info: dict[str, Any] = client.info("server")
        version = info.get("valkey_version", info.get("redis_version"))
        return (
            f"Valkey {version} (process {self._cache.server_pid}, append-only file on) and "
            f"PostgreSQL {self.connection.info.parameter_status('server_version')} (process {self._postgres.pid}, "
            f"fsync on)"
        )

    def prepare(self) -> None:
        """Create the ledger and both tables, with every video at 0 likes."""
        database = open_database(self.url)
        database.create_ledger()
        database.close()
        table, copy = Identifier(TABLE), Identifier(TABLE_OF_UPDATES)
        self.connection.execute(
            SQL("CREATE TABLE {} (id bigint PRIMARY KEY, title text, likes bigint NOT NULL DEFAULT 0)").format(table)
        )
        self.connection.execute(
            SQL("INSERT INTO {} (id, title) SELECT id, 'Video ' || id FROM generate_series(1, {}) AS id").format(
                table, VIDEOS
            )
        )
        self.connection.execute(SQL("CREATE TABLE {} (LIKE {} INCLUDING ALL)").format(copy, table))
        self.connection.execute(SQL("INSERT INTO {} SELECT * FROM {}").format(copy, table))
        for each in (table, copy):
            self.connection.execute(SQL("VACUUM ANALYZE {}").format(each))
        self.connection.execute("CHECKPOINT")

    def rows_updated(self, table: str) -> int:
        """How many rows UPDATEs have changed in a table, when everybody else has left."""
        self._wait_until_alone()
        return self._number("SELECT n_tup_upd FROM pg_stat_user_tables WHERE relname = %s", table)

    def rows_changed(self, table: str) -> int:
        """How many rows were inserted, updated and deleted in a table, when everybody else has left."""
        self._wait_until_alone()
        return self._number(
            "SELECT n_tup_ins + n_tup_upd + n_tup_del FROM pg_stat_user_tables WHERE relname = %s", table
        )

    def _wait_until_alone(self) -> None:
        """Sessions report their statistics about once a second, and the last at their end."""
        deadline = time.monotonic() + _LEAVE_TIMEOUT_S
        while self._number(_OTHER_SESSIONS) and time.monotonic() < deadline:
            time.sleep(_POLL_S)

    def likes(self, table: str) -> dict[int, int]:
        """The rows: likes by video."""
        query = SQL("SELECT id, likes FROM {}").format(Identifier(table))
        return dict(self.connection.execute(query).fetchall())

    def cpu_time(self) -> CpuTime:
        """What both have used until now."""
        return CpuTime(_cpu_s(self._postgres.pid), _cpu_s(self._cache.server_pid))

    def _number(self, query: str, *parameters: object) -> int:
        row = self.connection.execute(query.encode(), parameters).fetchone()
        assert row is not None
        return int(row[0])

    def revive_cache(self) -> str | None:
        """Start Valkey again if it is gone, with what its append-only file holds; says so where it was."""
        former = self._cache.server_pid
        if _lives(former):
            return None
        self._cache.ensure_running()
        return (
            f"Valkey (process {former}) ended; it was started again as process {self._cache.server_pid}, "
            "whose CPU time alone is known"
        )

    def worker_statements(self) -> Statements:
        """What the worker's sessions have said until now."""
        log = self._postgres.log_text()
        return Statements(sum(1 for _ in _UPDATE.finditer(log)), sum(1 for _ in _STATEMENT.finditer(log)))

    def statements_on(self, table: str) -> int:
        """How many statements of the workers' sessions have changed rows of a table until now."""
        # Scores are written by one statement, whose second half, an INSERT INTO "scores" AS t (...), must not count.
        changes = rf'(UPDATE|DELETE FROM|INSERT INTO) ("[^"]+"\.)?"{re.escape(table)}" (?!AS t \()'
        return len(re.findall(changes, self._postgres.log_text()))

    def close(self) -> None:
        self.connection.close()


def _lives(pid: int) -> bool:
    return psutil.pid_exists(pid) and bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)


def _cpu_s(pid: int) -> float:
    """CPU seconds of a process, its children, and those of its children that have ended."""
    if not _lives(pid):
        return 0.0
    process = psutil.Process(pid)
    seconds = float(sum(process.cpu_times()[:4]))  # user, system, and both of ended children
    for child in process.children(recursive=True):
        try:
            seconds += sum(child.cpu_times()[:2])
        except psutil.NoSuchProcess:
            continue  # it has just ended, and its parent's next figure has it
    return seconds
