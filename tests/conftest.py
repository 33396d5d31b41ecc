"""Fixtures that every kind of test may use."""

from __future__ import annotations

import signal
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest

from writebehind import WriteBehind
from writebehind.testing.postgresql import TemporaryPostgres
from writebehind.testing.valkey import TemporaryValkey

SYSTEM = Path(__file__).parent / "system"


def pytest_configure() -> None:
    """Hears SIGINT where a shell started the tests in the background, which ignores it: the programs under test would
    inherit that, and the tests that stop them by SIGINT would wait for ever.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leaves tests/system out, unless it is asked for: it needs programs of the distribution (`make test-system`)."""
    asked_for = any(Path(argument.partition("::")[0]).resolve().is_relative_to(SYSTEM) for argument in config.args)
    return True if collection_path == SYSTEM and not asked_for else None


@pytest.fixture
def wait_until() -> Callable[[Callable[[], bool]], None]:
    """Waits for a condition that something else makes true; fails the test after 20 seconds."""

    def wait(condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 20
        while not condition():
            assert time.monotonic() < deadline, "the condition did not come true"
            time.sleep(0.005)

    return wait


@pytest.fixture(scope="session")
def shared_valkey() -> Iterator[TemporaryValkey]:
    """One server for all tests of a process (of an xdist worker); tests use ``valkey`` instead."""
    with TemporaryValkey() as server:
        yield server


@pytest.fixture
def valkey(shared_valkey: TemporaryValkey) -> TemporaryValkey:
    """A running server without data and without function libraries.

    It is emptied before the test and not after it, so that what a test leaves can be looked at. A test that
    kills, pauses or configures its server takes ``own_valkey``.
    """
    shared_valkey.start()
    shared_valkey.empty()
    return shared_valkey


@pytest.fixture
def no_key_leak(valkey: TemporaryValkey) -> Iterator[None]:
    """Fails a test that leaves a key behind that would never expire: use it with ``usefixtures``."""
    yield
    assert valkey.keys_without_expiry() == set(), "these keys would stay in the cache for ever"


@pytest.fixture
def own_valkey() -> Iterator[TemporaryValkey]:
    """A running server for this test alone, to be killed, paused, cut short and restored."""
    with TemporaryValkey() as server:
        yield server


@pytest.fixture(scope="session")
def shared_postgres() -> Iterator[TemporaryPostgres]:
    """One PostgreSQL for all tests of a process (of an xdist worker); each test gets a database of its own."""
    with TemporaryPostgres() as server:
        yield server


class Videos:
    """An application's own view of its database: a table ``videos``, read and written without the library."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.run(
            "CREATE TABLE videos (id BIGINT PRIMARY KEY, title TEXT, likes BIGINT NOT NULL DEFAULT 0, views BIGINT)"
        )
        self.run("INSERT INTO videos (id, title) VALUES " + ", ".join(f"({n}, 'video {n}')" for n in range(1, 101)))

    def run(self, statement: str) -> list[tuple[Any, ...]]:
        """Execute one statement and commit; its rows, where it gives any."""
        if self.url.startswith("sqlite"):
            with closing(sqlite3.connect(self.url.removeprefix("sqlite:///"), timeout=30)) as connection, connection:
                return connection.execute(statement).fetchall()
        with psycopg.connect(self.url, autocommit=True) as connection:
            cursor = connection.execute(statement)
            return cursor.fetchall() if cursor.description else []

    def likes(self, video: int) -> int:
        """What the row says."""
        return int(self.run(f"SELECT likes FROM videos WHERE id = {video}")[0][0])

    def all_likes(self) -> dict[int, int]:
        """Every row that is not 0."""
        return dict(self.run("SELECT id, likes FROM videos WHERE likes <> 0"))


@pytest.fixture(params=["sqlite", "postgresql"])
def videos(request: pytest.FixtureRequest, tmp_path: Path) -> Videos:
    """A fresh database with a hundred videos and a ledger: the test runs once for each kind of database."""
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path / 'app.db'}"
    else:
        url = request.getfixturevalue("shared_postgres").create_database()
    return videos_with_ledger(url)


def videos_with_ledger(url: str) -> Videos:
    """An application's tables in a fresh database, and the ledger."""
    videos = Videos(url)
    WriteBehind(cache="redis://unused", database=url).init()
    return videos


@pytest.fixture
def make_videos() -> Callable[[str], Videos]:
    """``videos`` in a database that the test brings."""
    return videos_with_ledger


@pytest.fixture
def postgres_videos(shared_postgres: TemporaryPostgres) -> Videos:
    """``videos`` on PostgreSQL alone, for what only its server can tell."""
    return videos_with_ledger(shared_postgres.create_database())
