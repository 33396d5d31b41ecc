"""Leaderboards: what every database does with scores, and how it reads a board."""

from __future__ import annotations

import math
import random
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from writebehind.changes import ScoreChange
from writebehind.databases.contract import PartitionName, RowsWritten, ScoreRows
from writebehind.errors import ColumnRefused, LedgerMissing, RowRefused
from writebehind.mapping import BoundLeaderboard, LeaderboardMapping
from writebehind.scores import HIGHEST_EXACT
from writebehind.values import INT64_MAX

PARTITION = PartitionName("app", "scores.points", 0)
KEEPS = ("max", "min", "last", "sum")
FLOAT = {"postgresql": "double precision", "sqlite": "REAL"}
TEXT_KEY = {"postgresql": "text", "sqlite": "TEXT"}


def bind(bench: Any, target: str = "scores.points", **options: Any) -> BoundLeaderboard:
    """A leaderboard, bound to its table as the database describes it."""
    mapping = LeaderboardMapping.parse(target, **({"member": "player", "board": "game"} | options))
    return mapping.bind(bench.database.table_shape(mapping.table))


def rows_of(board: BoundLeaderboard, changes: dict[tuple[Any, ...], ScoreChange]) -> ScoreRows:
    keys = sorted(changes)
    return ScoreRows(board, keys, [changes[key] for key in keys])


def write(bench: Any, board: BoundLeaderboard, changes: dict[tuple[Any, ...], ScoreChange]) -> RowsWritten:
    with bench.database.transaction() as transaction:
        written = transaction.write_scores(rows_of(board, changes))
        assert isinstance(written, RowsWritten)
        return written


def read(bench: Any, board: BoundLeaderboard, *key: Any) -> dict[str, int | float]:
    with bench.database.read_board(PARTITION, board, key, None) as found:
        return {member: units for part in found.slices for member, units in part}


def merge(units: int | float) -> ScoreChange:
    return ScoreChange("merge", units)


def replace(units: int | float) -> ScoreChange:
    return ScoreChange("set", units)


REMOVE = ScoreChange("delete")


@pytest.fixture
def boards(bench: Any) -> Any:
    """A fresh database with a ledger and the table ``scores (game, player, points)``."""
    bench.database.create_ledger()
    text = TEXT_KEY[bench.dialect]
    bench.sql(
        f"CREATE TABLE scores (game {text}, player BIGINT, points BIGINT, medals BIGINT NOT NULL DEFAULT 7,"
        " PRIMARY KEY (game, player))"
    )
    return bench


@pytest.mark.parametrize(
    ("keep", "lower", "higher"), [("max", 10, 20), ("min", 5, 10), ("last", 5, 20), ("sum", 15, 30)]
)
def test_scores_meet_the_row_by_the_boards_rule(boards: Any, keep: str, lower: int, higher: int) -> None:
    boards.sql("INSERT INTO scores (game, player, points) VALUES ('go', 1, 10), ('go', 2, 10), ('go', 3, NULL)")
    board = bind(boards, keep=keep)

    written = write(
        boards,
        board,
        {("go", 1): merge(5), ("go", 2): merge(20), ("go", 3): merge(-3), ("go", 4): merge(-4), ("chess", 1): merge(1)},
    )

    assert written.rows == 5
    assert boards.sql("SELECT player, points, medals FROM scores WHERE game = 'go' ORDER BY player") == [
        (1, lower, 7),
        (2, higher, 7),
        (3, -3, 7),
        (4, -4, 7),
    ]
    assert read(boards, board, "go") == {"1": lower, "2": higher, "3": -3, "4": -4}
    assert read(boards, board, "chess") == {"1": 1}


@pytest.mark.parametrize("keep", KEEPS)
def test_set_replaces_and_delete_removes(boards: Any, keep: str) -> None:
    boards.sql(
        "INSERT INTO scores VALUES ('go', 1, 10, 0), ('go', 2, 10, 0), ('go', 3, NULL, 0), ('go', 4, 10, 0),"
        " ('go', 5, 10, 0)"
    )
    board = bind(boards, keep=keep)

    written = write(
        boards,
        board,
        {
            ("go", 1): replace(5),
            ("go", 2): replace(20),
            ("go", 3): replace(1),
            ("go", 4): REMOVE,
            ("go", 6): replace(6),
            ("go", 7): REMOVE,
            ("go", 8): merge(8),
        },
    )

    assert written.rows == 6  # a row that is not there is not removed
    assert boards.sql("SELECT player, points, medals FROM scores ORDER BY player") == [
        (1, 5, 0),  # other columns stay
        (2, 20, 0),
        (3, 1, 0),
        (5, 10, 0),
        (6, 6, 7),
        (8, 8, 7),
    ]


