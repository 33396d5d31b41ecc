"""The functions for scores, records and events on a real server: the rules of ``changes.py``, and their contracts."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import pytest

from writebehind.cache import calls
from writebehind.cache.address import Address
from writebehind.cache.keys import PartitionKeys
from writebehind.cache.link import Link as CacheLink
from writebehind.chain import Link, new_identity
from writebehind.changes import RecordChange, RecordRules, ScoreChange, ScoreRules
from writebehind.scores import Scores
from writebehind.testing.valkey import TemporaryValkey

TTL_MS = 60_000


class Bench:
    """One partition and one producer, speaking to a real server."""

    def __init__(self, server: TemporaryValkey) -> None:
        self.link = CacheLink(Address.parse(server.url))
        self.keys = PartitionKeys.of("tests", "things", 0)
        self.board, self.building = b"board", self.keys.building(b"go")
        self.sequence = 0
        self.incarnation = ""
        self.enter()

    def enter(self, leave: str = "") -> None:
        reply = self.link.execute(
            calls.enter(
                self.keys,
                layout="1",
                batch=new_identity(),
                fence=new_identity(),
                leave=leave,
                cached_value_ttl_ms=TTL_MS,
            )
        )
        assert isinstance(reply, calls.Entered)
        self.incarnation, self.sequence = reply.incarnation, 0

    def head(self, writes: int, bound: int = 0) -> calls.GroupHead:
        return calls.GroupHead("1", self.incarnation, "p1", self.sequence + 1, writes, bound)

    def write(self, call: calls.Call[calls.WriteReply]) -> calls.WriteReply:
        reply = self.link.execute(call)
        self.sequence += isinstance(reply, calls.Written | calls.Refused)
        return reply

    def records(self, *entries: tuple[str, str], version: str = "", kind: str = "", bound: int = 0) -> Any:
        value_keys = [f"things:{name}".encode() for name, _ in entries]
        flat = [part for name, change in entries for part in (name.encode(), change)]
        head = self.head(len(entries), bound)
        return self.write(
            calls.write_records(self.keys, head, value_keys, flat, version_column=version, version_kind=kind)
        )

    def scores(self, *entries: tuple[str, str], keep: str = "max") -> Any:
        flat = [part for member, change in entries for part in (member.encode(), change, member.encode(), 1)]
        return self.write(
            calls.write_scores(self.keys, self.head(len(entries)), [self.board, self.building], flat, keep=keep)
        )

    def events(self, *texts: str, bound: int = 0) -> Any:
        return self.write(calls.write_events(self.keys, self.head(len(texts), bound), texts))

    def opened(self) -> dict[bytes, bytes]:
        flat = self.link.execute(calls.scan_batch(self.keys.open, 0, 1_000)).flat
        return dict(zip(flat[::2], flat[1::2], strict=True))

    def seal(self) -> tuple[Link, ...]:
        reply = self.link.execute(
            calls.seal(self.keys, layout="1", batch=new_identity(), batch_fields=1, ledger="", commit=0)
        )
        assert isinstance(reply, calls.Sealed)
        return reply.front

    def pending(self, *names: bytes) -> calls.Pending:
        chain: tuple[Link, ...] = ()
        while True:
            reply = self.link.execute(calls.pending(self.keys, chain, names, layout="1"))
            if isinstance(reply, calls.Pending):
                return reply
            assert isinstance(reply, calls.OtherChain)
            chain = reply.chain

    def fill(self, seen: calls.Pending, name: str, **columns: str) -> int:
        change = seen.changes[-1][0] or b""
        flat = [name.encode(), change, len(columns), *(part for pair in columns.items() for part in pair)]
        return self.link.execute(
            calls.fill_records(
                self.keys,
                [f"things:{name}".encode()],
                flat,
                layout="1",
                last=seen.last,
                generation=seen.generation,
                ttl_ms=TTL_MS,
            )
        )

    def cached(self, name: str) -> Any:
        reply = self.link.execute(calls.read_records(self.keys, [f"things:{name}".encode()], layout="1"))
        assert isinstance(reply, calls.CachedRecords)
        return reply.records[0]

    def begin_board(self, token: bytes = b"\x00token") -> calls.BoardBegun:
        reply = self.link.execute(
            calls.begin_board(
                self.keys, self.building, layout="1", batch=new_identity(), token=token, silence_ms=10_000
            )
        )
        assert isinstance(reply, calls.BoardBegun)
        return reply

    def load(self, *entries: Any, keep: str = "max", token: bytes = b"\x00token") -> bool:
        return self.link.execute(calls.load_board(self.building, entries, token=token, keep=keep, silence_ms=10_000))

    def finish_board(self, begun: calls.BoardBegun, token: bytes = b"\x00token") -> int | None:
        return self.link.execute(
            calls.finish_board(
                self.keys,
                self.building,
                self.board,
                layout="1",
                generation=begun.generation,
                token=token,
                ttl_ms=TTL_MS,
            )
        )

    def ask(self, *question: Any, highest_first: bool = True) -> Any:
        reply = self.link.execute(
            calls.read_board(self.keys, self.board, question, layout="1", highest_first=highest_first)
        )
        return list(reply.values) if isinstance(reply, calls.BoardAnswer) else reply


@pytest.fixture
def bench(valkey: TemporaryValkey) -> Bench:
    return Bench(valkey)


# The same rules


def record_change(chance: random.Random, number: int, kind: str) -> RecordChange:
    version = {"": None, "integer": str(number - 10), "text": f"2026-01-{number:02}T00:00:00.000000"}[kind]
    if chance.random() < 0.25:
        return RecordChange("delete", deleted_at=version)
    columns = {chance.choice("abcd1é"): chance.choice([None, "", "x", 'é\u2028/\\"\x00\x7f', "1e5"]) for _ in range(2)}
    if version is None:
        return RecordChange(chance.choice(["upsert", "upsert", "renew"]), columns)  # type: ignore[arg-type]
    return RecordChange("upsert", {**columns, "v": version}, dict.fromkeys([*columns, "v"], version))


@pytest.mark.parametrize("kind", ["", "integer", "text"])
def test_records_merge_as_in_python(bench: Bench, kind: str) -> None:
    chance = random.Random(kind)
    rules = RecordRules(kind)  # type: ignore[arg-type]
    for name in range(60):
        merged: RecordChange | None = None
        changes = [record_change(chance, chance.randrange(1, 22), kind) for _ in range(chance.randrange(1, 7))]
        for change in changes:
            merged = change if merged is None else rules.then(merged, change)
        entries = [(str(name), rules.encode(change)) for change in changes]
        if chance.random() < 0.5:
            bench.records(*entries, version="v" if kind else "", kind=kind)
        else:
            for entry in entries:
                bench.records(entry, version="v" if kind else "", kind=kind)
        assert RecordChange.decode(bench.opened()[str(name).encode()]) == merged, entries
        assert rules.is_exact(merged)


@pytest.mark.parametrize("keep", ["max", "min", "last", "sum"])
@pytest.mark.parametrize("is_float", [False, True])
def test_scores_merge_as_in_python(bench: Bench, keep: str, is_float: bool) -> None:
    if is_float and keep == "sum":
        is_float = False  # no leaderboard sums floats
    chance = random.Random(f"{keep} {is_float}")
    rules = ScoreRules(keep, Scores(is_float=is_float))
    for member in range(80):
        merged: ScoreChange | None = None
        for _ in range(chance.randrange(1, 7)):
            units = chance.uniform(-1e20, 1e20) if is_float else chance.randrange(-(2**53), 2**53 + 1)
            if chance.random() < 0.5:
                units = chance.choice([0.1, -0.0, 1e300, 5e-324, 1e16]) if is_float else chance.choice([0, -1, 2**53])
            change = ScoreChange("delete") if chance.random() < 0.25 else ScoreChange("merge", units)
            after = change if merged is None else rules.then(merged, change)
            reply = bench.scores((str(member), rules.encode(change)), keep=keep)
            if rules.is_exact(after):
                merged = after
                assert isinstance(reply, calls.Written)
            else:
                assert reply.codes == {0: "RANGE"}
            found = bench.opened().get(str(member).encode())
            assert (rules.decode(found) if found else None) == merged


# Records


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        ("", ""),
        ("x{}", ""),
        ("u", ""),
        ("u{", ""),
        ('u["a"]', ""),
        ('u{"a":5}', ""),
        ('u{"a":{"b":"c"}}', ""),
        ('u{"a":true}', ""),
        ("d17", ""),
        ("d", "integer"),
        ("dx", "integer"),
        ('u{"a":"1"}', "integer"),
        ('u[{"a":"1"}]', "integer"),
        ('u[{"a":"1"},{}]', "integer"),
        ('u[{"a":"1"},{"a":"x"}]', "integer"),
        ('u[{"a":"1"},{"a":17}]', "integer"),
        ('n[{"a":"1"},{"a":"17"},16]', "integer"),
        ("u[{},{}]", "integer"),
    ],
)
def test_what_is_no_change_is_refused_before_it_can_stop_a_flush(bench: Bench, change: str, kind: str) -> None:
    reply = bench.records(("1", change), version="v" if kind else "", kind=kind)
    assert isinstance(reply, calls.Refused)
    assert reply.codes == {0: "CHANGE"}
    assert bench.opened() == {}


def test_a_cached_record_follows_and_is_filled_only_while_it_is_right(bench: Bench) -> None:
    seen = bench.pending(b"1")
    bench.records(("1", 'u{"a":"1"}'))
    assert bench.fill(seen, "1", a="0", b="0") == 0  # written since it was read
    assert bench.fill(bench.pending(b"1"), "1", a="1", b="0") == 1
    bench.records(("1", 'u{"b":"2","c":"3"}'), ("1", 'u{"a":null}'))
    assert bench.cached("1") == {"b": "2", "c": "3"}
    seen = bench.pending(b"1")
    bench.seal()
    assert bench.fill(seen, "1", b="2") == 0  # sealed since it was read
    bench.records(("1", "d"))
    assert bench.cached("1") is None
    bench.link.execute(calls.Call(("SET", "things:2", "another type"), lambda reply: reply))
    assert bench.cached("2") is None
    bench.records(("2", 'u{"a":"1"}'))
    assert bench.fill(bench.pending(b"2"), "2", a="1") == 1
    bench.enter(leave=bench.incarnation)
    assert bench.cached("2") is None  # of another incarnation
    bench.records(("2", 'u{"a":"1"}'))
    assert bench.fill(bench.pending(b"2"), "2", a="1") == 1
    assert bench.cached("2") == {"a": "1"}


def test_an_outdated_version_changes_neither_the_cached_record_nor_what_is_pending(bench: Bench) -> None:
    bench.fill(bench.pending(b"1"), "1", a="1", v="10")
    for version, text in (("9", "outdated"), ("10", "equal"), ("-3", "negative"), ("100", "longer")):
        change = RecordChange("upsert", {"a": text, "v": version}, {"a": version, "v": version}).encode()
        bench.records(("1", change), version="v", kind="integer")
    assert bench.cached("1") == {"a": "longer", "v": "100"}
    bench.records(("1", "d99"), version="v", kind="integer")
    assert RecordChange.decode(bench.opened()[b"1"]).columns == {"a": "longer", "v": "100"}


def test_the_bound_counts_records_and_events_that_are_new(bench: Bench) -> None:
    assert isinstance(bench.records(("1", "d"), ("2", "d"), bound=2), calls.Written)
    assert isinstance(bench.records(("1", 'u{"a":"1"}'), bound=2), calls.Written)
    assert isinstance(bench.records(("3", "d"), bound=2), calls.Full)


# Scores


@pytest.mark.parametrize("change", ["", "=", "x1", "y", "nan", "inf", "0x10", " 7", "7 ", "1e999", "--1", "1.", ".5"])
def test_what_is_no_score_is_refused(bench: Bench, change: str) -> None:
    reply = bench.scores(("ada", change))
    if change == "1.":
        assert isinstance(reply, calls.Written)  # Python and a sorted set take it for a number as well
        return
    assert isinstance(reply, calls.Refused)
    assert reply.codes == {0: "NUMBER"}
    assert bench.opened() == {}


def test_a_board_is_built_beside_the_writes_and_then_follows_them(bench: Bench) -> None:
    bench.scores(("ada", "5"), ("bob", "7"))
    begun = bench.begin_board()
    assert (begun.last, len(begun.chain)) == (begun.chain[-1].identity, 2)  # the fence, and what was open
    assert (
        bench.link.execute(
            calls.begin_board(
                bench.keys, bench.building, layout="1", batch=new_identity(), token=b"\x00x", silence_ms=1
            )
        )
        == calls.BoardBusy()
    )
    bench.scores(("cyd", "9"))
    assert bench.ask("size") == calls.BoardMissing()
    assert bench.load("5", "ada", "7", "bob", "1", "cyd")
    assert not bench.load("5", "eve", token=b"\x00another")
    assert bench.finish_board(begun, token=b"\x00another") is None
    assert bench.finish_board(begun) == 3
    bench.scores(("ada", "8"), ("bob", "x"), ("bob", "=2"), ("dan", "2"))
    assert bench.ask("range", 0, -1) == [b"cyd", b"9", b"ada", b"8", b"dan", b"2", b"bob", b"2"]
    assert bench.ask("range", 0, 0, highest_first=False) == [b"bob", b"2"]
    assert bench.ask("place", "dan") == [2, b"2"]
    assert bench.ask("around", "dan", 1) == [1, b"ada", b"8", b"dan", b"2", b"bob", b"2"]
    assert bench.ask("scores", "ada", "nobody") == [b"8", None]
    assert bench.ask("place", "nobody") == bench.ask("around", "nobody", 3) == []


def test_a_removal_or_a_new_incarnation_ends_a_building(bench: Bench) -> None:
    for end in (lambda: bench.scores(("ada", "x")), lambda: bench.enter(leave=bench.incarnation)):
        begun = bench.begin_board()
        bench.load("5", "ada")
        end()
        bench.load("5", "bob")
        assert bench.finish_board(begun) is None
        assert bench.ask("size") == calls.BoardMissing()
    begun = bench.begin_board()
    assert bench.link.execute(calls.abandon_board(bench.building, b"\x00token"))
    assert bench.finish_board(begun) is None
    begun = bench.begin_board()
    assert bench.finish_board(begun) == 0  # a board without members has no set
    assert bench.ask("size") == calls.BoardMissing()


def test_loading_the_last_scores_leaves_newer_ones(bench: Bench) -> None:
    begun = bench.begin_board()
    bench.scores(("ada", "1"), keep="last")
    bench.load("5", "ada", "6", "bob", keep="last")
    assert bench.finish_board(begun) == 2
    assert bench.ask("range", 0, -1) == [b"bob", b"6", b"ada", b"1"]


# Events


def stream(bench: Bench, key: bytes) -> Sequence[tuple[tuple[int, int], bytes]]:
    return bench.link.execute(calls.read_stream(key, None, 1_000)).events


def test_events_have_rising_places_from_batch_to_batch(bench: Bench) -> None:
    bench.events("a", "b")
    bench.events("c")
    front = bench.seal()
    bench.events("d")
    events = [*stream(bench, bench.keys.batch(front[-1].identity)), *stream(bench, bench.keys.open)]
    assert [text for _, text in events] == [b"a", b"b", b"c", b"d"]
    assert [place for place, _ in events] == sorted({place for place, _ in events})
    assert isinstance(bench.events("e", "f", bound=5), calls.Full)


def test_a_clock_that_goes_back_does_not_put_events_before_others(bench: Bench) -> None:
    future = "4000000000000-7"
    bench.link.execute(calls.Call(("HSET", bench.keys.header, "event_id", future), lambda reply: reply))
    bench.events("a", "b")
    assert [place for place, _ in stream(bench, bench.keys.open)] == [(4_000_000_000_000, 8), (4_000_000_000_000, 9)]


def test_a_repeated_group_of_any_kind_is_written_once(bench: Bench) -> None:
    bench.events("a")
    bench.sequence -= 1
    assert bench.events("a").already
    assert len(stream(bench, bench.keys.open)) == 1
