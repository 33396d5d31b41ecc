"""What is written again after a rollback leaves every key as if nothing had happened, whatever its kind.

Lane, delivery, settling's decisions and the rules of changes are the real ones; cache, database and worker are small
models, driven by a seeded chance. One producer writes records, scores or events; the cache rolls back to any earlier
state, answers are lost or late, calls are not sent, callers take back what was not sent, the cache has no room. At the
end the database has, of each column and each member, what the producer's writes give in their order, and each event
once.
"""

from __future__ import annotations

import copy
import random
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from typing import Any

import pytest

from writebehind.cache.calls import Call
from writebehind.cache.keys import PartitionKeys
from writebehind.cache.replies import NotExecuted
from writebehind.chain import ANY_PARENT, ROOT, Link, Standing, Verdict, judge
from writebehind.changes import RecordChange, ScoreChange
from writebehind.client.delivery import Delivery, DeliverySettings
from writebehind.client.event_groups import NO_FIELD
from writebehind.client.groups import WriteGroup
from writebehind.client.lane import Lane
from writebehind.client.partition import Partition
from writebehind.client.ring import RingBounds
from writebehind.client.settling import refresh
from writebehind.client.writing import EventWriting, RecordWriting, ScoreWriting, Writing
from writebehind.columns import ColumnType
from writebehind.databases.contract import PartitionName
from writebehind.errors import BufferFull, CacheUnavailable
from writebehind.mapping import (
    BoundEvents,
    BoundLeaderboard,
    BoundRecords,
    EventMapping,
    LeaderboardMapping,
    RecordMapping,
)
from writebehind.observe import ignore
from writebehind.scores import Scores
from writebehind.values import KeyCodec, KeyColumn

FIELDS = (b"x", b"y")
COLUMNS = ("a", "b", "c")
STEPS = 60


class Kind:
    """One kind of mapping: how it writes, how a random change is made, and what changes do to a row."""

    mapping: Any
    writing: Writing
    arguments_before_entries = 6
    arguments_an_entry = 2

    def change(self, chance: random.Random, number: int) -> tuple[bytes, Any]:
        """A write of its own: nothing of it is like any other's."""
        raise NotImplementedError

    def decode(self, text: Any) -> Any:
        """A change that travelled."""
        raise NotImplementedError

    def apply(self, rows: dict[Any, Any], name: bytes, change: Any) -> None:
        """Do to the rows what the database does."""
        raise NotImplementedError


class RecordKind(Kind):
    arguments_before_entries = 8

    def __init__(self, version: str | None = None) -> None:
        text = ColumnType("text", "text")
        columns = dict.fromkeys(COLUMNS, text) | {"v": ColumnType("integer", "bigint", bits=64)}
        keys = KeyCodec((KeyColumn("id", "text", "text"),), "profiles")
        self.mapping = BoundRecords(RecordMapping("profiles", version=version), keys, columns)
        self.writing = RecordWriting(self.mapping)
        self.is_versioned = version is not None

    def change(self, chance: random.Random, number: int) -> tuple[bytes, RecordChange]:
        name = chance.choice(FIELDS)
        version = str(number) if self.is_versioned else None
        if chance.random() < 0.15:
            return name, RecordChange("delete", deleted_at=version)
        columns = dict.fromkeys(chance.sample(COLUMNS, chance.randrange(1, 3)), f"{number}")
        if version is None:
            return name, RecordChange("upsert", columns)
        columns["v"] = version
        return name, RecordChange("upsert", columns, dict.fromkeys(columns, version))

    def decode(self, text: str) -> RecordChange:
        return RecordChange.decode(text)

    def apply(self, rows: dict[Any, Any], name: bytes, change: RecordChange) -> None:
        rules = self.writing.rules
        assert rules is not None
        if self.is_versioned and name in rows:
            left = rules.since_row(change, rows[name].get("v"))  # type: ignore[attr-defined]
            if left is None:
                return
            change = left
        if change.operation != "upsert":
            rows.pop(name, None)
        if change.operation != "delete":
            rows[name] = {**rows.get(name, {}), **change.columns}


