"""Building a board's sorted set from the database's rows and what is pending, once for all who wait.

From ``begin_board`` on, each write goes into the building set by itself; all that was pending before lies in sealed
batches then. These are read whole; then the database's rows, streamed from one snapshot, with its head: what the
batches after that head change is merged into the rows on the way. ``finish_board`` gives the set its name if nothing
came between that this could not have followed (docs/protocol.md, "Boards").
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from writebehind.cache import calls
from writebehind.cache.calls import Argument, Call, number
from writebehind.cache.keys import MARK_FIELD
from writebehind.cache.link import Link as CacheLink
from writebehind.cache.link import Links
from writebehind.chain import Link, new_identity
from writebehind.changes import ScoreChange, ScoreRules, kept
from writebehind.client.delivery import Delivery, other_layout
from writebehind.client.effects import Procedure, ask_database, pause
from writebehind.client.gathering import Gathered, Gathering
from writebehind.client.reading import first_batch_to_add
from writebehind.databases.contract import Database
from writebehind.errors import ReadUnsettled, WriteBehindError
from writebehind.mapping import BoundLeaderboard
from writebehind.scores import Units
from writebehind.values import key_part

MOST_TRIES = 100
TRY_AGAIN_AFTER_S = 0.02
SILENCE_MS = 10_000
"""A building that nothing was loaded into for so long has lost its builder: another may begin."""
LOAD_MEMBERS = 500
"""Members of one call: about half a millisecond of the server's time. With 1,000 a call and ten calls a round trip
other clients waited up to 28 ms on a busy machine of two cores, now 10; the building took no longer."""
CALLS_A_ROUND_TRIP = 2
SLICE_FIELDS = 1_000


class BuildGroup(Gathered):
    """Callers that wait for one board.

    ``members`` is how many it had when it was built; None where another process builds it, and was not done yet.
    """

    def __init__(self) -> None:
        super().__init__()
        self.members: int | None = None


@dataclass(frozen=True, slots=True)
class _Enter:
    """Nobody has entered the server's present incarnation."""


@dataclass(frozen=True, slots=True)
class _Again:
    """The building has to begin anew."""


class BoardBuilders:
    """The builders of one partition's boards. Thread-safe."""

    def __init__(self, cache: Links, database: Database, delivery: Delivery, leaderboard: BoundLeaderboard) -> None:
        self._make = partial(BoardBuilder, self, cache, database, delivery, leaderboard)
        self._lock = threading.Lock()
        self._builders: dict[bytes, BoardBuilder] = {}

    def join(self, board: bytes) -> tuple[BoardBuilder, BuildGroup, bool]:
        """Wait with the others for the board's building; the last is true where that had begun already."""
        with self._lock:
            builder = self._builders.get(board)
            if builder is None:
                builder = self._builders[board] = self._make(board)
            group, has_begun = builder.join()
            return builder, group, has_begun

    def forget(self, builder: BoardBuilder) -> None:
        """A builder for whom nobody waits is not kept: there may be very many boards."""
        with self._lock:
            if builder.is_idle:
                self._builders.pop(builder.board, None)


