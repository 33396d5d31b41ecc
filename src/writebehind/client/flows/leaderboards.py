"""What a leaderboard does."""

from __future__ import annotations

import time
from collections.abc import Sequence
from decimal import Decimal
from typing import Generic, NamedTuple, TypeVar, cast

from writebehind.cache import calls
from writebehind.cache.calls import Argument, Reply, number
from writebehind.cache.link import Links
from writebehind.changes import ScoreChange
from writebehind.client.boards import BoardBuilders
from writebehind.client.delivery import Delivery, other_layout
from writebehind.client.effects import Procedure, ask_cache_until, await_news, pause
from writebehind.client.flows.base import READ_AGAIN_AFTER_S, Intent, WriteFlows
from writebehind.client.flushing import FlushDesk
from writebehind.databases.contract import Database
from writebehind.errors import ConfigurationError, KeyRefused
from writebehind.mapping import BoundLeaderboard
from writebehind.observe import Observer
from writebehind.scores import Scores
from writebehind.values import Key, KeyPart, key_part

ScoreType = TypeVar("ScoreType", int, float, Decimal)
"""What a leaderboard's scores are: int, float, or Decimal for a NUMERIC column with a scale."""

MOST_BUILDS = 5
"""How often a board is built again, where it is evicted as soon as it is there, before a read gives up."""


class BoardEntry(NamedTuple, Generic[ScoreType]):
    """One place of a board. ``rank`` is 1 at the top; members with equal scores have different ranks."""

    rank: int
    member: KeyPart
    score: ScoreType


