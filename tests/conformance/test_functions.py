"""The function library on a real server: what each function answers, and what it leaves in the cache."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from writebehind.cache import calls
from writebehind.cache.address import Address
from writebehind.cache.keys import PartitionKeys
from writebehind.cache.link import Link as CacheLink
from writebehind.chain import Link, new_identity
from writebehind.errors import BufferFull, CacheRefused
from writebehind.testing.valkey import TemporaryValkey

TTL_MS = 60_000


def amounts(pending: calls.Pending) -> tuple[tuple[int, ...], ...]:
    """What is pending in each batch, 0 for nothing."""
    return tuple(tuple(int(change or 0) for change in batch) for batch in pending.changes)


class Bench:
    """One partition and one producer, speaking to a real server."""

    def __init__(self, server: TemporaryValkey, producer: str = "p1") -> None:
        self.server = server
        self.producer = producer
        self.link = CacheLink(Address.parse(server.url))
        self.keys = PartitionKeys.of("tests", "videos.likes", 0)
        self.incarnation = ""
        self.sequence = 0

    def enter(self, *, leave: str = "", layout: str = "1") -> calls.Entered:
        reply = self.link.execute(
            calls.enter(
                self.keys,
                layout=layout,
                batch=new_identity(),
                fence=new_identity(),
                leave=leave,
                cached_value_ttl_ms=TTL_MS,
            )
        )
        assert isinstance(reply, calls.Entered)
        if reply.incarnation != self.incarnation:
            self.incarnation, self.sequence = reply.incarnation, 0
        return reply

    def write(
        self,
        *entries: tuple[bytes, int | str],
        totals: bool = False,
        sequence: int | None = None,
        bound: int = 0,
        layout: str = "1",
        incarnation: str | None = None,
    ) -> calls.WriteReply:
        """A group under the next number, which stays the next one where the cache did not use it."""
        reply = self.link.execute(
            calls.write_amounts(
                self.keys,
                calls.GroupHead(
                    layout=layout,
                    incarnation=self.incarnation if incarnation is None else incarnation,
                    producer=self.producer,
                    sequence=self.sequence + 1 if sequence is None else sequence,
                    writes=len(entries),
                    max_pending_fields=bound,
                ),
                [self.value_key(name) for name, _ in entries],
                [part for entry in entries for part in entry],
                want_totals=totals,
            )
        )
        if sequence is None and isinstance(reply, calls.Written | calls.Refused):
            self.sequence += 1
        return reply

    def add(self, name: bytes = b"1", amount: int = 1) -> calls.Written:
        reply = self.write((name, amount))
        assert isinstance(reply, calls.Written)
        return reply

    def seal(self, *, ledger: str = "", commit: int = 0, cap: int = 100_000) -> calls.Sealed:
        reply = self.try_to_seal(ledger=ledger, commit=commit, cap=cap)
        assert isinstance(reply, calls.Sealed)
        return reply

    def try_to_seal(
        self, *, ledger: str = "", commit: int = 0, cap: int = 100_000, layout: str = "1"
    ) -> calls.Sealed | calls.Restored | calls.NewIncarnation | calls.OtherLayout:
        return self.link.execute(
            calls.seal(self.keys, layout=layout, batch=new_identity(), batch_fields=cap, ledger=ledger, commit=commit)
        )

    def acknowledge(
        self, batch: Link, *, ledger: str = "", commit: int = 0, is_applied: bool = True, forget: bytes | None = None
    ) -> bool:
        return self.link.execute(
            calls.acknowledge(
                self.keys,
                batch=batch.identity,
                ledger=ledger,
                commit=commit,
                is_applied=is_applied,
                forget=[] if forget is None else [self.value_key(forget)],
            )
        )

    def drain(self) -> list[dict[bytes, int]]:
        """Seal and acknowledge until nothing is left; what the batches held, fences as empty ones."""
        drained = []
        while front := self.seal().front:
            drained.append(self.batch(front[0]))
            assert self.acknowledge(front[0])
        return drained

    def batch(self, link: Link) -> dict[bytes, int]:
        flat = self.link.execute(calls.scan_batch(self.keys.batch(link.identity), 0, 1_000)).flat
        return dict(zip(flat[::2], map(int, flat[1::2]), strict=True))

    def pending(self, *names: bytes, chain: tuple[Link, ...] = ()) -> calls.Pending:
        reply = self.link.execute(calls.pending(self.keys, chain, names, layout="1"))
        assert isinstance(reply, calls.Pending)
        return reply

    def fill(self, name: bytes, total: int, seen: calls.Pending) -> int:
        return self.link.execute(
            calls.fill(
                self.keys,
                [self.value_key(name)],
                [name, total, amounts(seen)[-1][0]],
                layout="1",
                last=seen.last,
                generation=seen.generation,
                ttl_ms=TTL_MS,
            )
        )

    def load(self, name: bytes, in_database: int) -> None:
        """What a reader does on a miss, where the database's row holds ``in_database`` and nothing is sealed."""
        seen = self.pending(name)
        assert self.fill(name, in_database + amounts(seen)[-1][0], seen) == 1

    def read(self, *names: bytes) -> tuple[int | None, ...]:
        reply = self.link.execute(calls.read(self.keys, [self.value_key(name) for name in names], layout="1"))
        assert isinstance(reply, calls.CachedValues)
        return reply.values

    @staticmethod
    def value_key(name: bytes) -> bytes:
        return b"videos:" + name + b":likes"


