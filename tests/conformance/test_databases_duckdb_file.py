"""DuckDB's file: one process at a time, several threads, kills, links, forks; and keys that are changed many times."""

from __future__ import annotations

import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import duckdb
import pytest

from writebehind.databases import open_database
from writebehind.databases.contract import DeadLetter, EventRows
from writebehind.databases.ledger import PRUNE_EVERY_COMMITS
from writebehind.errors import DatabaseRefused, DatabaseUnavailable
from writebehind.mapping import BoundEvents, EventMapping

HOLDER = """
import sys, duckdb
connection = duckdb.connect(sys.argv[1])
print("open", flush=True)
sys.stdin.read()
"""


def path_of(warehouse: Any) -> Path:
    return Path(warehouse.url.removeprefix("duckdb:///"))


def clicks_of(warehouse: Any) -> BoundEvents:
    """The log of a new table ``clicks (page)``."""
    warehouse.sql("CREATE TABLE clicks (page VARCHAR)")
    return EventMapping.parse("clicks").bind(warehouse.database.table_shape("clicks"))


def hold(warehouse: Any) -> subprocess.Popen[str]:
    """Another process that has the file open until its standard input ends."""
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path_of(warehouse))],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "open\n"
    return holder


def run(program: str, warehouse: Any) -> subprocess.CompletedProcess[str]:
    """Run a program that is given the database's URL."""
    beginning = """
import os, signal, sys
import duckdb
from writebehind.chain import Link
from writebehind.databases import open_database
from writebehind.databases.contract import EventRows, PartitionName
from writebehind.mapping import EventMapping

url = sys.argv[1]
database = open_database(url)

def append(transaction, page):
    log = EventMapping.parse("clicks").bind(database.table_shape("clicks"))
    transaction.append_events(EventRows(log, [{"page": page}], [1]))
"""
    return subprocess.run(
        [sys.executable, "-c", beginning + program, warehouse.url], check=False, capture_output=True, text=True
    )


