"""From a URL to a database, with nothing secret in any message; and connections between uses."""

from __future__ import annotations

import os
import sys

import pytest

from writebehind.databases import open_database
from writebehind.databases.idle import MAX_IDLE_CONNECTIONS, IdleConnections
from writebehind.databases.urls import redact_url
from writebehind.errors import ConfigurationError


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://u:s3cr3t@host/db", "postgresql://u:***@host/db"),
        ("postgresql://u:s3@cr/3t@host/db", "postgresql://u:***@host/db"),
        ("postgresql://u:@host/db", "postgresql://u:***@host/db"),
        ("postgresql://u@host/db", "postgresql://u@host/db"),
        ("postgresql://host:5432/db", "postgresql://host:5432/db"),
        ("postgresql:///db?host=/tmp&password=s3cr3t&user=u", "postgresql:///db?host=/tmp&password=***&user=u"),
        ("sqlite:///a.db", "sqlite:///a.db"),
        ("", ""),
    ],
)
def test_passwords_are_never_shown(url: str, shown: str) -> None:
    assert redact_url(url) == shown


@pytest.mark.parametrize("url", ["mysql://u:s3cr3t@host/db", "", "videos.db", "postgresql", "sqlite"])
def test_an_unknown_database_names_the_known_ones(url: str) -> None:
    with pytest.raises(ConfigurationError, match="postgresql://, postgres://, sqlite:///, duckdb:///") as caught:
        open_database(url)
    assert "s3cr3t" not in str(caught.value)


@pytest.mark.parametrize(
    ("extra", "driver", "url"),
    [
        ("postgresql", "psycopg", "postgresql://u@host/db"),
        ("duckdb", "duckdb", "duckdb:///events.duckdb"),
        ("duckdb", "pyarrow", "duckdb:///events.duckdb"),
    ],
)
def test_a_missing_driver_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, extra: str, driver: str, url: str
) -> None:
    for name in [name for name in sys.modules if name.startswith(f"writebehind.databases.{extra}")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, driver, None)
    with pytest.raises(ConfigurationError, match=rf'pip install "writebehind\[{extra}\]"'):
        open_database(url)


def test_the_connection_that_was_used_last_is_used_next() -> None:
    idle: IdleConnections[str] = IdleConnections(lambda _: None)
    idle.give_back("a")
    idle.give_back("b")
    assert [kept and kept[0] for kept in (idle.take(), idle.take(), idle.take())] == ["b", "a", None]


def test_more_connections_than_enough_are_closed() -> None:
    closed: list[int] = []
    idle: IdleConnections[int] = IdleConnections(closed.append)
    for number in range(MAX_IDLE_CONNECTIONS + 2):
        idle.give_back(number)
    assert closed == [MAX_IDLE_CONNECTIONS, MAX_IDLE_CONNECTIONS + 1]


def test_what_comes_back_after_the_end_is_closed() -> None:
    closed: list[str] = []
    idle: IdleConnections[str] = IdleConnections(closed.append)
    idle.give_back("a")
    idle.clear(closed=True)
    idle.give_back("b")
    assert closed == ["a", "b"]


def test_a_forked_child_leaves_its_parents_connections_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    closed: list[str] = []
    idle: IdleConnections[str] = IdleConnections(closed.append)
    idle.give_back("of the parent")

    parent = os.getpid()
    monkeypatch.setattr(os, "getpid", lambda: parent + 1)

    assert idle.take() is None
    idle.clear()
    assert closed == []