def test_nothing_is_no_statement(boards: Any) -> None:
    written = write(boards, bind(boards), {})
    assert (written.rows, written.statements) == (0, 0)


CHANGES = st.one_of(
    st.builds(merge, st.integers(-1000, 1000)), st.builds(replace, st.integers(-1000, 1000)), st.just(REMOVE)
)
HISTORIES = st.dictionaries(st.integers(0, 5), st.lists(CHANGES, min_size=1, max_size=4), max_size=6)
STORED = st.dictionaries(st.integers(0, 5), st.none() | st.integers(-1000, 1000), max_size=6)


def one_by_one(present: int | None, change: ScoreChange, keep: str) -> int | None:
    """The model: what one change makes of a score; None is no score."""
    if change.operation == "delete":
        return None
    new = int(change.units)
    if change.operation == "set" or present is None:
        return new
    return {"max": max(present, new), "min": min(present, new), "last": new, "sum": present + new}[keep]


@pytest.mark.parametrize("keep", KEEPS)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(stored=STORED, histories=HISTORIES)
def test_merged_changes_do_what_they_would_do_one_by_one(
    boards: Any, keep: str, stored: dict[int, int | None], histories: dict[int, list[ScoreChange]]
) -> None:
    boards.sql("DELETE FROM scores")
    for player, points in stored.items():
        boards.sql("INSERT INTO scores (game, player, points) VALUES ('go', %s, %s)", (player, points))
    model = dict(stored)
    merged: dict[tuple[Any, ...], ScoreChange] = {}
    for player, history in histories.items():
        whole = history[0]
        for change in history[1:]:
            whole = whole.then(change, keep)
        merged["go", player] = whole
        for change in history:
            model[player] = one_by_one(model.get(player), change, keep)
    board = bind(boards, keep=keep)

    write(boards, board, merged)

    expected = {str(player): points for player, points in model.items() if points is not None}
    assert read(boards, board, "go") == expected


def test_a_table_without_a_board_column_is_one_board(bench: Any) -> None:
    bench.database.create_ledger()
    bench.sql("CREATE TABLE scores (player UUID PRIMARY KEY, points INTEGER)")
    ada, bob = uuid.UUID("aaaaaaaa-0000-4000-8000-0000000000ff"), uuid.UUID(int=7)
    board = bind(bench, board=None)

    write(bench, board, {(ada,): merge(3), (bob,): merge(4)})
    write(bench, board, {(ada,): merge(2), (bob,): merge(5)})

    assert read(bench, board) == {"aaaaaaaa-0000-4000-8000-0000000000ff": 3, str(bob): 5}


STRANGE_TEXTS = ["", " ", "%s", "%(k0)s", "a'b", 'a"b', "{k}", "?", "\\", "\t", "\n", "naïve", "日本", "a,b", "NULL"]


def test_strange_names_and_members(bench: Any) -> None:
    bench.database.create_ledger()
    text = TEXT_KEY[bench.dialect]
    bench.sql(
        f'CREATE TABLE "50% off" ("a ""key""" {text}, "m{{}}?" {text}, "p:%" BIGINT,'
        ' PRIMARY KEY ("m{}?", "a ""key"""))'
    )
    board = bind(bench, "50% off.p:%", member="m{}?", board='a "key"', keep="sum")
    changes = {("%s", member): merge(number) for number, member in enumerate(STRANGE_TEXTS)}

    write(bench, board, changes)
    write(bench, board, {key: change for key, change in changes.items() if change.units != 3})
    write(bench, board, {("%s", STRANGE_TEXTS[0]): REMOVE})

    expected = {member: number * (1 if number == 3 else 2) for number, member in enumerate(STRANGE_TEXTS)}
    del expected[STRANGE_TEXTS[0]]
    assert read(bench, board, "%s") == expected


