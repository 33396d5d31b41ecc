"""The tables of the games: scores and profiles in PostgreSQL, clicks in a DuckDB file."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

import duckdb

from writebehind.databases import open_database
from writebehind.databases.blocks import load_blocks
from writebehind.demo.games.audit import Row, Rows
from writebehind.demo.games.journal import Key
from writebehind.demo.games.scenario import CLICKS, PROFILES, SCORES
from writebehind.demo.servers import Servers

_SQL = load_blocks(__package__, "stores.sql")


class Stores:
    """Both databases, of which the file is this act's own. Nobody else may have it open while it is read here."""

    def __init__(self, servers: Servers, file: Path) -> None:
        self._servers = servers
        self._file = file
        self.events_url = f"duckdb:///{quote(str(file))}"

    def prepare(self) -> None:
        """Create the file's ledger, and the tables."""
        database = open_database(self.events_url)
        database.create_ledger()
        database.close()
        with duckdb.connect(str(self._file)) as warehouse:
            warehouse.execute(_SQL["create_clicks"])
        for block in ("create_scores", "create_profiles"):
            self._servers.connection.execute(_SQL[block].encode())

    def rows(self) -> Mapping[str, Rows]:
        """All rows, by mapping and key."""
        return {
            SCORES: _by_key(self._in_postgres("read_scores"), key_columns=2),
            PROFILES: _by_key(self._in_postgres("read_profiles"), key_columns=1),
            CLICKS: _by_key(self._in_duckdb("read_clicks"), key_columns=1),
        }

    def written(self) -> dict[str, tuple[int, int]]:
        """How many rows were changed, in how many statements, by mapping: by the databases, not by the worker."""
        servers = self._servers
        clicks = self._in_duckdb("read_clicks")
        ((batches,),) = self._in_duckdb("count_batches")
        return {
            SCORES: (servers.rows_changed("scores"), servers.statements_on("scores")),
            PROFILES: (servers.rows_changed("profiles"), servers.statements_on("profiles")),
            CLICKS: (len(clicks), batches),
        }

    def _in_postgres(self, block: str) -> list[tuple[Any, ...]]:
        return self._servers.connection.execute(_SQL[block].encode()).fetchall()

    def _in_duckdb(self, block: str) -> list[tuple[Any, ...]]:
        with duckdb.connect(str(self._file), read_only=True) as warehouse:
            return warehouse.execute(_SQL[block]).fetchall()


def _by_key(found: Iterable[tuple[Any, ...]], key_columns: int) -> dict[Key, list[Row]]:
    rows: dict[Key, list[Row]] = {}
    for row in found:
        rows.setdefault(row[:key_columns], []).append(row[key_columns:])
    return rows