@pytest.fixture
def bench(valkey: TemporaryValkey) -> Iterator[Bench]:
    """A partition of which nobody has written anything, its first fence applied."""
    bench = Bench(valkey)
    bench.enter()
    bench.drain()
    yield bench
    bench.link.close()


@pytest.fixture
def own_bench(own_valkey: TemporaryValkey) -> Iterator[Bench]:
    """The same on a server that the test may restart and configure."""
    bench = Bench(own_valkey)
    bench.enter()
    bench.drain()
    yield bench
    bench.link.close()


# Writing


def test_a_group_is_merged_into_the_open_batch(bench: Bench) -> None:
    bench.write((b"1", 5), (b"2", 7))
    reply = bench.write((b"1", -2))
    assert isinstance(reply, calls.Written)
    assert (reply.fields, reply.already, reply.totals) == (2, False, ())
    assert amounts(bench.pending(b"1", b"2", b"3")) == ((3, 7, 0),)


def test_a_field_may_stand_in_a_group_several_times(bench: Bench) -> None:
    bench.load(b"1", 100)
    reply = bench.write((b"1", 5), (b"1", -2), (b"1", 10), totals=True)
    assert isinstance(reply, calls.Written)
    assert reply.totals == (105, 103, 113)
    assert amounts(bench.pending(b"1")) == ((13,),)
    assert bench.read(b"1") == (113,)


def test_a_repeated_group_counts_once(bench: Bench) -> None:
    first = bench.add(b"1", 5)
    again = bench.write((b"1", 5), sequence=bench.sequence)
    assert isinstance(again, calls.Written)
    assert (again.already, again.birth) == (True, first.birth)
    assert amounts(bench.pending(b"1")) == ((5,),)


def test_a_repeated_group_gets_the_totals_of_the_first_time(bench: Bench) -> None:
    bench.load(b"1", 100)
    bench.write((b"1", 5), totals=True)
    other = Bench(bench.server, "p2")
    other.enter()
    other.add(b"1", 1_000)
    again = bench.write((b"1", 5), totals=True, sequence=bench.sequence)
    assert isinstance(again, calls.Written)
    assert (again.already, again.totals) == (True, (105,))
    assert bench.read(b"1") == (1_105,)
    other.link.close()


def test_a_group_that_comes_late_counts_once_although_others_followed(bench: Bench) -> None:
    for _ in range(3):
        bench.add()
    late = bench.write((b"1", 1), sequence=1)
    assert isinstance(late, calls.Written)
    assert late.already
    assert amounts(bench.pending(b"1")) == ((3,),)


def test_a_number_that_leaves_a_gap_writes_nothing(bench: Bench) -> None:
    bench.add()
    assert isinstance(bench.write((b"1", 1), sequence=3), calls.LaneForgotten)
    assert amounts(bench.pending(b"1")) == ((1,),)