def test_boards_may_be_numbers_of_any_width(bench: Any) -> None:
    bench.database.create_ledger()
    bench.sql("CREATE TABLE scores (game SMALLINT, player INTEGER, points SMALLINT, PRIMARY KEY (game, player))")
    board = bind(bench)
    write(bench, board, {(1, 1): merge(1), (1, 2): merge(2), (2, 1): merge(3)})
    write(bench, board, {(1, 1): merge(0), (1, 2): merge(20)})
    assert read(bench, board, 1) == {"1": 1, "2": 20}
    assert read(bench, board, 70_000) == {}


@pytest.mark.parametrize("keep", KEEPS)
def test_decimals_are_units_of_their_scale(postgres: Any, keep: str) -> None:
    postgres.database.create_ledger()
    postgres.sql("CREATE TABLE scores (player bigint PRIMARY KEY, points numeric(17, 2))")
    postgres.sql("INSERT INTO scores VALUES (1, 1.10), (2, -0.01), (3, NULL)")
    board = bind(postgres, board=None, keep=keep)
    highest = 10**15 - 1

    write(postgres, board, {(1,): merge(111), (2,): merge(-2), (3,): merge(5), (4,): merge(highest)})

    expected = {"max": (111, -1), "min": (110, -2), "last": (111, -2), "sum": (221, -3)}[keep]
    assert read(postgres, board) == {"1": expected[0], "2": expected[1], "3": 5, "4": highest}


FLOATS = [0.1, -1e300, 1e-320, 5e-324, 1.7976931348623157e308, 2.5, 1 / 3, 123456789.123456789, 0.0]


@pytest.mark.parametrize("keep", ["max", "min", "last"])
def test_floats_are_kept_exactly(bench: Any, keep: str) -> None:
    bench.database.create_ledger()
    bench.sql(f"CREATE TABLE scores (player BIGINT PRIMARY KEY, points {FLOAT[bench.dialect]})")
    board = bind(bench, board=None, keep=keep)
    write(bench, board, {(number,): merge(units) for number, units in enumerate(FLOATS)})
    assert read(bench, board) == {str(number): units for number, units in enumerate(FLOATS)}

    write(bench, board, {(number,): merge(math.nextafter(units, math.inf)) for number, units in enumerate(FLOATS[:4])})
    write(bench, board, {(5,): replace(-2.0), (6,): REMOVE})

    found = read(bench, board)
    assert all(isinstance(units, float) for units in found.values())
    expected = [units if keep == "min" else math.nextafter(units, math.inf) for units in FLOATS[:4]]
    assert [found[str(number)] for number in range(4)] == expected
    assert (found["5"], "6" in found) == (-2.0, False)


def test_sums_of_floats_and_columns_that_would_round_are_refused(postgres: Any) -> None:
    postgres.sql("CREATE TABLE scores (player bigint PRIMARY KEY, points double precision, brief real)")
    with pytest.raises(ColumnRefused, match="sums of floating-point"):
        bind(postgres, board=None, keep="sum")
    with pytest.raises(ColumnRefused, match="would round"):
        bind(postgres, "scores.brief", board=None)


def test_nan_is_no_score(postgres: Any) -> None:
    # PostgreSQL alone keeps NaN, and calls it higher than every number: no score would ever beat it.
    postgres.database.create_ledger()
    postgres.sql("CREATE TABLE scores (player bigint PRIMARY KEY, points double precision, price numeric(9, 2))")
    postgres.sql("INSERT INTO scores VALUES (1, 'NaN', 'NaN'), (2, 'NaN', 'NaN'), (3, 5, 5)")
    points, prices = bind(postgres, board=None), bind(postgres, "scores.price", board=None, keep="sum")
    assert (read(postgres, points), read(postgres, prices)) == ({"3": 5.0}, {"3": 500})

    write(postgres, points, {(1,): merge(4.0)})
    write(postgres, prices, {(1,): merge(4)})

    assert (read(postgres, points), read(postgres, prices)) == ({"1": 4.0, "3": 5.0}, {"1": 4, "3": 500})


def test_the_whole_exact_range_is_kept(boards: Any) -> None:
    board = bind(boards, keep="last")
    write(boards, board, {("go", 1): merge(HIGHEST_EXACT), ("go", 2): merge(-HIGHEST_EXACT)})
    assert read(boards, board, "go") == {"1": HIGHEST_EXACT, "2": -HIGHEST_EXACT}


