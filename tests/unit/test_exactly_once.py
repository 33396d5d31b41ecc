"""Every write is applied exactly once, through whatever happens to the cache and on the way there.

The lane, its delivery and the rule of the chain are the real ones; the cache, the database and the worker
are small models. Hypothesis chooses what happens; the fault model:

* the cache rolls back to any earlier state of any branch, in a new incarnation, or two branches live on
  side by side and the client goes from one to the other;
* an answer is lost, a call is not sent, a call that timed out is executed later after all;
* whoever carries a group is interrupted; another thread meets the new incarnation first;
* the cache refuses an entry, or has no room;
* workers act on stale reads and do not get to acknowledge.

The database never rolls back, and the writing process lives.
"""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Generator
from dataclasses import dataclass, field
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from writebehind.cache.calls import Call
from writebehind.cache.keys import PartitionKeys
from writebehind.cache.replies import NotExecuted
from writebehind.chain import ANY_PARENT, ROOT, Link, Standing, Verdict, judge
from writebehind.client.delivery import Delivery, DeliverySettings
from writebehind.client.groups import WriteGroup
from writebehind.client.lane import Lane
from writebehind.client.partition import Partition
from writebehind.client.ring import RingBounds
from writebehind.client.settling import refresh
from writebehind.client.writing import CounterWriting
from writebehind.databases.contract import PartitionName
from writebehind.errors import BufferFull, CacheUnavailable
from writebehind.mapping import BoundCounter, CounterMapping
from writebehind.observe import ignore
from writebehind.values import Amounts, KeyCodec, KeyColumn

SHARED = b"shared"
ADDED_TO_SHARED = 3


@dataclass
class Batch:
    link: Link
    amounts: Counter[bytes]
    marks: dict[str, int]


@dataclass
class Cache:
    """One branch of the cache's data; ``replid`` is the server's, ``entered`` the header's."""

    replid: int = 0
    entered: int = -1
    incarnation: str = ""
    last: str = ""
    birth: str = ""
    writes: int = 0
    amounts: Counter[bytes] = field(default_factory=Counter)
    marks: dict[str, int] = field(default_factory=dict)
    lanes: dict[str, int] = field(default_factory=dict)
    answers: dict[str, list[Any]] = field(default_factory=dict)
    confirmed: dict[str, int] = field(default_factory=dict)
    queue: list[Batch] = field(default_factory=list)
    is_full: bool = False

    def execute(self, command: tuple[Any, ...]) -> list[Any]:
        """The reply to one of the library's calls."""
        name, keys = command[1], command[2]
        arguments = command[3 + keys :]
        match name:
            case "wb1_write":
                return self.write(*arguments[:7], arguments[7:])
            case "wb1_enter":
                return self.enter(*arguments[1:4])
            case "wb1_confirmed":
                if self.entered != self.replid:
                    return [b"NEW"]
                return [b"OK", self.incarnation.encode(), self.confirmed.get(arguments[0], 0)]
            case "wb1_seal":
                if self.entered != self.replid:
                    return [b"NEW"]
                self.seal(arguments[1])
                return [b"OK", self.incarnation.encode()]
        return [1]

    def write(
        self,
        layout: str,
        incarnation: str,
        producer: str,
        sequence: int,
        writes: int,
        bound: int,
        totals: str,
        entries: tuple[Any, ...],
    ) -> list[Any]:
        if self.entered != self.replid:
            return [b"NEW", b""]
        if incarnation != self.incarnation:
            return [b"NEW", self.incarnation.encode()]
        last = self.lanes.get(producer, 0)
        confirmed = self.confirmed.get(producer, 0)
        if sequence == last and producer in self.answers:
            return self.answers[producer]
        if sequence <= last:
            return [b"ALREADY", confirmed, b"", 0]
        if sequence != last + 1:
            return [b"GAP", last]
        if self.is_full:
            return [b"FULL", confirmed]
        self.lanes[producer] = sequence
        pairs = list(zip(entries[::2], entries[1::2], strict=True))
        codes = [part for i, (name, _) in enumerate(pairs) if name.startswith(b"bad") for part in (i, b"RANGE")]
        if codes:
            self.answers[producer] = [b"REFUSED", confirmed, *codes]
            return self.answers[producer]
        self.answers.pop(producer, None)
        for name, amount in pairs:
            self.amounts[name] += amount
        self.birth = self.birth or f"{producer}.{incarnation}.{sequence}"
        self.writes += writes
        self.marks[producer] = sequence
        return [b"OK", confirmed, self.birth.encode(), len(self.amounts)]

    def enter(self, batch: str, fence: str, leave: str) -> list[Any]:
        if self.entered == self.replid and leave != self.incarnation:
            return [b"OK", self.incarnation.encode(), b"0"]
        self.seal(batch)
        self.queue.append(Batch(Link(fence, ANY_PARENT, fence, fence, 0, 0, 0), Counter(), {}))
        self.entered, self.incarnation, self.last = self.replid, fence, fence
        self.lanes, self.answers, self.confirmed = {}, {}, {}
        return [b"OK", fence.encode(), b"1"]

    def seal(self, identity: str) -> None:
        if self.amounts:
            link = Link(identity, self.last, self.incarnation, self.birth, self.writes, len(self.amounts), 0)
            self.queue.append(Batch(link, self.amounts, self.marks))
            self.last, self.birth, self.writes = identity, "", 0
            self.amounts, self.marks = Counter(), {}

    def acknowledge(self, batch: Batch, *, is_applied: bool) -> None:
        if self.queue and self.queue[0].link == batch.link:
            del self.queue[0]
            if is_applied and batch.link.incarnation == self.incarnation:
                self.confirmed |= batch.marks