def test_a_refused_entry_refuses_its_group_and_uses_the_number(bench: Bench) -> None:
    bench.add(b"1", 2**63 - 1)
    reply = bench.write((b"2", 5), (b"1", 1), (b"3", 5))
    assert isinstance(reply, calls.Refused)
    assert reply.codes == {1: "RANGE"}
    assert amounts(bench.pending(b"1", b"2", b"3")) == ((2**63 - 1, 0, 0),)
    assert bench.write((b"2", 5), (b"1", 1), (b"3", 5), sequence=bench.sequence) == reply, "asked again, the same"
    bench.write((b"2", 5), (b"3", 5))
    assert amounts(bench.pending(b"2", b"3")) == ((5, 5),)


@pytest.mark.parametrize(
    "amount", ["", "x", "1.5", "+1", "01", "-0", "1e3", " 1", "9223372036854775808", "-9223372036854775809", "9" * 20]
)
def test_an_amount_that_is_no_64_bit_integer_is_refused(bench: Bench, amount: str) -> None:
    """Also one that fits once it is added to what is pending, which INCRBY would not take."""
    bench.load(b"1", 0)
    bench.add(b"1", -1_000)
    reply = bench.write((b"2", 1), (b"1", amount))
    assert isinstance(reply, calls.Refused)
    assert reply.codes == {1: "NUMBER"}
    assert amounts(bench.pending(b"1", b"2")) == ((-1_000, 0),)
    assert bench.read(b"1") == (-1_000,)


def test_a_total_that_would_leave_64_bits_is_refused(bench: Bench) -> None:
    bench.load(b"1", 2**63 - 1)
    reply = bench.write((b"1", 1))
    assert isinstance(reply, calls.Refused)
    assert reply.codes == {0: "RANGE"}
    assert bench.read(b"1") == (2**63 - 1,)


def test_a_total_is_refused_where_there_is_no_cached_value_to_answer_it_from(bench: Bench) -> None:
    bench.load(b"1", 100)
    reply = bench.write((b"1", 1), (b"2", 1), totals=True)
    assert isinstance(reply, calls.Refused)
    assert reply.codes == {1: "MISSING"}
    assert bench.read(b"1") == (100,)


def test_at_the_bound_new_fields_are_refused_and_known_ones_are_not(bench: Bench) -> None:
    bench.write((b"1", 1), (b"2", 1), bound=2)
    assert isinstance(bench.write((b"3", 1), bound=2), calls.Full)
    assert isinstance(bench.write((b"1", 1), (b"2", 1), bound=2), calls.Written), "the number was not used"
    assert amounts(bench.pending(b"1", b"2", b"3")) == ((2, 2, 0),)


def test_sealed_fields_count_towards_the_bound_until_they_are_acknowledged(bench: Bench) -> None:
    bench.write((b"1", 1), (b"2", 1), bound=2)
    [batch] = bench.seal().front
    assert isinstance(bench.write((b"3", 1), bound=2), calls.Full)
    bench.acknowledge(batch)
    assert isinstance(bench.write((b"3", 1), bound=2), calls.Written)


def test_a_group_that_names_another_layout_changes_nothing(bench: Bench) -> None:
    assert bench.write((b"1", 1), layout="2") == calls.OtherLayout("1")
    assert bench.try_to_seal(layout="2") == calls.OtherLayout("1")
    assert amounts(bench.pending(b"1")) == ((0,),)


# Incarnations


def test_nothing_is_written_before_somebody_has_entered(valkey: TemporaryValkey) -> None:
    bench = Bench(valkey)
    assert bench.write((b"1", 1)) == calls.NewIncarnation("")
    assert bench.try_to_seal() == calls.NewIncarnation("")
    assert bench.link.execute(calls.confirmed(bench.keys, "p1")) == calls.NewIncarnation("")
    assert valkey.keys() == set()
    bench.link.close()


def test_entering_begins_with_a_fence_and_entering_again_changes_nothing(valkey: TemporaryValkey) -> None:
    bench = Bench(valkey)
    assert bench.enter().began
    assert not bench.enter().began
    [fence] = bench.seal().front
    assert (fence.is_fence, fence.identity, fence.incarnation) == (True, bench.incarnation, bench.incarnation)
    bench.link.close()


def test_a_group_of_another_incarnation_changes_nothing_and_learns_the_present_one(bench: Bench) -> None:
    assert bench.write((b"1", 1), incarnation="gone") == calls.NewIncarnation(bench.incarnation)
    assert amounts(bench.pending(b"1")) == ((0,),)


