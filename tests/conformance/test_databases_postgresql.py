"""What can go wrong between this process and a PostgreSQL server, and what comes of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from writebehind.databases import open_database
from writebehind.errors import (
    ConfigurationError,
    DatabaseError,
    DatabaseRefused,
    DatabaseUnavailable,
    RowRefused,
)
from writebehind.testing.postgresql import TemporaryPostgres


@pytest.fixture(scope="module")
def own_server() -> Iterator[TemporaryPostgres]:
    """A server for these tests alone, to be killed and restarted."""
    with TemporaryPostgres(settings={"fsync": "off"}) as server:
        yield server


@pytest.fixture
def killable(own_server: TemporaryPostgres, postgres: Any) -> Iterator[Any]:
    """A fresh database with a ledger and one video on a server that may be killed."""
    own_server.start()
    bench = type(postgres)(own_server.create_database(), "postgresql")
    bench.server = own_server
    prepare(bench)
    yield bench
    bench.database.close()


def prepare(bench: Any) -> Any:
    bench.database.create_ledger()
    bench.sql("CREATE TABLE videos (id bigint PRIMARY KEY, likes bigint NOT NULL DEFAULT 0)")
    bench.sql("INSERT INTO videos VALUES (1, 0)")
    return bench.bind("videos.likes")


def likes_of(bench: Any) -> int:
    [(value,)] = bench.sql("SELECT likes FROM videos WHERE id = 1")
    return int(value)


@pytest.mark.parametrize("how", ["restart", "kill"])
def test_a_restart_between_two_uses_is_not_noticed(killable: Any, how: str) -> None:
    likes = killable.bind("videos.likes")
    killable.add(likes, (1, 1))

    getattr(killable.server, how)()
    killable.server.start()
    killable.database.read_partitions([])
    getattr(killable.server, how)()
    killable.server.start()
    killable.add(likes, (1, 1))

    assert likes_of(killable) == 2


def test_a_server_that_is_down_is_unavailable_until_it_is_back(killable: Any) -> None:
    killable.server.stop()
    with pytest.raises(DatabaseUnavailable, match="could not be reached"):
        killable.database.ping()
    killable.server.start()
    killable.database.ping()


def test_a_server_killed_in_a_transaction_undoes_it(killable: Any) -> None:
    likes = killable.bind("videos.likes")
    with pytest.raises(DatabaseUnavailable), killable.database.transaction() as transaction:  # noqa: PT012
        transaction.add_to_counters(killable.rows_of(likes, (1, 1)))
        killable.server.kill()
        transaction.add_to_counters(killable.rows_of(likes, (1, 1)))
    killable.server.start()
    assert likes_of(killable) == 0


def test_a_connection_lost_in_a_savepoint_is_told_as_what_it_is(killable: Any) -> None:
    with (  # noqa: PT012
        pytest.raises(DatabaseUnavailable, match="locking"),
        killable.database.transaction() as transaction,
        transaction.savepoint(),
    ):
        killable.server.kill()
        transaction.lock_partitions([])
    killable.server.start()


def test_a_connection_lost_at_the_commit_leaves_the_outcome_open(postgres: Any) -> None:
    likes = prepare(postgres)
    postgres.sql(
        "CREATE FUNCTION leave() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NULL; END $$"
    )
    postgres.sql(
        "CREATE CONSTRAINT TRIGGER leave AFTER UPDATE ON videos DEFERRABLE INITIALLY DEFERRED"
        " FOR EACH ROW EXECUTE FUNCTION leave()"
    )
    with pytest.raises(DatabaseUnavailable, match="the outcome of the commit is not known"):
        postgres.add(likes, (1, 1))
    postgres.database.ping()


def test_a_constraint_that_is_checked_at_the_commit_refuses_the_row(postgres: Any) -> None:
    postgres.sql("CREATE TABLE allowed (n bigint PRIMARY KEY); INSERT INTO allowed VALUES (0)")
    postgres.sql(
        "CREATE TABLE t (id int PRIMARY KEY, n bigint REFERENCES allowed DEFERRABLE INITIALLY DEFERRED);"
        "INSERT INTO t VALUES (1, 0)"
    )
    with pytest.raises(RowRefused) as caught:
        postgres.add(postgres.bind("t.n"), (1, 1))
    assert caught.value.sqlstate == "23503"
    assert postgres.sql("SELECT n FROM t") == [(0,)]


def test_a_swallowed_error_does_not_look_like_a_commit(postgres: Any) -> None:
    likes = prepare(postgres)
    with pytest.raises(DatabaseRefused, match="rolled back at its commit"), postgres.database.transaction() as tx:  # noqa: PT012
        tx.add_to_counters(postgres.rows_of(likes, (1, 1)))
        with pytest.raises(RowRefused):
            tx.add_to_counters(postgres.rows_of(likes, (1, 2**63 - 1)))
    assert likes_of(postgres) == 0


def test_what_a_trigger_raises_is_about_the_row(postgres: Any) -> None:
    likes = prepare(postgres)
    postgres.sql(
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'no more likes'; END $$;"
        "CREATE TRIGGER refuse BEFORE UPDATE ON videos FOR EACH ROW EXECUTE FUNCTION refuse()"
    )
    with pytest.raises(RowRefused, match="no more likes"):
        postgres.add(likes, (1, 1))


@pytest.mark.parametrize(
    ("configured", "used"),
    [("off", "on"), ("local", "on"), ("remote_write", "on"), ("on", "on"), ("remote_apply", "remote_apply")],
)
def test_a_flush_is_durable_whatever_is_configured(postgres: Any, configured: str, used: str) -> None:
    postgres.sql(
        "CREATE TABLE t (id int PRIMARY KEY, n int, durable text DEFAULT current_setting('synchronous_commit'),"
        " joins text DEFAULT current_setting('enable_hashjoin') || current_setting('enable_mergejoin'))"
    )
    postgres.database.close()
    postgres.database = open_database(f"{postgres.url}&options=-c%20synchronous_commit%3D{configured}")
    postgres.add(postgres.bind("t.n", missing="insert"), (1, 1))
    assert postgres.sql("SELECT durable, joins FROM t") == [(used, "offoff")]


def test_ten_thousand_rows_are_one_update(killable: Any) -> None:
    killable.sql("INSERT INTO videos SELECT generate_series(2, 10000)")
    likes = killable.bind("videos.likes")
    killable.server.log_statements()
    killable.database.close()
    killable.database = open_database(killable.url)
    size_before = len(killable.server.log_text())

    written = killable.add(likes, *[(number, 1) for number in range(1, 10_001)])

    log = killable.server.log_text()[size_before:]
    killable.server.log_statements(on=False)
    assert (written.rows, written.statements) == (10_000, 1)
    assert log.count('UPDATE "videos"') == 1
    assert log.count("statement: COMMIT\n") == 1


def test_a_lock_that_is_waited_for_too_long_can_be_tried_again(postgres: Any) -> None:
    prepare(postgres)
    [row] = postgres.declared()
    impatient = open_database(f"{postgres.url}&options=-c%20lock_timeout%3D20ms")
    with postgres.database.transaction() as transaction:
        transaction.lock_partitions([row.name])
        with pytest.raises(DatabaseUnavailable), impatient.transaction() as other:
            other.lock_partitions([row.name])
    impatient.close()


def test_a_missing_right_says_which_to_grant(postgres: Any) -> None:
    likes = prepare(postgres)
    postgres.sql("DROP ROLE IF EXISTS reader; CREATE ROLE reader LOGIN; GRANT SELECT ON videos TO reader")
    reader = open_database(postgres.url.replace("postgres@", "reader@"))
    with pytest.raises(DatabaseRefused, match="Grant"), reader.transaction() as transaction:
        transaction.add_to_counters(postgres.rows_of(likes, (1, 1)))
    reader.close()
    postgres.sql("DROP OWNED BY reader; DROP ROLE reader")


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        (("postgres:s3cr3t@/", "nobody:s3cr3t@/"), DatabaseRefused),
        (("/test_", "/absent_"), DatabaseRefused),
        (("host=", "host=%2Fnowhere"), DatabaseUnavailable),
        (("host=", "host=127.0.0.1&port=1&application_name="), DatabaseUnavailable),
    ],
)
def test_a_refused_connection_says_why_and_never_the_password(
    postgres: Any, change: tuple[str, str], kind: type[DatabaseError]
) -> None:
    url = postgres.url.replace("postgres@/", "postgres:s3cr3t@/").replace(*change)
    with pytest.raises(kind) as caught:
        open_database(url).ping()
    assert "s3cr3t" not in f"{caught.value!r} {caught.value.__cause__!r}"


@pytest.mark.parametrize(
    "url",
    ["postgresql://u:s3cr3t@host:port/db", "postgresql://u:s3cr3t%zz@host/db", "postgres://host/db?nonsense=1"],
)
def test_a_wrong_url_is_a_wrong_setting(url: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        open_database(url).ping()
    assert "s3cr3t" not in f"{caught.value!r} {caught.value.__cause__!r}"
