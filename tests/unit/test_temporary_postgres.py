"""The server that other tests rely on leaves nothing behind, however its process ends."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import psutil
import psycopg
import pytest

from writebehind.testing.postgresql import TemporaryPostgres

CHILD = """
import sys, time
from writebehind.testing.postgresql import TemporaryPostgres
server = TemporaryPostgres()
server.start()
print(server.pid, server.url(), flush=True)
if sys.argv[1] == "wait":
    time.sleep(600)
"""


def folder_of(url: str) -> Path:
    return Path(psycopg.conninfo.conninfo_to_dict(url)["host"])


@pytest.mark.parametrize("end", ["return", "kill", "interrupt"])
def test_nothing_is_left_however_the_process_ends(end: str, wait_until: Callable[[Callable[[], bool]], None]) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", CHILD, "return" if end == "return" else "wait"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as child:
        assert child.stdout is not None
        pid, url = child.stdout.readline().split()
        if end != "return":
            child.send_signal(signal.SIGKILL if end == "kill" else signal.SIGINT)
    wait_until(lambda: not psutil.pid_exists(int(pid)) and not folder_of(url).exists())


def test_databases_survive_a_kill_and_are_gone_with_the_server() -> None:
    with TemporaryPostgres(settings={"fsync": "off"}) as server:
        one, other = server.create_database(), server.create_database()
        assert one != other
        with psycopg.connect(one) as connection:
            connection.execute("CREATE TABLE t AS SELECT 1 AS n")
        children = psutil.Process(server.pid).children()
        server.kill()
        assert not any(child.is_running() for child in children)
        server.start()
        with psycopg.connect(one) as connection:
            assert connection.execute("SELECT n FROM t").fetchone() == (1,)
        folder = folder_of(one)
    assert not folder.exists()


def test_a_server_that_cannot_start_says_why() -> None:
    server = TemporaryPostgres(settings={"shared_buffers": "nonsense"})
    with pytest.raises(RuntimeError, match="shared_buffers"):
        server.start()
    server.close()