def test_a_restart_seals_what_survived_and_fences_it_off(own_bench: Bench) -> None:
    before = own_bench.incarnation
    written = own_bench.add(b"1", 5)
    own_bench.server.restart()
    assert own_bench.write((b"1", 7)) == calls.NewIncarnation("")
    assert own_bench.try_to_seal() == calls.NewIncarnation("")
    assert own_bench.enter().began
    own_bench.add(b"1", 7)
    batch, fence = own_bench.seal().front
    assert (batch.incarnation, batch.parent, batch.birth, batch.writes) == (before, before, written.birth, 1)
    assert fence.identity == own_bench.incarnation
    assert own_bench.batch(batch) == {b"1": 5}
    assert own_bench.link.execute(calls.batch_marks(own_bench.keys.batch_lanes(batch.identity))) == {"p1": 1}
    own_bench.acknowledge(batch)
    assert own_bench.link.execute(calls.confirmed(own_bench.keys, "p1")) == calls.Confirmed(own_bench.incarnation, 0)
    assert own_bench.drain() == [{}, {b"1": 7}]


def test_an_incarnation_can_be_left_on_the_same_server(bench: Bench) -> None:
    before = bench.incarnation
    bench.add(b"1", 5)
    assert bench.enter(leave=before).began
    assert bench.incarnation != before
    assert not bench.enter(leave=before).began, "only who still believes in the old one is too late"
    assert bench.drain() == [{b"1": 5}, {}]


def test_a_header_that_was_lost_leaves_a_batch_that_continues_nothing(bench: Bench) -> None:
    bench.add(b"1", 5)
    with bench.server.client() as client:
        client.delete(bench.keys.header)
    bench.enter()
    batch, _ = bench.seal().front
    assert (batch.parent, batch.incarnation, batch.birth, batch.size) == ("?", "?", "?", 1)


# The chain


def test_batches_form_a_chain_in_which_each_names_its_parent(bench: Bench) -> None:
    first_fence = bench.incarnation
    bench.add()
    [first] = bench.seal().front
    bench.acknowledge(first)
    bench.add()
    bench.add()
    [second] = bench.seal().front
    assert (first.parent, second.parent) == (first_fence, first.identity)
    assert (second.writes, second.size, second.incarnation) == (2, 1, first_fence)
    assert first.birth != second.birth


def test_leftovers_go_first_and_newer_writes_stay_open(bench: Bench) -> None:
    bench.add(b"1", 1)
    [first] = bench.seal().front
    bench.add(b"1", 10)
    assert bench.seal().front == (first,), "a second batch is not sealed while one waits"
    assert bench.batch(first) == {b"1": 1}
    bench.acknowledge(first)
    assert bench.drain() == [{b"1": 10}]


def test_a_batch_at_its_cap_is_sealed_although_another_waits(bench: Bench) -> None:
    bench.add(b"1")
    bench.seal()
    bench.write((b"1", 1), (b"2", 1))
    assert len(bench.seal(cap=2).front) == 2


def test_an_acknowledged_batch_is_gone_and_its_producers_know(bench: Bench) -> None:
    bench.add()
    [batch] = bench.seal().front
    assert bench.acknowledge(batch)
    assert not bench.acknowledge(batch), "it is not at the front any more"
    assert bench.link.execute(calls.confirmed(bench.keys, "p1")) == calls.Confirmed(bench.incarnation, 1)
    assert bench.add().confirmed == 1


def test_a_batch_that_was_put_aside_is_not_confirmed_to_its_producers(bench: Bench) -> None:
    bench.add()
    [batch] = bench.seal().front
    assert bench.acknowledge(batch, is_applied=False)
    assert bench.link.execute(calls.confirmed(bench.keys, "p1")) == calls.Confirmed(bench.incarnation, 0)


def test_a_batch_behind_the_front_cannot_be_acknowledged(bench: Bench) -> None:
    bench.add(b"1")
    bench.seal()
    bench.add(b"2")
    first, second = bench.seal(cap=1).front
    assert not bench.acknowledge(second)
    assert bench.seal().front == (first, second)


