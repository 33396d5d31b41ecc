"""Any sequence of puts, patches and deletions, with flushes and evictions anywhere, ends as direct SQL would end."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from writebehind import WriteBehind
from writebehind.testing.valkey import TemporaryValkey

quick = settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
VALUES = st.dictionaries(st.sampled_from(["a", "b", "c"]), st.none() | st.text('xé\\"/\n', max_size=3), min_size=1)
STEPS = st.lists(
    st.tuples(st.sampled_from(["put", "patch", "patch", "delete", "flush", "evict", "read"]), VALUES), max_size=14
)
Row = dict[str, Any] | None


def plain(row: Row, what: str, values: dict[str, Any], *, default: str) -> Row:
    """What SQL does to the row."""
    new = {"a": None, "b": None, "c": default}
    if what == "delete":
        return None
    return {**new, **values} if what == "put" or row is None else {**row, **values}


def test_one_writer_against_a_plain_dictionary(valkey: TemporaryValkey, videos) -> None:
    videos.run("CREATE TABLE things (id BIGINT PRIMARY KEY, a TEXT, b TEXT, c TEXT DEFAULT 'd')")
    wb = WriteBehind(cache=valkey.url, database=videos.url)
    things = wb.records("things")
    keys = iter(range(1_000_000))

    @quick
    @given(steps=STEPS)
    def check(steps: list[tuple[str, dict[str, Any]]]) -> None:
        key, row = next(keys), None
        for what, values in steps:
            if what in ("put", "patch"):
                getattr(things, what)(key, values)
            elif what == "delete":
                things.delete(key)
            elif what == "flush":
                wb.flush(timeout=30)
            elif what == "evict":
                redis.delete(f"things:{key}")
            if what in ("put", "patch", "delete"):
                row = plain(row, what, values, default="d")
            assert things.get(key) == row
        wb.flush(timeout=30)
        found = videos.run(f"SELECT a, b, c FROM things WHERE id = {key}")
        assert found == ([] if row is None else [(row["a"], row["b"], row["c"])])

    with wb, valkey.client() as redis:
        check()


def test_two_writers_with_versions_against_the_rule_that_the_larger_one_wins(valkey: TemporaryValkey, videos) -> None:
    videos.run("CREATE TABLE states (id BIGINT PRIMARY KEY, a TEXT, b TEXT, c TEXT, v BIGINT)")
    first, second = (WriteBehind(cache=valkey.url, database=videos.url) for _ in range(2))
    writers = [wb.records("states", version="v") for wb in (first, second)]
    keys = iter(range(1_000_000))
    steps_of_two = st.lists(
        st.tuples(
            st.sampled_from(["patch", "patch", "put", "flush", "evict", "read"]),
            VALUES,
            st.integers(-12, 12),
            st.sampled_from([0, 1]),
        ),
        max_size=14,
    )

    @quick
    @given(steps=steps_of_two)
    def check(steps: list[tuple[str, dict[str, Any], int, int]]) -> None:
        key = next(keys)
        row: Row = None
        for what, values, version, writer in steps:
            write: dict[str, Callable[..., None]] = {"put": writers[writer].put, "patch": writers[writer].patch}
            if what in write:
                write[what](key, {**values, "v": version})
                if row is None or version >= row["v"]:
                    left_out = {"a": None, "b": None, "c": None}
                    row = {**(left_out if what == "put" or row is None else row), **values, "v": version}
            elif what == "flush":
                first.flush(timeout=30)
            elif what == "evict":
                redis.delete(f"states:{key}")
            assert [each.get(key) for each in writers] == [row, row]
        first.flush(timeout=30)
        found = videos.run(f"SELECT a, b, c, v FROM states WHERE id = {key}")
        assert found == ([] if row is None else [tuple(row[name] for name in "abcv")])

    with first, second, valkey.client() as redis:
        check()