def test_an_existing_row_is_checked_by_its_sum_not_by_the_amount(bench: Any) -> None:
    bench.database.create_ledger()
    bench.sql("CREATE TABLE scores (player BIGINT PRIMARY KEY, points BIGINT NOT NULL CHECK (points >= 0))")
    bench.sql("INSERT INTO scores VALUES (1, 5)")
    board = bind(bench, board=None, keep="sum")

    write(bench, board, {(1,): merge(-2), (2,): merge(3)})
    assert read(bench, board) == {"1": 3, "2": 3}

    with pytest.raises(RowRefused) as caught:
        write(bench, board, {(1,): merge(1), (2,): merge(-4)})
    assert caught.value.sqlstate == "23514"
    assert read(bench, board) == {"1": 3, "2": 3}


@pytest.mark.parametrize("bad", [merge(INT64_MAX), replace(INT64_MAX + 1)])
def test_a_refused_row_is_undone_by_a_savepoint(boards: Any, bad: ScoreChange) -> None:
    boards.sql("INSERT INTO scores (game, player, points) VALUES ('go', 1, 1), ('go', 2, 2), ('go', 3, 3)")
    board = bind(boards, keep="sum")

    with boards.database.transaction() as transaction:
        with pytest.raises(RowRefused) as caught, transaction.savepoint():
            transaction.write_scores(
                rows_of(board, {("go", 1): merge(1), ("go", 2): bad, ("go", 3): REMOVE, ("go", 4): merge(4)})
            )
        transaction.write_scores(rows_of(board, {("go", 3): merge(30)}))

    assert caught.value.sqlstate == "22003"
    assert read(boards, board, "go") == {"1": 1, "2": 2, "3": 33}


def test_a_score_beyond_its_column_is_refused(postgres: Any) -> None:
    postgres.database.create_ledger()
    postgres.sql("CREATE TABLE scores (player bigint PRIMARY KEY, points smallint, price numeric(4, 2))")
    for target in ("scores.points", "scores.price"):
        board = bind(postgres, target, board=None)
        for _ in range(2):  # a row that is missing, and one that is there
            with pytest.raises(RowRefused) as caught:
                write(postgres, board, {(1,): merge(40_000)})
            assert caught.value.sqlstate == "22003"
            postgres.sql("INSERT INTO scores VALUES (1, 1, 1) ON CONFLICT DO NOTHING")


def test_one_statement_writes_what_merges_and_three_what_is_mixed(postgres: Any) -> None:
    postgres.sql("CREATE TABLE scores (player bigint PRIMARY KEY, points bigint)")
    board = bind(postgres, board=None)
    assert write(postgres, board, {(n,): merge(n) for n in range(100)}).statements == 1
    assert write(postgres, board, {(n,): merge(n) for n in range(50, 150)}).statements == 1
    mixed = {(1,): merge(1), (2,): replace(1), (3,): REMOVE}
    assert write(postgres, board, mixed).statements == 3
    assert write(postgres, bind(postgres, board=None, keep="last"), mixed).statements == 2


@pytest.mark.parametrize(("keep", "merged"), [("max", 100), ("min", 5), ("last", 5), ("sum", 105)])
def test_a_row_that_somebody_inserts_meanwhile_is_met_by_the_rule(postgres: Any, keep: str, merged: int) -> None:
    postgres.database.create_ledger()
    postgres.sql("CREATE TABLE scores (player bigint PRIMARY KEY, points bigint)")
    board = bind(postgres, board=None, keep=keep)
    with psycopg.connect(postgres.url) as rival, ThreadPoolExecutor(1) as threads:
        rival.execute("INSERT INTO scores VALUES (1, 100), (2, 100)")
        writing = threads.submit(write, postgres, board, {(1,): merge(5), (3,): merge(3)})
        wait_for_a_blocked_session(postgres)
        rival.commit()
        writing.result()
        rival.execute("INSERT INTO scores VALUES (4, 100)")
        writing = threads.submit(write, postgres, board, {(4,): replace(5)})
        wait_for_a_blocked_session(postgres)
        rival.commit()
        writing.result()
    assert read(postgres, board) == {"1": merged, "2": 100, "3": 3, "4": 5}