def test_a_worker_that_reads_an_older_database_is_told(bench: Bench) -> None:
    bench.add()
    [batch] = bench.seal(ledger="l1", commit=6).front
    bench.acknowledge(batch, ledger="l1", commit=7)
    bench.add()
    assert bench.try_to_seal(ledger="l1", commit=6) == calls.Restored("l1", 7)
    assert bench.try_to_seal(ledger="l2", commit=9) == calls.Restored("l1", 7)
    assert bench.seal(ledger="l1", commit=7).front
    assert amounts(bench.pending(b"1", chain=bench.seal().front)) == ((1,), (0,))


def test_asking_for_a_flush_is_seen_until_the_next_sealing(bench: Bench) -> None:
    bench.add()
    assert bench.link.execute(calls.ask_for_flush(bench.keys))
    assert bench.link.execute(calls.header(bench.keys)).flush_asked
    bench.seal()
    assert not bench.link.execute(calls.header(bench.keys)).flush_asked


def test_asking_for_a_flush_of_nothing_leaves_no_key(valkey: TemporaryValkey) -> None:
    bench = Bench(valkey)
    assert not bench.link.execute(calls.ask_for_flush(bench.keys))
    assert valkey.keys() == set()
    bench.link.close()


def test_a_lease_is_one_owners_at_a_time(bench: Bench) -> None:
    assert bench.link.execute(calls.claim(bench.keys, "a", 60_000))
    assert bench.link.execute(calls.claim(bench.keys, "a", 60_000))
    assert not bench.link.execute(calls.claim(bench.keys, "b", 60_000))
    assert not bench.link.execute(calls.release(bench.keys, "b"))
    assert bench.link.execute(calls.release(bench.keys, "a"))
    assert bench.link.execute(calls.claim(bench.keys, "b", 60_000))


# Cached values


def test_a_filled_value_follows_the_writes_and_expires(bench: Bench) -> None:
    bench.load(b"1", 100)
    bench.add(b"1", 5)
    assert bench.read(b"1", b"2") == (105, None)
    assert bench.server.keys_without_expiry().isdisjoint({bench.value_key(b"1")})


def test_writes_between_the_read_and_the_fill_are_added(bench: Bench) -> None:
    bench.add(b"1", 5)
    seen = bench.pending(b"1")
    bench.add(b"1", -7)
    assert bench.fill(b"1", 100 + 5, seen) == 1
    assert bench.read(b"1") == (98,)


def test_a_fill_is_refused_after_a_sealing(bench: Bench) -> None:
    bench.add(b"1", 5)
    seen = bench.pending(b"1")
    bench.seal()
    assert bench.fill(b"1", 105, seen) == 0
    assert bench.read(b"1") == (None,)


def test_a_fill_is_refused_after_a_write_was_diverted(bench: Bench) -> None:
    """A dead letter lowers the total that a reader has summed already."""
    bench.add(b"1", 5)
    [batch] = bench.seal().front
    seen = bench.pending(b"1", chain=(batch,))
    bench.acknowledge(batch, forget=b"1")
    assert bench.fill(b"1", 105, seen) == 0


def test_a_diverted_write_removes_its_cached_value(bench: Bench) -> None:
    bench.load(b"1", 100)
    bench.load(b"2", 100)
    bench.add(b"1", 5)
    [batch] = bench.seal().front
    bench.acknowledge(batch, forget=b"1")
    assert bench.read(b"1", b"2") == (None, 100)


def test_a_fill_never_replaces_a_value_that_is_right(bench: Bench) -> None:
    bench.load(b"1", 100)
    seen = bench.pending(b"1")
    bench.fill(b"1", 555, seen)
    assert bench.read(b"1") == (100,)


def test_values_of_an_older_incarnation_are_not_trusted_and_new_ones_are_at_once(bench: Bench) -> None:
    bench.load(b"1", 100)
    bench.load(b"2", 100)
    bench.enter(leave=bench.incarnation)
    bench.drain()
    assert bench.read(b"1") == (None,)
    assert isinstance(bench.write((b"1", 1), totals=True), calls.Refused)
    bench.load(b"1", 50)
    assert bench.read(b"1") == (50,)
    reply = bench.write((b"1", 1), totals=True)
    assert isinstance(reply, calls.Written)
    assert reply.totals == (51,)
    bench.add(b"2", 1)
    with bench.server.client() as client:
        assert not client.exists(bench.value_key(b"2")), "a write removes a value that nobody can trust"


