"""Leaderboards: a score for each member of each board, in one column of one table."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Literal

from writebehind.errors import ColumnRefused, ConfigurationError, KeyRefused
from writebehind.mapping.bound import Kind
from writebehind.mapping.naming import check_partitions, check_ttl, column_names, split_target
from writebehind.mapping.shape import TableShape, bind_key, check_columns, check_insertable, required_shape
from writebehind.scores import Scores
from writebehind.values import KeyCodec, KeyColumn, partition_of

Keep = Literal["max", "min", "last", "sum"]
KEEPS: tuple[Keep, ...] = ("max", "min", "last", "sum")
Best = Literal["highest", "lowest"]

SINGLE_BITS = 32
DEFAULT_BOARD_TTL_MS = 3_600_000
"""A board is expensive to build again, so that it is kept for an hour."""


@dataclass(frozen=True, slots=True)
class LeaderboardMapping:
    """A leaderboard: scores in ``table.column``, by ``member``, on one board for each value of ``board``.

    Without a ``board`` column the table is one board. ``keep`` says which score counts: the highest, the lowest,
    the last or the sum. ``best`` says which end is the top: the highest score, except with ``keep="min"``.
    ``cached_value_ttl_ms`` is how long a board that was built from the database may be answered from the cache.
    """

    table: str
    column: str
    member: str
    board: str | None = None
    keep: Keep = "max"
    best: Best = "highest"
    partitions: int = 1
    cached_value_ttl_ms: int = DEFAULT_BOARD_TTL_MS

    @property
    def name(self) -> str:
        return f"{self.table}.{self.column}"

    @property
    def key(self) -> tuple[str, ...]:
        """The key columns: the board's, if there is one, and the member's."""
        return (self.member,) if self.board is None else (self.board, self.member)

    @classmethod
    def parse(
        cls,
        target: str,
        *,
        member: str,
        board: str | None = None,
        keep: str = "max",
        best: str | None = None,
        partitions: int = 1,
        cached_value_ttl_ms: int = DEFAULT_BOARD_TTL_MS,
    ) -> LeaderboardMapping:
        """Build a mapping from ``"table.column"`` (or ``"schema.table.column"``).

        :raises ConfigurationError: naming the argument and what it must be.
        """
        where = f"leaderboard({target!r})"
        table, column = split_target(target, where)
        if len(column_names(member, where, "member")) != 1 or (
            board is not None and len(column_names(board, where, "board")) != 1
        ):
            raise ConfigurationError(
                f"{where}: member={member!r}, board={board!r}",
                fix='Name one column each: leaderboard("scores.points", member="player", board="game").',
            )
        if member == board:
            raise ConfigurationError(f"{where}: member and board are both {member!r}", fix="Name different columns.")
        if keep not in KEEPS:
            raise ConfigurationError(f"{where}: keep={keep!r} is not a rule", fix=f"Use one of {', '.join(KEEPS)}.")
        if best not in (None, "highest", "lowest"):
            raise ConfigurationError(f"{where}: best={best!r}", fix='Use "highest" or "lowest".')
        check_partitions(partitions, where)
        check_ttl(cached_value_ttl_ms, where)
        return cls(
            table,
            column,
            member,
            board,
            keep,
            ("lowest" if keep == "min" else "highest") if best is None else best,  # type: ignore[arg-type]
            partitions,
            cached_value_ttl_ms,
        )

    def bind(self, shape: TableShape | None) -> BoundLeaderboard:
        """Check the mapping against its table and choose the codecs; see ``bind_leaderboard``."""
        return bind_leaderboard(self, shape)


@dataclass(frozen=True, slots=True)
class BoundLeaderboard:
    """A leaderboard mapping together with the codecs that its table's column types ask for."""

    mapping: LeaderboardMapping
    keys: KeyCodec
    scores: Scores
    value_prefix: bytes = b""

    @property
    def name(self) -> str:
        return self.mapping.name

    @property
    def kind(self) -> Kind:
        return "leaderboard"

    @property
    def table_group(self) -> tuple[object, ...]:
        return ("leaderboard", self.name)

    @property
    def board_column(self) -> KeyColumn | None:
        """The board's key column, None where the table is one board."""
        return None if self.mapping.board is None else self.keys.columns[0]

    @property
    def member_column(self) -> KeyColumn:
        return self.keys.columns[-1]

    def declaration(self) -> dict[str, object]:
        """What two processes must agree on, as JSON-ready values; kept in the ledger."""
        return {
            "kind": "leaderboard",
            "key": [f"{column.name}:{column.kind}" for column in self.keys.columns],
            "scores": self.scores.name,
            "keep": self.mapping.keep,
            "partitions": self.mapping.partitions,
            "cached_value_ttl_ms": self.mapping.cached_value_ttl_ms,
        }

    def split(self, field: bytes) -> tuple[bytes, bytes]:
        """Board and member of a field, in their canonical texts; the only board's text is empty.

        :raises KeyRefused: another program wrote the field, and it is none.
        """
        if self.mapping.board is None:
            return b"", field
        try:
            board, member = json.loads(field)
            return board.encode(), member.encode()
        except (ValueError, TypeError, AttributeError, RecursionError) as error:
            raise KeyRefused(f"the field {field!r} of {self.name!r} is not a key", why=str(error)) from error

    def partition_of_board(self, board: bytes) -> int:
        """The partition of a board, by its canonical text: a board is whole in one of them."""
        return partition_of(board, self.mapping.partitions)

    def partition_of(self, field: bytes) -> int:
        return self.partition_of_board(self.split(field)[0])

    def board_key(self, board: bytes) -> bytes:
        """The cache's key of a board's sorted set: ``scores:tetris:points``; of the only board ``scores:points``."""
        mapping = self.mapping
        middle = b":%s:" % board if mapping.board is not None else b":"
        return b"%s%s%s%s" % (self.value_prefix, mapping.table.encode(), middle, mapping.column.encode())

    def value_key(self, field: bytes) -> bytes:
        return self.board_key(self.split(field)[0])