class BoardBuilder(Gathering[BuildGroup]):
    """Builds one board; callers that arrive while it is being built share the building."""

    def __init__(
        self,
        builders: BoardBuilders,
        cache: Links,
        database: Database,
        delivery: Delivery,
        leaderboard: BoundLeaderboard,
        board: bytes,
    ) -> None:
        super().__init__()
        self.board = board
        self._builders = builders
        self._cache = cache
        self._database = database
        self._delivery = delivery
        self._leaderboard = leaderboard
        self._rules = ScoreRules(leaderboard.mapping.keep, leaderboard.scores)

    @property
    def is_idle(self) -> bool:
        return self._flying is None and not self._waiting

    def join(self) -> tuple[BuildGroup, bool]:
        """The group that is being served now, or the one that will be: a board that is built serves all."""
        with self._lock:
            if self._flying is not None:
                return self._flying, True
            if not self._waiting:
                self._waiting.append(BuildGroup())
            return self._waiting[-1], False

    def deliver(self, group: BuildGroup) -> Procedure[None]:
        """Build the board; an error goes to exactly its callers."""
        try:
            group.members = yield from self._build()
        except WriteBehindError as error:
            self._finish(group, error)
        else:
            self._finish(group)
        self._builders.forget(self)

    def _build(self) -> Procedure[int | None]:
        partition = self._delivery.partition
        for _ in range(MOST_TRIES):
            built = yield from ask_database(self._try)
            match built:
                case int() | None:
                    return built
                case _Enter():
                    yield from self._delivery.enter()
                case _Again():
                    yield from pause(TRY_AGAIN_AFTER_S)
        raise ReadUnsettled(
            f"the board {self.board.decode()!r} of {partition.label} was not built within {MOST_TRIES} tries",
            why="members are being removed all the time, or no worker settles the partition",
            fix="Read again; check `writebehind status`.",
        )

    def _try(self) -> int | _Enter | _Again | None:
        """Build once; None where another process builds it. Waits for cache and database, on connections of its own."""
        keys, layout = self._delivery.partition.keys, self._delivery.partition.layout
        building, board_key = keys.building(self.board), self._leaderboard.board_key(self.board)
        token = b"\x00" + secrets.token_bytes(12)
        with self._cache.borrow() as cache:
            size = cache.execute(calls.read_board(keys, board_key, ("size",), layout=layout, highest_first=True))
            if isinstance(size, calls.BoardAnswer):
                return number(size.values[0])  # it was built between the caller's question and this one
            begun = cache.execute(
                calls.begin_board(
                    keys, building, layout=layout, batch=new_identity(), token=token, silence_ms=SILENCE_MS
                )
            )
            match begun:
                case calls.NewIncarnation():
                    return _Enter()
                case calls.OtherLayout(found):
                    raise other_layout(self._delivery.partition, found)
                case calls.BoardBusy():
                    return None
            try:
                if not self._load(cache, building, token, begun):
                    cache.execute(calls.abandon_board(building, token))
                    return _Again()
                members = cache.execute(
                    calls.finish_board(
                        keys,
                        building,
                        board_key,
                        layout=layout,
                        generation=begun.generation,
                        token=token,
                        ttl_ms=self._leaderboard.mapping.cached_value_ttl_ms,
                    )
                )
                return _Again() if members is None else members
            except BaseException:
                cache.execute(calls.abandon_board(building, token))  # or the others would wait for its silence to end
                raise

    def _load(self, cache: CacheLink, building: bytes, token: bytes, begun: calls.BoardBegun) -> bool:
        """Load rows and sealed changes; False where it has to begin anew."""
        batches = [self._changes_of(cache, link) for link in begun.chain]
        name = self._delivery.partition.name
        front = begun.chain[0].identity if begun.chain else None
        column = self._leaderboard.board_column
        board = () if column is None else (key_part(self.board.decode(), column),)
        with self._database.read_board(name, self._leaderboard, board, front) as read:
            first = first_batch_to_add(begun.chain, begun.last, read.head, front_is_applied=read.front_is_applied)
            if first is None or any(batch is None for batch in batches[first:]):
                return False
            pending: dict[str, ScoreChange] = {}
            for batch in batches[first:]:
                for member, change in (batch or {}).items():
                    before = pending.get(member)
                    pending[member] = change if before is None else self._rules.then(before, change)
            return all(self._send(cache, building, token, entries) for entries in self._scores(read.slices, pending))

    def _changes_of(self, cache: CacheLink, link: Link) -> dict[str, ScoreChange] | None:
        """This board's changes in a sealed batch; None where it is not in the cache any more, as it was applied."""
        if link.is_fence:
            return {}
        key = self._delivery.partition.keys.batch(link.identity)
        found: dict[bytes, bytes] = {}
        cursor = 0
        while True:
            part = cache.execute(calls.scan_batch(key, cursor, SLICE_FIELDS))
            found.update(zip(part.flat[::2], part.flat[1::2], strict=True))
            cursor = part.cursor
            if cursor == 0:
                break
        if len(found) != link.size:
            return None
        changes = {}
        found.pop(MARK_FIELD, None)
        for field, text in found.items():
            try:
                board, member = self._leaderboard.split(field)
                if board == self.board:
                    changes[member.decode()] = self._rules.decode(text)
            except ValueError:
                continue  # written by another program, and no score: it becomes a dead letter
        return changes

    def _scores(
        self, slices: Iterator[Sequence[tuple[str, Units]]], pending: dict[str, ScoreChange]
    ) -> Iterator[list[tuple[str, Units]]]:
        """The rows with what is pending merged in; at last the pending members that have no row."""
        keep = self._leaderboard.mapping.keep
        for rows in slices:
            if not pending:
                yield list(rows)
                continue
            merged = []
            for member, units in rows:
                change = pending.pop(member, None)
                if change is None:
                    merged.append((member, units))
                elif change.operation != "delete":
                    now = change.units if change.operation == "set" else kept(units, change.units, keep)
                    merged.append((member, now))
            yield merged
        yield [(member, change.units) for member, change in pending.items() if change.operation != "delete"]

    def _send(self, cache: CacheLink, building: bytes, token: bytes, entries: Sequence[tuple[str, Units]]) -> bool:
        to_text = self._leaderboard.scores.to_text
        keep = self._leaderboard.mapping.keep
        loads: list[Call[bool]] = []
        for first in range(0, len(entries), LOAD_MEMBERS):
            flat: list[Argument] = []
            for member, units in entries[first : first + LOAD_MEMBERS]:
                flat += (to_text(units), member)
            loads.append(calls.load_board(building, flat, token=token, keep=keep, silence_ms=SILENCE_MS))
        return all(
            all(cache.execute_all(loads[first : first + CALLS_A_ROUND_TRIP]))
            for first in range(0, len(loads), CALLS_A_ROUND_TRIP)
        )