class ScoreKind(Kind):
    arguments_before_entries = 7
    arguments_an_entry = 4

    def __init__(self, keep: str) -> None:
        mapping = LeaderboardMapping("scores", "points", "player", keep=keep)  # type: ignore[arg-type]
        self.mapping = BoundLeaderboard(mapping, KeyCodec((KeyColumn("player", "text", "text"),), "scores"), Scores())
        self.writing = ScoreWriting(self.mapping)

    def change(self, chance: random.Random, number: int) -> tuple[bytes, ScoreChange]:
        if chance.random() < 0.2:
            return chance.choice(FIELDS), ScoreChange("delete")
        return chance.choice(FIELDS), ScoreChange("merge", 2 ** (number % 48) if self.keep == "sum" else number)

    @property
    def keep(self) -> str:
        return str(self.mapping.mapping.keep)

    def decode(self, text: str) -> ScoreChange:
        return self.writing.rules.decode(text.encode())  # type: ignore[union-attr]

    def apply(self, rows: dict[Any, Any], name: bytes, change: ScoreChange) -> None:
        if change.operation == "delete":
            rows.pop(name, None)
        elif change.operation == "set" or name not in rows:
            rows[name] = change.units
        else:
            rows[name] = ScoreChange("merge", rows[name]).then(change, self.keep).units


class EventKind(Kind):
    arguments_an_entry = 1

    def __init__(self) -> None:
        self.mapping = BoundEvents(EventMapping("clicks"), {})
        self.writing = EventWriting()

    def change(self, chance: random.Random, number: int) -> tuple[bytes, str]:
        return NO_FIELD, f"event {number}"

    def apply(self, rows: dict[Any, Any], name: bytes, change: str) -> None:
        rows[change] = rows.get(change, 0) + 1


@dataclass
class Batch:
    link: Link
    changes: list[tuple[bytes, Any]]
    marks: dict[str, int]


@dataclass
class Cache:
    """One life of the cache's data, as the functions of the library treat it."""

    kind: Kind
    replid: int = 0
    entered: int = -1
    incarnation: str = ""
    last: str = ""
    birth: str = ""
    writes: int = 0
    changes: list[tuple[bytes, Any]] = field(default_factory=list)
    marks: dict[str, int] = field(default_factory=dict)
    lanes: dict[str, int] = field(default_factory=dict)
    confirmed: dict[str, int] = field(default_factory=dict)
    queue: list[Batch] = field(default_factory=list)
    is_full: bool = False

    def execute(self, command: tuple[Any, ...]) -> list[Any]:
        name, keys = command[1], command[2]
        arguments = command[3 + keys :]
        if str(name).startswith("wb1_write"):
            return self.write(arguments)
        if name == "wb1_enter":
            return self.enter(*arguments[1:4])
        if name == "wb1_confirmed":
            if self.entered != self.replid:
                return [b"NEW"]
            return [b"OK", self.incarnation.encode(), self.confirmed.get(arguments[0], 0)]
        if name == "wb1_seal":
            if self.entered != self.replid:
                return [b"NEW"]
            self.seal(arguments[1])
            return [b"OK", self.incarnation.encode()]
        return [1]

    def write(self, arguments: tuple[Any, ...]) -> list[Any]:
        _, incarnation, producer, sequence, writes, _ = arguments[:6]
        if self.entered != self.replid:
            return [b"NEW", b""]
        if incarnation != self.incarnation:
            return [b"NEW", self.incarnation.encode()]
        last, confirmed = self.lanes.get(producer, 0), self.confirmed.get(producer, 0)
        if sequence <= last:
            return [b"ALREADY", confirmed, b"", 0]
        if sequence != last + 1:
            return [b"GAP", last]
        if self.is_full:
            return [b"FULL", confirmed]
        self.lanes[producer] = self.marks[producer] = sequence
        entries, width = arguments[self.kind.arguments_before_entries :], self.kind.arguments_an_entry
        for first in range(0, len(entries), width):
            if width == 1:
                self.changes.append((NO_FIELD, entries[first]))
            else:
                self.merge(entries[first], self.kind.decode(entries[first + 1]))
        self.birth = self.birth or f"{producer}.{incarnation}.{sequence}"
        self.writes += writes
        return [b"OK", confirmed, self.birth.encode(), len(self.changes)]

    def merge(self, name: bytes, change: Any) -> None:
        open_changes = dict(self.changes)
        rules = self.kind.writing.rules
        assert rules is not None
        open_changes[name] = rules.then(open_changes[name], change) if name in open_changes else change
        self.changes = list(open_changes.items())

    def enter(self, batch: str, fence: str, leave: str) -> list[Any]:
        if self.entered == self.replid and leave != self.incarnation:
            return [b"OK", self.incarnation.encode(), b"0"]
        self.seal(batch)
        self.queue.append(Batch(Link(fence, ANY_PARENT, fence, fence, 0, 0, 0), [], {}))
        self.entered, self.incarnation, self.last = self.replid, fence, fence
        self.lanes, self.confirmed = {}, {}
        return [b"OK", fence.encode(), b"1"]

    def seal(self, identity: str) -> None:
        if self.changes:
            link = Link(identity, self.last, self.incarnation, self.birth, self.writes, len(self.changes), 0)
            self.queue.append(Batch(link, self.changes, self.marks))
            self.last, self.birth, self.writes = identity, "", 0
            self.changes, self.marks = [], {}