def bind_leaderboard(mapping: LeaderboardMapping, shape: TableShape | None) -> BoundLeaderboard:
    """Check a mapping against its table and choose the codecs.

    :raises TableMissing, ColumnMissing, ColumnRefused: naming table, column, type and the fix.
    """
    what = f"the leaderboard {mapping.name!r}"
    shape = required_shape(shape, mapping.table, what)
    check_columns(shape, (*mapping.key, mapping.column), what)
    if mapping.column in mapping.key:
        raise ColumnRefused(f"the column {mapping.column!r} of {mapping.table!r} is its key", fix="Name another.")
    keys = bind_key(shape, mapping.key, mapping.name, what)
    for column in keys.columns:
        if column.needs_grouping:
            raise ColumnRefused(
                f"the column {column.name!r} of {mapping.table!r} cannot be a key of {what}",
                why=f"its type {column.type_name} calls different texts equal, and a sorted set does not",
                fix="Use text with a deterministic collation.",
            )
    scored = shape.columns[mapping.column]
    number = scored.value_type
    is_float = number is not None and number.kind == "float"
    if scored.amounts is not None:
        scores = Scores.of_amounts(scored.amounts)
    elif is_float and mapping.keep != "sum" and number is not None and number.bits != SINGLE_BITS:
        scores = Scores(is_float=True)
    else:
        raise ColumnRefused(
            f"the column {mapping.column!r} of {mapping.table!r} has the type {scored.type_name}",
            why=_float_refusal(mapping) if is_float else scored.refusal,
            fix="A leaderboard needs a column of integers, NUMERIC with a scale, or (without sums) double precision.",
        )
    given = (*mapping.key, mapping.column)
    check_insertable(shape, given, what, fix="Give them defaults: a first score inserts its row.")
    return BoundLeaderboard(mapping, keys, scores)


def _float_refusal(mapping: LeaderboardMapping) -> str:
    if mapping.keep == "sum":
        return "sums of floating-point numbers would not be exact"
    return "it would round a score, and so hold another than the cache"
