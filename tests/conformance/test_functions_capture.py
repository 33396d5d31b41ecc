"""The capture functions on a real server: what each answers, and what it leaves in the cache."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from writebehind.cache import calls
from writebehind.cache.address import Address
from writebehind.cache.calls import BoardEntry, Captured, CounterEntry, RecordEntry
from writebehind.cache.keys import PartitionKeys
from writebehind.cache.link import Link
from writebehind.chain import new_identity
from writebehind.testing.valkey import TemporaryValkey

MARK = "wb:{first scan} video:{id}:likes"


class Bench:
    """One partition, and a worker that has taken its keys over."""

    def __init__(self, server: TemporaryValkey) -> None:
        self.link = Link(Address.parse(server.url))
        self.client = server.client()
        self.keys = PartitionKeys.of("tests", "videos.likes", 0)
        self.number = 0
        entered = self.link.execute(
            calls.enter(
                self.keys,
                layout="1",
                batch=new_identity(),
                fence=new_identity(),
                leave="",
                cached_value_ttl_ms=60_000,
            )
        )
        assert isinstance(entered, calls.Entered)
        self.incarnation = entered.incarnation

    def head(self, token: str = "t1", *, bound: int = 0, incarnation: str | None = None) -> calls.CaptureHead:
        self.number += 1
        return calls.CaptureHead(
            "1", self.incarnation if incarnation is None else incarnation, bound, token, self.number
        )

    def begin(self, token: str = "t1", *, scanned: bool = False) -> object:
        return self.link.execute(calls.capture_begin(self.keys, self.head(token), mark=MARK, scanned=scanned))

    def count(self, how: calls.How, units: int | None, name: bytes = b"1", baseline: int = 0) -> Captured:
        entry = CounterEntry(b"video:%s:likes" % name, name, b"videos:%s:likes" % name, how, units, baseline)
        reply = self.link.execute(calls.capture_counters(self.keys, self.head(), [entry]))
        assert isinstance(reply, Captured)
        return reply

    def record(self, how: calls.How, columns: dict[str, str] | None, version: str = "") -> Captured:
        text = "" if columns is None else json.dumps(columns)
        entry = RecordEntry(b"user:7", b"7", b"profiles:7", how, text, version)
        reply = self.link.execute(
            calls.capture_records(
                self.keys,
                self.head(),
                [entry],
                version_column="at" if version else "",
                version_kind="integer" if version else "",
            )
        )
        assert isinstance(reply, Captured)
        return reply

    def board(self, how: calls.How, **scores: str) -> Captured:
        entries = [BoardEntry(f'["go","{name}"]'.encode(), name.encode(), score) for name, score in scores.items()]
        reply = self.link.execute(
            calls.capture_board(
                self.keys,
                self.head(),
                entries,
                key=b"board:go",
                how=how,
                keep="last",
                board=b"go",
                board_key=b"scores:go:points",
            )
        )
        assert isinstance(reply, Captured)
        return reply

    def open(self) -> dict[bytes, bytes]:
        return self.client.hgetall(self.keys.open)  # type: ignore[return-value]

    def parts(self) -> dict[bytes, bytes]:
        return self.client.hgetall(self.keys.open_captured)  # type: ignore[return-value]

    def captured(self, key: bytes) -> bytes | None:
        return self.client.hget(self.keys.captured, key)  # type: ignore[arg-type,return-value]


@pytest.fixture
def bench(valkey: TemporaryValkey) -> Iterator[Bench]:
    bench = Bench(valkey)
    assert bench.begin() == calls.CaptureBegun(False, "")
    yield bench
    bench.link.close()
    bench.client.close()


# Counters


def test_the_difference_to_what_was_captured_last_is_added(bench: Bench) -> None:
    assert bench.count("", 5) == Captured(1)
    assert bench.count("", 8) == Captured(1)
    assert bench.count("", 8) == Captured(0)
    assert bench.open() == {b"1": b"8"}
    assert bench.parts() == {b"1": b"0 8 8 video:1:likes"}
    assert bench.count("", 2) == Captured(1)
    assert bench.parts() == {b"1": b"0 2 2 video:1:likes"}
    assert bench.captured(b"video:1:likes") == b"2"


def test_captures_are_exact_at_the_ends_of_64_bits(bench: Bench) -> None:
    bench.count("", 2**63 - 2)
    bench.count("", 2**63 - 1)
    assert bench.open() == {b"1": b"%d" % (2**63 - 1)}
    assert bench.count("", -2).unfit == (0,), "the difference is beyond"
    assert bench.captured(b"video:1:likes") == b"%d" % (2**63 - 1)
    bench.count("", -(2**63), b"2")
    assert bench.open()[b"2"] == b"%d" % -(2**63)


def test_a_deletion_takes_back_what_was_captured_and_the_next_life_counts(bench: Bench) -> None:
    bench.count("", 5)
    assert bench.count("d", None) == Captured(1)
    assert bench.open() == {b"1": b"0"}
    assert bench.parts() == {b"1": b"0 0 0 video:1:likes"}
    assert bench.captured(b"video:1:likes") is None
    bench.count("", 5)
    bench.count("d", 3)
    assert bench.open() == {b"1": b"3"}


def test_what_vanished_stays_counted_and_the_next_life_counts_from_zero(bench: Bench) -> None:
    bench.count("", 5)
    assert bench.count("v", 2) == Captured(1, (0,))
    assert bench.open() == {b"1": b"7"}
    assert bench.parts() == {b"1": b"0 2 7 video:1:likes"}
    assert bench.count("", None) == Captured(1, (0,)), "found missing, with no end that was seen"
    assert bench.open() == {b"1": b"7"}


def test_a_key_that_fell_back_was_lowered_or_vanished(bench: Bench) -> None:
    bench.count("", 5)
    assert bench.count("?", 8) == Captured(1)
    assert bench.count("?", 3) == Captured(1, (0,))
    assert bench.open() == {b"1": b"11"}
    bench.count("", 1)
    assert bench.open() == {b"1": b"9"}


def test_the_first_scan_takes_what_is_there_without_counting_it(bench: Bench) -> None:
    bench.count("=", 50)
    assert bench.open() == {b"1": b"0"}
    assert bench.parts() == {b"1": b"= 50 0 video:1:likes"}
    bench.count("=", 52)
    assert bench.parts() == {b"1": b"= 52 2 video:1:likes"}, "what was captured before is no baseline any more"
    bench.count("=", 50, b"2", baseline=-950)
    assert bench.open()[b"2"] == b"-950"


def test_the_cached_total_gets_the_same_change(bench: Bench) -> None:
    bench.client.set("videos:1:likes", 100, ex=600)
    bench.client.set("videos:2:likes", "junk")
    bench.client.pexpireat("videos:1:likes", 4_000_000_000_000)
    bench.count("", 5)
    bench.count("", 5, b"2")
    assert bench.client.get("videos:1:likes") == b"105"
    assert bench.client.exists("videos:2:likes") == 0


# Who captures


def test_the_worker_that_took_over_is_the_only_one_that_captures(bench: Bench) -> None:
    bench.count("", 5)
    assert bench.begin("t2") == calls.CaptureBegun(False, f"t1 {bench.number - 1} {bench.incarnation}")
    entry = CounterEntry(b"video:1:likes", b"1", b"videos:1:likes", "v", 9)
    assert bench.link.execute(calls.capture_counters(bench.keys, bench.head("t1"), [entry])) == calls.Taken()
    assert (
        bench.link.execute(calls.capture_begin(bench.keys, bench.head("t1"), mark=MARK, scanned=True)) == calls.Taken()
    )
    assert bench.open() == {b"1": b"5"}


def test_taking_over_again_under_the_same_token_still_names_the_one_before(bench: Bench) -> None:
    bench.count("", 5)
    before = f"t1 {bench.number} {bench.incarnation}"
    assert bench.begin("t2") == calls.CaptureBegun(False, before)
    assert bench.begin("t2") == calls.CaptureBegun(False, before), "its first answer was lost"


def test_nothing_is_captured_in_another_incarnation(bench: Bench) -> None:
    entry = CounterEntry(b"video:1:likes", b"1", b"videos:1:likes", "", 9)
    reply = bench.link.execute(calls.capture_counters(bench.keys, bench.head(incarnation="gone"), [entry]))
    assert reply == calls.NewIncarnation(bench.incarnation)
    assert bench.open() == {}


def test_at_the_bound_nothing_is_captured(bench: Bench) -> None:
    entries = [CounterEntry(b"video:%d:likes" % n, b"%d" % n, b"videos:%d:likes" % n, "", 9) for n in range(3)]
    assert bench.link.execute(calls.capture_counters(bench.keys, bench.head(bound=2), entries)) == calls.Full()
    assert (bench.open(), bench.parts()) == ({}, {})
    assert bench.link.execute(calls.capture_counters(bench.keys, bench.head(bound=2), entries[:2])) == Captured(2)


def test_the_mark_of_the_first_scan_goes_through_the_chain(bench: Bench) -> None:
    assert bench.begin(scanned=True) == calls.CaptureBegun(True, "")
    assert bench.open() == {b"\x00": b"0"}
    assert bench.parts() == {b"\x00": b"= 1 0 " + MARK.encode()}
    assert bench.begin("t2") == calls.CaptureBegun(True, f"t1 {bench.number - 1} {bench.incarnation}")


def test_what_was_captured_is_sealed_along_and_removed_with_its_batch(bench: Bench) -> None:
    bench.count("", 5)

    def seal() -> calls.Sealed:
        reply = bench.link.execute(
            calls.seal(bench.keys, layout="1", batch=new_identity(), batch_fields=100, ledger="", commit=0)
        )
        assert isinstance(reply, calls.Sealed)
        return reply

    def acknowledge(batch: str) -> None:
        bench.link.execute(calls.acknowledge(bench.keys, batch=batch, ledger="", commit=0, is_applied=True))

    acknowledge(seal().front[0].identity)  # the fence
    [batch] = seal().front
    assert (batch.writes, batch.size) == (1, 1)
    assert bench.client.hgetall(bench.keys.batch_captured(batch.identity)) == {b"1": b"0 5 5 video:1:likes"}
    bench.count("", 7)
    assert bench.parts() == {b"1": b"5 7 2 video:1:likes"}
    acknowledge(batch.identity)
    assert bench.client.exists(bench.keys.batch_captured(batch.identity)) == 0


# Records


def test_columns_that_differ_are_set_and_those_that_are_gone_become_null(bench: Bench) -> None:
    bench.record("", {"name": "Ada", "plan": "free"})
    assert json.loads(bench.open()[b"7"][1:]) == {"name": "Ada", "plan": "free"}
    bench.client.delete(bench.keys.open)
    bench.record("", {"name": "Eve"})
    assert bench.open()[b"7"][:1] == b"u"
    assert json.loads(bench.open()[b"7"][1:]) == {"name": "Eve", "plan": None}
    assert bench.record("", {"name": "Eve"}) == Captured(0)


def test_a_deleted_hash_deletes_and_what_follows_makes_it_anew(bench: Bench) -> None:
    bench.record("", {"name": "Ada"})
    bench.record("d", None)
    assert bench.open() == {b"7": b"d"}
    bench.record("", {"name": "Eve"})
    assert bench.open()[b"7"] == b'n{"name":"Eve"}'
    bench.record("d", {"name": "Zoe"})
    assert bench.open()[b"7"] == b'n{"name":"Zoe"}'


def test_a_vanished_hash_leaves_its_row(bench: Bench) -> None:
    bench.record("=", {"name": "Ada"})
    assert bench.open() == {}, "the row was right"
    assert bench.record("v", None) == Captured(0, (0,))
    assert bench.open() == {}
    bench.record("", {"name": "Ada"})
    assert bench.open() == {b"7": b'u{"name":"Ada"}'}, "a new life is written whole"


def test_the_version_is_the_hashs_own(bench: Bench) -> None:
    bench.record("", {"name": "Ada", "at": "17"}, "17")
    bench.record("", {"name": "Eve", "at": "18"}, "18")
    columns, versions = json.loads(bench.open()[b"7"][1:])
    assert (columns, versions) == ({"name": "Eve", "at": "18"}, {"name": "18", "at": "18"})
    bench.record("d", None, "18")
    assert bench.open() == {b"7": b"d18"}


def test_the_cached_record_gets_the_same_change(bench: Bench) -> None:
    bench.client.hset("profiles:7", mapping={"name": "Ada", "plan": "free"})
    bench.client.pexpireat("profiles:7", 4_000_000_000_000)
    bench.record("", {"name": "Eve"})
    assert bench.client.hgetall("profiles:7") == {b"name": b"Eve", b"plan": b"free"}
    bench.record("d", None)
    assert bench.client.exists("profiles:7") == 0


# Boards


def test_scores_that_differ_are_set_and_members_that_are_gone_removed(bench: Bench) -> None:
    assert bench.board("", ada="10", bob="20") == Captured(2)
    assert bench.board("", ada="10", bob="25") == Captured(1)
    assert bench.board("", ada="") == Captured(1)
    assert bench.board("", ada="") == Captured(0)
    assert bench.open() == {b'["go","ada"]': b"x", b'["go","bob"]': b"25"}
    assert bench.client.zrange(bench.keys.captured_board(b"board:go"), 0, -1, withscores=True) == [(b"bob", 25.0)]
    bench.board("", ada="3")
    assert bench.open()[b'["go","ada"]'] == b"=3"


def test_a_vanished_board_is_forgotten_and_the_first_scan_writes_nothing(bench: Bench) -> None:
    assert bench.board("=", ada="10") == Captured(0)
    assert bench.captured(b"board:go") == b"1"
    assert bench.board("v") == Captured(0, (0,))
    assert bench.captured(b"board:go") is None
    assert bench.open() == {}
    assert bench.client.exists(bench.keys.captured_board(b"board:go")) == 0


def test_the_built_board_gets_the_same_change_and_one_that_is_being_built_too(bench: Bench) -> None:
    built, building = "scores:go:points", bench.keys.building(b"go")
    for key in (built, building):
        bench.client.zadd(key, {"ada": 1})
        bench.client.pexpireat(key, 4_000_000_000_000)
    bench.board("", ada="10", bob="5")
    for key in (built, building):
        assert bench.client.zrange(key, 0, -1, withscores=True) == [(b"bob", 5.0), (b"ada", 10.0)]
    bench.board("", bob="")
    assert bench.client.zrange(built, 0, -1) == [b"ada"]
    assert bench.client.exists(building) == 0, "a removal ends the building"
