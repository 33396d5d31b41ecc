"""The databases that batches are flushed to: one contract, one folder per database."""

from __future__ import annotations

from typing import TYPE_CHECKING

from writebehind.databases.urls import redact_url
from writebehind.errors import ConfigurationError

if TYPE_CHECKING:
    from writebehind.databases.contract import Database

KNOWN_SCHEMES = ("postgresql://", "postgres://", "sqlite:///", "duckdb:///")


def open_database(url: str) -> Database:
    """The database that a URL names. Nothing is contacted yet.

    ``postgresql://user@host/name`` (or ``postgres://``), ``sqlite:///relative.db`` or ``sqlite:////absolute/path.db``,
    and for event logs ``duckdb:///events.duckdb``.

    :raises ConfigurationError: for another scheme, a URL that cannot be read, a missing driver, or an
        SQLite file in a folder that does not exist.
    """
    scheme, separator, _ = url.partition("://")
    if separator and scheme in ("postgresql", "postgres"):
        try:
            from writebehind.databases.postgresql.database import PostgresDatabase
        except ImportError as error:
            raise ConfigurationError(
                f"the database {redact_url(url)!r} needs the driver psycopg",
                why=str(error),
                fix='Run: pip install "writebehind[postgresql]"',
            ) from error
        return PostgresDatabase(url)
    if separator and scheme == "sqlite":
        from writebehind.databases.sqlite.database import SqliteDatabase

        return SqliteDatabase(url)
    if separator and scheme == "duckdb":
        try:
            from writebehind.databases.duckdb.database import DuckdbDatabase
        except ImportError as error:
            raise ConfigurationError(
                f"the database {redact_url(url)!r} needs the drivers duckdb and pyarrow",
                why=str(error),
                fix='Run: pip install "writebehind[duckdb]"',
            ) from error
        return DuckdbDatabase(url)
    raise ConfigurationError(
        f"the database URL {redact_url(url)!r} names no database that is known",
        fix=f"Begin it with one of {', '.join(KNOWN_SCHEMES)}.",
    )