@dataclass
class Ledger:
    """The database: what was applied, and what the ledger remembers."""

    rows: Counter[bytes] = field(default_factory=Counter)
    head: str = ROOT
    applied: dict[str, Link] = field(default_factory=dict)
    put_aside: set[str] = field(default_factory=set)
    closed: set[str] = field(default_factory=set)
    marks: dict[tuple[str, str], int] = field(default_factory=dict)

    def apply(self, batch: Batch, head_seen_before: str) -> Verdict:
        link = batch.link
        births = [old.writes for old in self.applied.values() if old.birth == link.birth]
        standing = Standing(
            self.head,
            link.identity in self.applied or link.identity in self.put_aside,
            link.incarnation in self.closed,
            max(births, default=None),
        )
        verdict = judge(link, standing, head_seen_before)
        if verdict in (Verdict.APPLY, Verdict.APPLY_FENCE):
            self.head = link.identity
            self.applied[link.identity] = link
            self.rows += batch.amounts
            for producer, mark in batch.marks.items():
                self.marks[producer, link.incarnation] = mark
        elif verdict is Verdict.QUARANTINE:
            self.put_aside.add(link.identity)
        return verdict

    def has_marks(self, batch: Batch) -> bool:
        """Whether the writes of a batch's producers are in the database."""
        return all(self.marks.get((p, batch.link.incarnation), 0) >= mark for p, mark in batch.marks.items())


