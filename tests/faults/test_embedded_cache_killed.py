"""The embedded server is killed under its application: it is started again, and nothing is lost."""

from __future__ import annotations

import os
import signal
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from writebehind import WriteBehind


def test_the_embedded_server_comes_back_and_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    wb = WriteBehind(timeout=30)
    wb.create_counter_table("pages", key=["path"], columns=["hits"])
    hits = wb.counter("pages.hits", missing="insert")
    with wb:
        wb.start_worker()  # a write that was in flight at the kill is settled with the worker's next flush
        for _ in range(3):
            hits.add("/")
            server = int((tmp_path / ".writebehind" / "valkey.pid").read_text())
            os.kill(server, signal.SIGKILL)
            hits.add("/")
        wb.flush(timeout=30)
        assert hits.get("/") == 6
    with closing(sqlite3.connect(tmp_path / ".writebehind" / "data.db")) as connection:
        assert connection.execute("SELECT path, hits FROM pages").fetchall() == [("/", 6)]