def wait_for_a_blocked_session(bench: Any) -> None:
    """Until some session waits for another's row."""
    deadline = time.monotonic() + 30
    while not bench.sql("SELECT 1 FROM pg_locks WHERE NOT granted"):
        assert time.monotonic() < deadline, "nobody waits"


def fill_board(bench: Any, count: int) -> None:
    if bench.dialect == "postgresql":
        bench.sql("INSERT INTO scores SELECT 'go', n, n * 3 FROM generate_series(1, %s) AS n", (count,))
    else:
        bench.sql(
            "WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < %s)"
            " INSERT INTO scores (game, player, points) SELECT 'go', n, n * 3 FROM numbers",
            (count,),
        )


def test_a_large_board_comes_in_slices(boards: Any) -> None:
    count = 100_000
    fill_board(boards, count)
    boards.sql("INSERT INTO scores (game, player, points) VALUES ('go', 0, NULL), ('chess', 1, 1)")

    with boards.database.read_board(PARTITION, bind(boards), ("go",), None) as found:
        slices = [list(part) for part in found.slices]

    assert [len(part) for part in slices] == [10_000] * 10
    assert {member: units for part in slices for member, units in part} == {
        str(number): number * 3 for number in range(1, count + 1)
    }


def test_a_board_is_one_snapshot_with_its_head(boards: Any) -> None:
    fill_board(boards, 30_000)
    board = bind(boards, keep="sum")
    (row,) = boards.declared(mapping="scores.points")
    first = boards.link()
    with boards.database.transaction() as transaction:
        transaction.move_head(row, first, 1)

    with boards.database.read_board(PARTITION, board, ("go",), first.identity) as found:
        units = dict(next(found.slices))
        second = boards.link(first.identity)
        with boards.database.transaction() as transaction:  # commits while the board is being read
            transaction.write_scores(
                rows_of(board, {("go", 1): REMOVE, ("go", 29_999): merge(5), ("go", 90_000): merge(1)})
            )
            transaction.move_head(row, second, 3)
        units |= {member: score for part in found.slices for member, score in part}

    assert (found.head, found.front_is_applied) == (first.identity, True)
    assert units == {str(number): number * 3 for number in range(1, 30_001)}
    with boards.database.read_board(PARTITION, board, ("go",), "never") as found:
        assert (found.head, found.front_is_applied) == (second.identity, False)
        assert sum(map(len, found.slices)) == 30_000


def test_a_board_of_an_undeclared_partition_has_the_head_root(boards: Any) -> None:
    with boards.database.read_board(PARTITION, bind(boards), ("go",), "b1") as found:
        assert (found.head, found.front_is_applied, list(found.slices)) == ("root", False, [])


def test_a_board_needs_the_ledger(bench: Any) -> None:
    bench.sql("CREATE TABLE scores (player BIGINT PRIMARY KEY, points BIGINT)")
    board = bind(bench, board=None)
    with pytest.raises(LedgerMissing), bench.database.read_board(PARTITION, board, (), None):
        pass


def test_a_board_that_is_left_early_holds_nothing(boards: Any) -> None:
    fill_board(boards, 30_000)
    board = bind(boards)
    with boards.database.read_board(PARTITION, board, ("go",), None) as found:
        next(found.slices)
    with pytest.raises(LookupError), boards.database.read_board(PARTITION, board, ("go",), None) as again:  # noqa: PT012
        next(again.slices)
        raise LookupError

    # The connection is used again, sees what was committed since, and the slices of before do not disturb it.
    boards.sql("DELETE FROM scores WHERE player > 10")
    assert len(read(boards, board, "go")) == 10
    assert list(found.slices) == []


def test_random_boards_of_many_rows(boards: Any) -> None:
    board = bind(boards, keep="max")
    model: dict[tuple[Any, ...], int] = {}
    chance = random.Random(7)
    for _ in range(3):
        changes = {}
        for player in chance.sample(range(3000), 2000):
            change = chance.choice([merge, merge, merge, replace, lambda _: REMOVE])(chance.randrange(1000))
            changes["go", player] = change
            after = one_by_one(model.get(("go", player)), change, "max")
            model.pop(("go", player), None)
            if after is not None:
                model["go", player] = after
        write(boards, board, changes)
        assert read(boards, board, "go") == {str(player): points for (_, player), points in model.items()}