class ExactlyOnce(RuleBasedStateMachine):
    """One producer, its lane and all that can go wrong."""

    def __init__(self) -> None:
        super().__init__()
        self.caches = [Cache()]
        self.here = self.caches[0]
        self.history = [copy.deepcopy(self.here)]
        self.ledger = Ledger()
        self.replids = 0
        self.identities = 0
        self.lane = Lane("videos.likes/0", RingBounds(1_000, 10_000_000, "block"))
        counter = BoundCounter(
            CounterMapping("videos", "likes"), KeyCodec((KeyColumn("id", "text", "text"),), "videos.likes"), Amounts()
        )
        keys = PartitionKeys.of("tests", counter.name, 0)
        partition = Partition(PartitionName("tests", counter.name, 0), keys, counter, self.lane)
        self.delivery = Delivery(
            partition, CounterWriting(counter), DeliverySettings(5, 1_000, refuse_when_full=True), ignore
        )
        self.writes: list[tuple[WriteGroup, bytes, int]] = []
        self.taken_back: set[bytes] = set()
        self.flying: list[tuple[WriteGroup, Generator[Any, Any, Any], Call[Any]]] = []
        self.on_the_wire: list[tuple[Cache, Call[Any]]] = []
        self.stale_head = ROOT

    # The application

    @rule(local=st.booleans(), is_bad=st.booleans())
    def write(self, local: bool, is_bad: bool) -> None:
        name = b"%s%d" % (b"bad" if is_bad and not local else b"key", len(self.writes))
        group, place = self.lane.join(name, 1, local=local)
        self.writes.append((group, name, place))
        self.lane.join(SHARED, ADDED_TO_SHARED, local=True)

    @precondition(lambda self: self.writes)
    @rule(data=st.data())
    def take_back(self, data: st.DataObject) -> None:
        group, name, place = data.draw(st.sampled_from(self.writes[-4:]))
        if name not in self.taken_back and name not in group.local and self.lane.withdraw(group, [(name, 1, place)]):
            self.taken_back.add(name)

    # On the way

    @rule(resume=st.booleans())
    def send(self, resume: bool) -> None:
        group = self.delivery.resume() if resume else self.delivery.take()
        if group is not None:
            procedure = self.delivery.deliver(group)
            self.go_on(group, procedure, None)

    @rule()
    def send_all_and_be_answered(self) -> None:
        """What happens nearly always; without it, chance would hardly ever get far."""
        while (group := self.delivery.take()) is not None:
            in_the_air = len(self.flying)
            self.go_on(group, self.delivery.deliver(group), None)
            while len(self.flying) > in_the_air:
                group, procedure, call = self.flying.pop()
                self.go_on(group, procedure, call.parse(self.here.execute(call.command)))
            if self.lane.hindrance is not None:
                return

    def go_on(self, group: WriteGroup, procedure: Generator[Any, Any, Any], result: Any) -> None:
        """Let a delivery run until it asks the cache; it is then in the air until ``answer`` and the like."""
        try:
            effect = procedure.throw(result) if isinstance(result, Exception) else procedure.send(result)
        except (StopIteration, CacheUnavailable, BufferFull):
            return
        self.flying.append((group, procedure, effect.call))

    def land(self, data: st.DataObject) -> tuple[WriteGroup, Generator[Any, Any, Any], Call[Any]]:
        return self.flying.pop(data.draw(st.integers(0, len(self.flying) - 1)))

    @precondition(lambda self: self.flying)
    @rule(data=st.data())
    def answer(self, data: st.DataObject) -> None:
        group, procedure, call = self.land(data)
        self.go_on(group, procedure, call.parse(self.here.execute(call.command)))

    @precondition(lambda self: self.flying)
    @rule(data=st.data())
    def lose_the_answer(self, data: st.DataObject) -> None:
        group, procedure, call = self.land(data)
        self.here.execute(call.command)
        self.go_on(group, procedure, CacheUnavailable("no answer"))

    @precondition(lambda self: self.flying)
    @rule(data=st.data())
    def time_out_with_the_call_on_the_wire(self, data: st.DataObject) -> None:
        group, procedure, call = self.land(data)
        self.on_the_wire.append((self.here, call))
        self.go_on(group, procedure, CacheUnavailable("no answer in time"))

    @precondition(lambda self: self.on_the_wire)
    @rule(data=st.data())
    def execute_late(self, data: st.DataObject) -> None:
        cache, call = self.on_the_wire.pop(data.draw(st.integers(0, len(self.on_the_wire) - 1)))
        cache.execute(call.command)

    @precondition(lambda self: self.flying)
    @rule(data=st.data())
    def fail_to_send(self, data: st.DataObject) -> None:
        group, procedure, _ = self.land(data)
        self.go_on(group, procedure, NotExecuted("connection refused"))

    @precondition(lambda self: self.flying)
    @rule(data=st.data(), executed=st.booleans())
    def interrupt(self, data: st.DataObject, executed: bool) -> None:
        group, procedure, call = self.land(data)
        if executed:
            self.here.execute(call.command)
        procedure.close()
        self.delivery.abandon(group)

    @rule()
    def have_a_reader_meet_the_incarnation(self) -> None:
        self.perform(self.delivery.enter())

    @rule()
    def ask_how_far_the_database_is(self) -> None:
        self.perform(refresh(self.delivery))

    def perform(self, procedure: Generator[Any, Any, Any]) -> None:
        result = None
        while True:
            try:
                call = procedure.send(result).call
            except StopIteration:
                return
            result = call.parse(self.here.execute(call.command))

    # The cache

    @rule(is_full=st.booleans())
    def fill_up_or_make_room(self, is_full: bool) -> None:
        self.here.is_full = is_full

    @rule(data=st.data())
    def crash(self, data: st.DataObject) -> None:
        """The server comes back with an earlier state; what was on the wire to it is gone."""
        self.on_the_wire = [(cache, call) for cache, call in self.on_the_wire if cache is not self.here]
        past = copy.deepcopy(data.draw(st.sampled_from(self.history[-12:])))
        past.replid = self.new_replid()
        self.caches[self.caches.index(self.here)] = past
        self.here = past

    @precondition(lambda self: len(self.caches) < 3)
    @rule()
    def promote_a_replica(self) -> None:
        """The former primary lives on."""
        replica = copy.deepcopy(self.here)
        replica.replid = self.new_replid()
        self.caches.append(replica)
        self.here = replica

    @precondition(lambda self: len(self.caches) > 1)
    @rule(data=st.data())
    def reach_another_primary(self, data: st.DataObject) -> None:
        self.here = data.draw(st.sampled_from(self.caches))

    def new_replid(self) -> int:
        self.replids += 1
        return self.replids

    # The worker, and settling

    @rule()
    def remember_a_head(self) -> None:
        self.stale_head = self.ledger.head

    @rule(data=st.data(), is_stale=st.booleans(), acknowledges=st.booleans())
    def flush(self, data: st.DataObject, is_stale: bool, acknowledges: bool) -> None:
        cache = data.draw(st.sampled_from(self.caches))
        self.work(cache, self.stale_head if is_stale else self.ledger.head, acknowledges=acknowledges)

    @rule(acknowledges_the_last=st.booleans())
    def flush_what_waits_here(self, acknowledges_the_last: bool) -> None:
        for _ in range(3):
            self.work(self.here, self.ledger.head, acknowledges=True)
        self.work(self.here, self.ledger.head, acknowledges=acknowledges_the_last)

    def work(self, cache: Cache, head: str, *, acknowledges: bool) -> None:
        if cache.entered != cache.replid:
            cache.enter(self.identity("b"), self.identity("f"), "")
        if not cache.queue:
            cache.seal(self.identity("b"))
        if not cache.queue:
            return
        front = cache.queue[0]
        verdict = self.ledger.apply(front, head)
        if verdict is Verdict.LOOK_AGAIN or not acknowledges:
            return
        is_applied = self.ledger.has_marks(front)
        if not is_applied and front.link.incarnation == cache.incarnation and not front.link.is_fence:
            cache.enter(self.identity("b"), self.identity("f"), cache.incarnation)
        cache.acknowledge(front, is_applied=is_applied)

    def identity(self, kind: str) -> str:
        self.identities += 1
        return f"{kind}{self.identities}"

    @rule()
    def settle(self) -> None:
        for old in list(self.lane.old):
            if any(fence in self.ledger.applied for fence in old.met_since):
                self.ledger.closed.add(old.incarnation)
                self.lane.settled(old, self.ledger.marks.get((self.lane.producer, old.incarnation), 0))

    # What must be true

    @invariant()
    def remember(self) -> None:
        self.history.append(copy.deepcopy(self.here))

    @invariant()
    def nothing_is_applied_twice(self) -> None:
        assert all(amount == 1 for name, amount in self.ledger.rows.items() if name != SHARED)
        assert self.ledger.rows[SHARED] <= ADDED_TO_SHARED * len(self.writes)

    def teardown(self) -> None:
        """All goes well for a while: then everything is in the database, and nothing is kept."""
        for cache in self.caches:
            cache.is_full = False
        for _ in range(300):
            self.send(resume=True)
            while self.flying:
                group, procedure, call = self.flying.pop()
                self.go_on(group, procedure, call.parse(self.here.execute(call.command)))
            for cache in self.caches:
                self.work(cache, self.ledger.head, acknowledges=True)
            self.settle()
            self.ask_how_far_the_database_is()
            if self.lane.is_idle and not self.lane.ring.groups:
                break
        assert self.lane.is_idle
        assert not self.lane.unsettled
        assert (self.lane.ring.groups, self.lane.ring.size_bytes) == (0, 0)
        for group, name, _ in self.writes:
            was_refused = name in self.taken_back or name in group.refused or group.error is not None
            assert group.resolved or name in self.taken_back
            assert self.ledger.rows[name] == (0 if was_refused else 1), name


ExactlyOnce.TestCase.settings = settings(max_examples=100, stateful_step_count=50, deadline=None)
test_every_write_is_applied_exactly_once = ExactlyOnce.TestCase
