"""What can go wrong with a SQLite file, and what comes of it."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import pytest

from writebehind.databases import open_database
from writebehind.databases.sqlite import connections
from writebehind.errors import ConfigurationError, DatabaseRefused, DatabaseUnavailable, RowRefused


def test_a_commit_is_on_disk_and_readers_do_not_wait(sqlite: Any) -> None:
    with sqlite.database._connections.use() as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert connection.execute("PRAGMA synchronous").fetchone() == (2,)  # FULL


def test_a_relative_path_is_kept_when_the_folder_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    database = open_database("sqlite:///here%20I%20am.db")
    monkeypatch.chdir("/")
    database.ping()
    database.close()
    assert (tmp_path / "here I am.db").exists()


@pytest.mark.parametrize(
    "url", ["sqlite://", "sqlite:///", "sqlite:///:memory:", "sqlite://a.db", "sqlite:///a.db?x=1"]
)
def test_a_url_must_name_a_file(url: str) -> None:
    with pytest.raises(ConfigurationError, match=r"sqlite:///relative\.db"):
        open_database(url)


def test_the_files_folder_must_exist(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"the folder '.*nowhere' .* does not exist"):
        open_database(f"sqlite:///{tmp_path}/nowhere/a.db")


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.db").write_text("no database at all, but long enough to be looked at as one" * 20)
    with pytest.raises(DatabaseRefused, match="not a database"):
        open_database(f"sqlite:///{tmp_path}/a.db").ping()


def test_a_writer_that_does_not_end_makes_others_wait_and_try_again(
    sqlite: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "BUSY_TIMEOUT_S", 0.01)
    sqlite.database.create_ledger()
    other = sqlite3.connect(sqlite.url.removeprefix("sqlite:///"), isolation_level=None)
    other.execute("BEGIN IMMEDIATE")

    with pytest.raises(DatabaseUnavailable, match="locked"):
        sqlite.declared()
    sqlite.database.read_partitions([])  # reading goes on
    other.execute("ROLLBACK")
    other.close()

    assert len(sqlite.declared()) == 1


def test_a_replaced_file_is_opened_anew(sqlite: Any) -> None:
    sqlite.database.create_ledger()
    path = Path(sqlite.url.removeprefix("sqlite:///"))
    for file in path.parent.glob(path.name + "*"):
        file.unlink()

    sqlite.database.create_ledger()

    assert len(sqlite.sql("SELECT * FROM writebehind_meta")) == 1


@pytest.mark.parametrize("stored", [1.5, "many"])
def test_a_value_that_is_no_integer_is_never_rounded(sqlite: Any, stored: object) -> None:
    sqlite.sql("CREATE TABLE t (id INTEGER PRIMARY KEY, n INTEGER)")
    sqlite.sql("INSERT INTO t VALUES (1, %s)", (stored,))
    if stored == 1.5:
        with pytest.raises(RowRefused, match="not a 64-bit integer"):
            sqlite.add(sqlite.bind("t.n"), (1, 1))
    assert sqlite.sql("SELECT n FROM t") == [(stored,)]


def test_constraints_refuse_the_row_with_a_state(sqlite: Any) -> None:
    sqlite.sql("CREATE TABLE t (id INTEGER PRIMARY KEY, n INTEGER UNIQUE)")
    sqlite.sql("INSERT INTO t VALUES (1, 1), (2, 2)")
    with pytest.raises(RowRefused) as caught:
        sqlite.add(sqlite.bind("t.n"), (1, 1))
    assert caught.value.sqlstate == "23505"