@dataclass
class Ledger:
    """The database and what its ledger remembers."""

    kind: Kind
    rows: dict[Any, Any] = field(default_factory=dict)
    head: str = ROOT
    applied: dict[str, Link] = field(default_factory=dict)
    put_aside: set[str] = field(default_factory=set)
    closed: set[str] = field(default_factory=set)
    marks: dict[tuple[str, str], int] = field(default_factory=dict)

    def apply(self, batch: Batch) -> Verdict:
        link = batch.link
        births = [old.writes for old in self.applied.values() if old.birth == link.birth]
        is_known = link.identity in self.applied or link.identity in self.put_aside
        standing = Standing(self.head, is_known, link.incarnation in self.closed, max(births, default=None))
        verdict = judge(link, standing, self.head)
        if verdict in (Verdict.APPLY, Verdict.APPLY_FENCE):
            self.head = link.identity
            self.applied[link.identity] = link
            for name, change in batch.changes:
                self.kind.apply(self.rows, name, change)
            for producer, mark in batch.marks.items():
                self.marks[producer, link.incarnation] = mark
        elif verdict is Verdict.QUARANTINE:
            self.put_aside.add(link.identity)
        return verdict


@dataclass
class Written:
    """A write that joined a group, in the order of the calls."""

    group: WriteGroup
    name: bytes
    change: Any
    place: int
    is_local: bool
    is_taken_back: bool = False