class LeaderboardFlows(WriteFlows, Generic[ScoreType]):
    """One leaderboard's procedures."""

    def __init__(
        self,
        leaderboard: BoundLeaderboard,
        deliveries: Sequence[Delivery],
        database: Database,
        flush_desk: FlushDesk,
        observe: Observer,
        replicas: int,
        cache: Links,
    ) -> None:
        super().__init__(leaderboard, deliveries, database, flush_desk, observe, replicas)
        self._leaderboard = leaderboard
        self._builders = {delivery: BoardBuilders(cache, database, delivery, leaderboard) for delivery in deliveries}

    @property
    def scores(self) -> Scores:
        """What its column holds."""
        return self._leaderboard.scores

    # Writing

    def submission(self, member: KeyPart, score: int | float | Decimal, board: KeyPart | None) -> Intent:
        """A score, checked."""
        return self._intent(member, board, ScoreChange("merge", self._leaderboard.scores.to_units(score, self._name)))

    def removal(self, member: KeyPart, board: KeyPart | None) -> Intent:
        """A member is to be taken off its board, and its row deleted."""
        return self._intent(member, board, ScoreChange("delete"))

    def _intent(self, member: KeyPart, board: KeyPart | None, change: ScoreChange) -> Intent:
        self._check_board(board)
        key: Key = member if board is None else (board, member)
        field = self._leaderboard.keys.encode(key)
        board_text = self._leaderboard.split(field)[0]
        return Intent(key, field, change, self._deliveries[self._leaderboard.partition_of_board(board_text)])

    def _check_board(self, board: KeyPart | None) -> None:
        column = self._leaderboard.mapping.board
        if column is not None and board is None:
            raise KeyRefused(f"{self._name!r} has a board for each {column!r}", fix="Give board=.")
        if column is None and board is not None:
            raise KeyRefused(f"{self._name!r} is one board", fix="Leave board= out, or declare a board column.")

    # Reading

    def top(self, count: int, board: KeyPart | None, *, deadline: float) -> Procedure[list[BoardEntry[ScoreType]]]:
        """The first ``count`` places."""
        if not (isinstance(count, int) and not isinstance(count, bool) and count >= 0):
            raise ConfigurationError(f"top({count!r})", fix="Ask for a number of places.")
        if count == 0:
            return []
        found = yield from self._ask(board, ("range", 0, count - 1), deadline)
        return self._entries(0, found)

    def around(
        self, member: KeyPart, count: int, board: KeyPart | None, *, deadline: float
    ) -> Procedure[list[BoardEntry[ScoreType]]]:
        """The member's place with up to ``count`` places on each side; empty where it is not on the board."""
        if not (isinstance(count, int) and not isinstance(count, bool) and count >= 0):
            raise ConfigurationError(f"around({member!r}, {count!r})", fix="Ask for a number of places on each side.")
        found = yield from self._ask(board, ("around", self._member_text(member), count), deadline)
        return self._entries(number(found[0]), found[1:]) if found else []

    def rank(self, member: KeyPart, board: KeyPart | None, *, deadline: float) -> Procedure[int | None]:
        """The member's place, 1 at the top; None where it is not on the board."""
        found = yield from self._ask(board, ("place", self._member_text(member)), deadline)
        return number(found[0]) + 1 if found else None

    def score(self, member: KeyPart, board: KeyPart | None, *, deadline: float) -> Procedure[ScoreType | None]:
        """The member's score; None where it is not on the board."""
        found = yield from self._ask(board, ("scores", self._member_text(member)), deadline)
        return self._score(found[0]) if found and found[0] is not None else None

    def size(self, board: KeyPart | None, *, deadline: float) -> Procedure[int]:
        """How many members the board has."""
        found = yield from self._ask(board, ("size",), deadline)
        return number(found[0]) if found else 0

    def _ask(
        self, board: KeyPart | None, question: Sequence[Argument], deadline: float
    ) -> Procedure[tuple[Reply, ...]]:
        """The board's answer; it is built first if it has to be. Empty where the board has no members."""
        board_text = self._board_text(board)
        leaderboard = self._leaderboard
        delivery = self._deliveries[leaderboard.partition_of_board(board_text)]
        partition = delivery.partition
        builds, is_empty = 0, False
        while True:
            incarnation = partition.lane.incarnation
            yield from self._see_own_writes(delivery, deadline)
            call = calls.read_board(
                partition.keys,
                leaderboard.board_key(board_text),
                question,
                layout=partition.layout,
                highest_first=leaderboard.mapping.best == "highest",
                incarnation=incarnation,
            )
            reply = yield from ask_cache_until(call, deadline)
            match reply:
                case calls.BoardAnswer(values):
                    return values
                case calls.OtherLayout(layout):
                    raise other_layout(partition, layout)
                case calls.NewIncarnation(present):
                    yield from delivery.meet(present, leaving=incarnation)
                    is_empty = False
                case calls.BoardMissing() if is_empty:
                    return ()  # and no rollback of the cache came between
                case calls.BoardMissing():
                    if builds == MOST_BUILDS:
                        raise self._unsettled(f"its board {board!r} was evicted again and again")
                    members = yield from self._build(delivery, board_text, deadline)
                    if members == 0:
                        is_empty = True
                    elif members is None:
                        yield from self._wait_for_another(deadline)
                    else:
                        builds += 1

    def _wait_for_another(self, deadline: float) -> Procedure[None]:
        """Another process builds the board: as long as it does so, there is nothing else to be done."""
        if time.monotonic() >= deadline:
            raise self._unsettled("its board is being built by another process")
        yield from pause(READ_AGAIN_AFTER_S)

    def _build(self, delivery: Delivery, board: bytes, deadline: float) -> Procedure[int | None]:
        """Have the board built; how many members it has, None where another process builds it or that is not known.

        A board without members stays absent.
        """
        builder, group, had_begun = self._builders[delivery].join(board)
        while not group.resolved:
            if not (yield from await_news(builder, group, deadline)):
                raise self._unsettled("its board was not built within the timeout; it may be soon")
        if group.error is not None:
            raise group.error
        # What had begun before may have been empty before this caller's own writes.
        return None if had_begun and group.members == 0 else group.members

    def _board_text(self, board: KeyPart | None) -> bytes:
        self._check_board(board)
        column = self._leaderboard.board_column
        if column is None or board is None:
            return b""
        return self._leaderboard.keys.encode_part(board, column)

    def _member_text(self, member: KeyPart) -> bytes:
        return self._leaderboard.keys.encode_part(member, self._leaderboard.member_column)

    def _entries(self, first: int, found: Sequence[Reply]) -> list[BoardEntry[ScoreType]]:
        column = self._leaderboard.member_column
        entries = []
        for place, (member, score) in enumerate(zip(found[::2], found[1::2], strict=True)):
            assert isinstance(member, bytes)
            entries.append(BoardEntry(first + place + 1, key_part(member.decode(), column), self._score(score)))
        return entries

    def _score(self, text: Reply) -> ScoreType:
        """What the application sees; opening has checked that the column and the declared type agree."""
        assert isinstance(text, bytes)
        scores = self._leaderboard.scores
        return cast("ScoreType", scores.from_units(scores.from_text(text)))