@pytest.mark.parametrize("foreign", [b"hello", b"", b"007", b"1.5", b"99999999999999999999"])
def test_a_foreign_value_under_a_cached_values_name_disturbs_nobody(bench: Bench, foreign: bytes) -> None:
    with bench.server.client() as client:
        client.set(bench.value_key(b"1"), foreign)
        assert bench.read(b"1") == (None,)
        bench.load(b"1", 100)
        assert bench.read(b"1") == (100,)
        client.set(bench.value_key(b"1"), foreign)
        bench.add(b"1", 5)
        assert not client.exists(bench.value_key(b"1"))
    assert amounts(bench.pending(b"1")) == ((5,),)


def test_a_foreign_key_of_another_type_is_left_as_it_is(bench: Bench) -> None:
    with bench.server.client() as client:
        client.sadd(bench.value_key(b"1"), "ada")
        bench.add(b"1", 5)
        assert bench.read(b"1") == (None,)
        bench.fill(b"1", 105, bench.pending(b"1"))
        assert client.smembers(bench.value_key(b"1")) == {b"ada"}
    assert amounts(bench.pending(b"1")) == ((5,),)


# The server


def test_a_wrong_type_under_the_librarys_own_names_is_an_error_and_writes_nothing(bench: Bench) -> None:
    bench.add(b"1", 1)
    with bench.server.client() as client:
        client.delete(bench.keys.open)
        client.set(bench.keys.open, "foreign")
    with pytest.raises(CacheRefused, match="WRONGTYPE"):
        bench.write((b"2", 1))


def test_a_full_server_refuses_writes_and_can_still_be_drained(own_bench: Bench) -> None:
    own_bench.add(b"1", 5)
    with own_bench.server.client() as client:
        client.config_set("maxmemory", "1")
        with pytest.raises(BufferFull):
            own_bench.write((b"1", 1))
        assert own_bench.link.execute(calls.ask_for_flush(own_bench.keys))
        assert own_bench.link.execute(calls.claim(own_bench.keys, "a", 1_000))
        assert own_bench.drain() == [{b"1": 5}]
        assert not own_bench.enter().began
        client.config_set("maxmemory", "0")
    assert own_bench.add(b"1", 1).confirmed == 1


def test_the_library_is_loaded_again_where_it_is_missing(bench: Bench) -> None:
    with bench.server.client() as client:
        client.function_flush()
    bench.add(b"1", 1)
    assert amounts(bench.pending(b"1")) == ((1,),)


def test_a_library_of_another_text_is_replaced_when_it_is_asked_for(bench: Bench) -> None:
    other = "#!lua name=writebehind_1\nredis.register_function('wb1_write', function() return 'other' end)"
    with bench.server.client() as client:
        client.function_load(other, replace=True)
        bench.link.load_library(replace=True)
    bench.add(b"1", 1)


def test_when_everything_is_in_the_database_only_these_keys_remain(bench: Bench) -> None:
    """The header and the lanes; cached values expire by themselves."""
    bench.load(b"1", 100)
    bench.write((b"1", 1), (b"2", 1))
    bench.enter(leave=bench.incarnation)
    bench.write((b"1", 1), (b"2", 1))
    bench.drain()
    assert bench.server.keys_without_expiry() == {bench.keys.header, bench.keys.lanes}
    assert bench.link.execute(calls.header(bench.keys)).sealed_fields == 0


def test_every_key_that_a_function_touches_has_the_partitions_tag_or_is_a_cached_value(bench: Bench) -> None:
    """All of one partition's keys share a slot, so that one function call may name them all."""
    bench.load(b"1", 100)
    bench.write((b"1", 1), (b"2", 1))
    [batch] = bench.seal().front
    bench.add(b"1")
    bench.link.execute(calls.claim(bench.keys, "a", 60_000))
    keys = bench.keys
    assert bench.server.keys() == {
        keys.header,
        keys.open,
        keys.open_lanes,
        keys.lanes,
        keys.queue,
        keys.lease,
        keys.batch(batch.identity),
        keys.batch_lanes(batch.identity),
        bench.value_key(b"1"),
    }
    tag = b"wb:{tests:videos.likes:0}:"
    assert all(key.startswith(tag) for key in bench.server.keys() - {bench.value_key(b"1")})