class World:
    """One producer and all that happens to it."""

    def __init__(self, kind: Kind, seed: int) -> None:
        self.kind = kind
        self.chance = random.Random(seed)
        self.cache = Cache(kind)
        self.history = [copy.deepcopy(self.cache)]
        self.ledger = Ledger(kind)
        self.identities = 0
        writing = kind.writing
        name = PartitionName("tests", kind.mapping.name, 0)
        self.lane = Lane("tests/0", RingBounds(1_000, 10_000_000, "block"), writing.new_group, writing.rules)
        partition = Partition(name, PartitionKeys.of("tests", kind.mapping.name, 0), kind.mapping, self.lane)
        self.delivery = Delivery(partition, writing, DeliverySettings(50, 1_000, refuse_when_full=True), ignore)
        self.writes: list[Written] = []
        self.flying: list[tuple[WriteGroup, Generator[Any, Any, Any], Call[Any]]] = []

    def happenings(self) -> list[Callable[[], None]]:
        often = [self.write, self.send, self.answer]
        sometimes = [self.flush, self.settle, self.refresh, self.take_back, self.lose_an_answer, self.fail_to_send]
        return [*often * 4, *sometimes * 2, self.crash, self.have_another_meet_it, self.fill_up_or_make_room]

    def run(self) -> None:
        happenings = self.happenings()
        for _ in range(STEPS):
            self.chance.choice(happenings)()
            self.history.append(copy.deepcopy(self.cache))
        self.come_to_rest()

    # The application

    def write(self) -> None:
        name, change = self.kind.change(self.chance, len(self.writes) + 1)
        is_local = self.chance.random() < 0.5
        group, place = self.lane.join(name, change, local=is_local)
        if not is_local and self.chance.random() < 0.3:
            group.watched = True  # by ack="database"
        self.writes.append(Written(group, name, change, place, is_local))

    def take_back(self) -> None:
        waited_for = [each for each in self.writes if not each.is_local and not each.is_taken_back]
        if waited_for:
            each = self.chance.choice(waited_for[-6:])
            if each.group.error is None:
                each.is_taken_back = self.lane.withdraw(each.group, [(each.name, each.change, each.place)])

    # On the way

    def send(self) -> None:
        group = self.delivery.resume()
        if group is not None:
            self.go_on(group, self.delivery.deliver(group), None)

    def go_on(self, group: WriteGroup, procedure: Generator[Any, Any, Any], result: Any) -> None:
        try:
            effect = procedure.throw(result) if isinstance(result, Exception) else procedure.send(result)
        except (StopIteration, CacheUnavailable, BufferFull):
            return
        self.flying.append((group, procedure, effect.call))

    def land(self, result: Callable[[Call[Any]], Any]) -> None:
        if self.flying:
            group, procedure, call = self.flying.pop(self.chance.randrange(len(self.flying)))
            self.go_on(group, procedure, result(call))

    def answer(self) -> None:
        self.land(lambda call: call.parse(self.cache.execute(call.command)))

    def lose_an_answer(self) -> None:
        def lost(call: Call[Any]) -> Exception:
            self.cache.execute(call.command)
            return CacheUnavailable("no answer")

        self.land(lost)

    def fail_to_send(self) -> None:
        self.land(lambda call: NotExecuted("connection refused"))

    def refresh(self) -> None:
        self.perform(refresh(self.delivery))

    def have_another_meet_it(self) -> None:
        self.perform(self.delivery.enter())

    def perform(self, procedure: Generator[Any, Any, Any]) -> None:
        result = None
        while True:
            try:
                call = procedure.send(result).call
            except StopIteration:
                return
            result = call.parse(self.cache.execute(call.command))

    # The cache, the worker, and settling

    def fill_up_or_make_room(self) -> None:
        self.cache.is_full = not self.cache.is_full

    def crash(self) -> None:
        replid = self.cache.replid + 1
        self.cache = copy.deepcopy(self.chance.choice(self.history[-20:]))
        self.cache.replid = replid

    def flush(self) -> None:
        cache = self.cache
        if cache.entered != cache.replid:
            cache.enter(self.identity("b"), self.identity("f"), "")
        cache.seal(self.identity("b"))
        for _ in range(self.chance.randrange(1, 4)):
            if not cache.queue:
                return
            front = cache.queue[0]
            self.ledger.apply(front)
            if self.chance.random() < 0.2:
                return  # the worker dies before it acknowledges
            has_marks = all(
                self.ledger.marks.get((producer, front.link.incarnation), 0) >= mark
                for producer, mark in front.marks.items()
            )
            if not has_marks and front.link.incarnation == cache.incarnation and not front.link.is_fence:
                cache.enter(self.identity("b"), self.identity("f"), cache.incarnation)
            del cache.queue[0]
            if has_marks and front.link.incarnation == cache.incarnation:
                cache.confirmed |= front.marks

    def identity(self, kind: str) -> str:
        self.identities += 1
        return f"{kind}{self.identities}"

    def settle(self) -> None:
        for old in list(self.lane.old):
            if not any(fence in self.ledger.applied for fence in old.met_since):
                return
            self.ledger.closed.add(old.incarnation)
            self.lane.settled(old, self.ledger.marks.get((self.lane.producer, old.incarnation), 0))

    # What must be true at the end

    def come_to_rest(self) -> None:
        self.cache.is_full = False
        for _ in range(300):
            self.send()
            while self.flying:
                self.answer()
            self.flush()
            self.settle()
            self.refresh()
            if self.lane.is_idle and not self.lane.ring.groups:
                break
        assert self.lane.is_idle
        assert (self.lane.unsettled, self.lane.ring.groups, self.lane.ring.size_bytes) == (False, 0, 0)

    def expected(self) -> dict[Any, Any]:
        rows: dict[Any, Any] = {}
        for each in self.writes:
            if not each.is_taken_back and each.group.error is None:
                self.kind.apply(rows, each.name, each.change)
        return rows


KINDS: dict[str, Callable[[], Kind]] = {
    "records": RecordKind,
    "records with a version": lambda: RecordKind("v"),
    "max": lambda: ScoreKind("max"),
    "min": lambda: ScoreKind("min"),
    "last": lambda: ScoreKind("last"),
    "sum": lambda: ScoreKind("sum"),
    "events": EventKind,
}


@pytest.mark.parametrize("name", KINDS)
def test_every_write_has_its_effect_in_the_producers_order(name: str) -> None:
    for seed in range(150):
        world = World(KINDS[name](), seed)
        world.run()
        assert world.ledger.rows == world.expected(), f"seed {seed}"
        watched = [each.group for each in world.writes if each.group.watched and not each.is_taken_back]
        assert all(group.confirmed or group.error for group in watched), f"seed {seed}"