def test_another_process_that_has_the_file_is_waited_for(warehouse: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    warehouse.database.create_ledger()
    with hold(warehouse) as holder:
        looked = []
        connect = duckdb.connect

        def look(*arguments: Any) -> Any:
            if len(looked) == 2:
                holder.communicate()  # it lets go while somebody waits
            looked.append(arguments)
            return connect(*arguments)

        monkeypatch.setattr("writebehind.databases.duckdb.connections.duckdb.connect", look)
        warehouse.database.ping()
        assert len(looked) >= 3


def test_a_file_that_stays_with_another_process_is_unavailable(warehouse: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    warehouse.database.create_ledger()
    monkeypatch.setattr("writebehind.databases.duckdb.connections.BUSY_TIMEOUT_S", 0.05)
    with hold(warehouse) as holder:
        with pytest.raises(DatabaseUnavailable, match=str(holder.pid)) as caught:
            warehouse.database.ping()
        assert caught.value.retryable
        assert "one process at a time" in caught.value.fix
        holder.communicate()
    warehouse.database.ping()


def test_the_application_may_have_the_file_open_too(warehouse: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    clicks = clicks_of(warehouse)
    with duckdb.connect(str(path_of(warehouse))) as own:
        with warehouse.database.transaction() as transaction:
            transaction.append_events(EventRows(clicks, [{"page": "/"}], [1]))
        assert own.execute("SELECT * FROM clicks").fetchall() == [("/",)]
    monkeypatch.setattr("writebehind.databases.duckdb.connections.BUSY_TIMEOUT_S", 0.05)
    with (
        duckdb.connect(str(path_of(warehouse)), read_only=True),
        pytest.raises(DatabaseUnavailable, match="different configuration") as caught,
    ):
        warehouse.database.ping()
    assert "read_only" in caught.value.fix
    warehouse.database.ping()


def test_a_file_that_is_no_database_is_refused(warehouse: Any) -> None:
    path_of(warehouse).write_bytes(b"x" * 5000)
    with pytest.raises(DatabaseRefused, match="not a valid DuckDB database"):
        warehouse.database.ping()


def test_threads_take_turns(warehouse: Any) -> None:
    clicks = clicks_of(warehouse)

    def write(thread: int) -> None:
        database = open_database(warehouse.url) if thread % 2 else warehouse.database
        for number in range(5):
            with database.transaction() as transaction:
                transaction.append_events(EventRows(clicks, [{"page": f"/{thread}/{number}"}], [1]))

    with ThreadPoolExecutor(4) as threads:
        for done in [threads.submit(write, thread) for thread in range(4)]:
            done.result()
    pages = [page for (page,) in warehouse.sql("SELECT page FROM clicks")]
    assert sorted(pages) == [f"/{thread}/{number}" for thread in range(4) for number in range(5)]
    for thread in range(4):
        own = [page for page in pages if page.startswith(f"/{thread}/")]
        assert own == sorted(own)


def test_a_thread_that_waits_for_long_is_told(warehouse: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("writebehind.databases.duckdb.connections.BUSY_TIMEOUT_S", 0.05)
    with (
        warehouse.database.transaction(),
        ThreadPoolExecutor(1) as threads,
        pytest.raises(DatabaseUnavailable, match="another thread"),
    ):
        threads.submit(warehouse.database.ping).result()
    warehouse.database.ping()


def test_a_link_to_the_file_does_not_cost_its_lock(warehouse: Any, tmp_path: Path) -> None:
    warehouse.database.create_ledger()
    link = tmp_path / "link.duckdb"
    link.symlink_to(path_of(warehouse))
    with warehouse.database.transaction():
        open_database(f"duckdb:///{link}").ping()  # opened and closed by its other name
        other = run("duckdb.connect(url.removeprefix('duckdb:///'))", warehouse)
    assert "Could not set lock" in other.stderr


def test_a_forked_child_leaves_what_was_open_alone(warehouse: Any) -> None:
    clicks_of(warehouse)
    ended = run(
        """
from writebehind.errors import DatabaseRefused
with database.transaction() as transaction:
    append(transaction, "/parent")
    child = os.fork()
    if child == 0:
        try:
            open_database(url).ping()
        except DatabaseRefused as error:
            print(error.what, error.why, flush=True)
            os._exit(7)
        os._exit(0)
    print("child", os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
if os.fork() == 0:
    database.ping()  # nothing was open at this fork
    os._exit(0)
print("other child", os.waitstatus_to_exitcode(os.wait()[1]))
""",
        warehouse,
    )
    assert ended.returncode == 0, ended.stderr
    assert "forked" in ended.stdout
    assert ended.stdout.endswith("child 7\nother child 0\n")
    assert warehouse.sql("SELECT * FROM clicks") == [("/parent",)]


def test_what_was_committed_outlives_a_kill(warehouse: Any) -> None:
    clicks_of(warehouse)
    ended = run(
        """
with database.transaction() as transaction:
    append(transaction, "/")
with database.transaction() as transaction:
    append(transaction, "/lost")
    os.kill(os.getpid(), signal.SIGKILL)
""",
        warehouse,
    )
    assert ended.returncode == -signal.SIGKILL, ended.stderr
    assert warehouse.sql("SELECT * FROM clicks") == [("/",)]


def test_the_ledger_comes_back_from_the_log_however_often_its_keys_were_changed(warehouse: Any) -> None:
    # Keeping the file open keeps DuckDB from moving its log into the file when a transaction has ended. Within DuckDB
    # an update may be a removal and an insertion, and a key that was removed is in its index until the commit.
    clicks_of(warehouse)
    warehouse.database.create_ledger()
    [row] = warehouse.declared()
    moves = 2 * PRUNE_EVERY_COMMITS
    ended = run(
        f"""
keeper = duckdb.connect(url.removeprefix("duckdb:///"))
name = PartitionName("app", "videos.likes", 0)
number = 0
while number < {moves}:
    with database.transaction() as transaction:
        [row] = transaction.lock_partitions([name])
        for _ in range(8):
            number += 1
            transaction.write_marks(row, "i1", {{"p": number, "q": 2 * number, f"r{{number % 3}}": number}})
            transaction.write_marks(row, "i1", {{"p": number - 1}})
            link = Link(f"b{{number}}", "root", "i1", f"birth{{number}}", number, size=1, first_write_ms=0)
            assert transaction.move_head(row, link, 1) == number
            transaction.close_incarnation(row, "i0")
        append(transaction, f"/{{number}}")
    if number == 8:
        keeper.execute("UPDATE writebehind_batches SET applied_at = '2001-01-01T00:00:00Z'")
os.kill(os.getpid(), signal.SIGKILL)
""",
        warehouse,
    )
    assert ended.returncode == -signal.SIGKILL, ended.stderr
    assert path_of(warehouse).with_suffix(".duckdb.wal").stat().st_size > 0

    def marks() -> list[int]:
        with warehouse.database.transaction() as transaction:
            return [transaction.read_mark(row, producer, "i1") for producer in ("p", "q", "r0", "r1", "r2")]

    for _ in range(2):  # from the log, then from the file
        [found] = warehouse.database.read_partitions([row.name])
        assert (found.head, found.commit_number) == (f"b{moves}", moves)
        assert marks() == [moves, 2 * moves, *(moves - (moves - rest) % 3 for rest in range(3))]
    batches = warehouse.sql("SELECT batch FROM writebehind_batches")
    assert sorted(batches) == sorted((f"b{number}",) for number in range(9, moves + 1))  # the old ones are forgotten
    assert warehouse.sql("SELECT page FROM clicks") == [(f"/{number}",) for number in range(8, moves + 1, 8)]
    with warehouse.database.transaction() as transaction:
        transaction.write_marks(row, "i1", {"p": moves + 1})
        assert transaction.move_head(row, warehouse.link(), 1) == moves + 1
    assert marks()[0] == moves + 1


def test_a_commit_that_the_disk_refuses_is_unavailable_and_nothing(warehouse: Any) -> None:
    clicks_of(warehouse)
    ended = run(
        """
import resource
from writebehind.errors import DatabaseUnavailable
keeper = duckdb.connect(url.removeprefix("duckdb:///"))
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
try:
    with database.transaction() as transaction:
        append(transaction, "/" * 100_000)
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, resource.RLIM_INFINITY))
except DatabaseUnavailable as error:
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    print(error.what)
""",
        warehouse,
    )
    assert ended.stdout == "the outcome of the commit is not known\n", ended.stderr
    assert warehouse.sql("SELECT * FROM clicks") == []


def test_many_dead_letters_keep_their_order(warehouse: Any) -> None:
    warehouse.database.create_ledger()
    row, other = warehouse.declared(0, 1)
    letters = [
        DeadLetter((row, other)[number % 2].row_id, str(number), "append", "{}", "quarantine", "", "", "batch", "birth")
        for number in range(20_000)
    ]
    with warehouse.database.transaction() as transaction:
        transaction.add_dead_letters(letters)
    assert warehouse.database.dead_letters(row.name, ["birth"]) == letters[::2]
    assert warehouse.database.dead_letters(other.name, ["birth"]) == letters[1::2]
