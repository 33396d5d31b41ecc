"""Leaderboards: writing scores, and reading a board as a stream.

Inside the statements the given rows are called ``d``, with the key columns k0, k1, ... and the score; the user's
table is ``t``. NaN, which PostgreSQL calls higher than every number and no sorted set can hold, counts as NULL.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from decimal import Decimal
from typing import Any

from psycopg.sql import SQL, Composable, Composed, Placeholder

from writebehind.databases.blocks import load_blocks
from writebehind.databases.contract import RowsWritten, ScoreRows
from writebehind.databases.postgresql.arrays import Float8Array, Int8Array
from writebehind.databases.postgresql.connections import PgConnection
from writebehind.databases.postgresql.errors import translated
from writebehind.databases.postgresql.statements import (
    comma,
    encode_keys,
    identifier,
    numbered,
    placeholders,
    refusing_what_cannot_be_sent,
    same_key,
    table_identifier,
)
from writebehind.databases.score_rules import RuledScores, removed_rows, ruled_scores
from writebehind.mapping import BoundLeaderboard, Keep
from writebehind.scores import Units
from writebehind.values import Row

_SQL = load_blocks(__package__, "scores.sql")
BEGIN_BOARD = _SQL["begin_board"]
READ_HEAD = _SQL["read_head"]

# PostgreSQL's GREATEST and LEAST leave NULLs out, so that a first score is the score.
_RULES: dict[Keep, str] = {
    "max": "GREATEST({present}, {new})",
    "min": "LEAST({present}, {new})",
    "last": "{new}",
    "sum": "COALESCE({present} + {new}, {new})",
}


def write_scores(connection: PgConnection, change: ScoreRows) -> RowsWritten:
    """See ``contract.Transaction.write_scores``: at most one statement for removals and one for each of two rules."""
    board = change.leaderboard
    written, statements = 0, 0
    with translated(f"writing scores to {board.mapping.table!r}"):
        if removed := removed_rows(change):
            written += connection.execute(_remove_statement(board), encode_keys(board.keys.columns, removed)).rowcount
            statements += 1
        for scores in ruled_scores(change):
            connection.execute(_write_statement(board, scores.keep), _parameters(board, scores))
            written += len(scores.rows)
            statements += 1
    return RowsWritten(written, statements)


def declare_board(connection: PgConnection, leaderboard: BoundLeaderboard, board: Row) -> None:
    """Begin to read a board, in the transaction that is open; ``fetch_slices`` goes on."""
    facts = {"board": board[0]} if leaderboard.board_column else {}
    connection.execute(_declare_statement(leaderboard), facts)


def fetch_slices(connection: PgConnection, doing: str) -> Generator[Sequence[tuple[str, Units]]]:
    """The slices of the board that ``declare_board`` began."""
    while True:
        with translated(doing):
            found = connection.execute(_SQL["fetch_board"], binary=True).fetchall()
        if not found:
            return
        yield found


def _remove_statement(board: BoundLeaderboard) -> Composed:
    columns = board.keys.columns
    return SQL(_SQL["remove"]).format(
        table=table_identifier(board.mapping.table),
        arrays=comma(placeholders("k", len(columns))),
        names=comma(numbered("k", len(columns))),
        same_key=same_key(columns),
    )


def _write_statement(board: BoundLeaderboard, keep: Keep) -> Composed:
    columns, column = board.keys.columns, identifier(board.mapping.column)
    return SQL(_SQL["write"]).format(
        table=table_identifier(board.mapping.table),
        column=column,
        key_columns=comma(identifier(key.name) for key in columns),
        given_keys=comma(numbered("d.k", len(columns))),
        score=_in_column(SQL("d.units"), board.scores.scale),
        arrays=comma([*placeholders("k", len(columns)), Placeholder("units")]),
        names=comma([*numbered("k", len(columns)), SQL("units")]),
        same_key=same_key(columns),
        merged=_merged(board, keep, SQL("d.score")),
        merged_with_excluded=_merged(board, keep, SQL("excluded.{}").format(column)),
    )


def _merged(board: BoundLeaderboard, keep: Keep, new: Composable) -> Composed:
    return SQL(_RULES[keep]).format(present=_present(board), new=new)


def _present(board: BoundLeaderboard) -> Composable:
    """The row's score, NULL where it is NaN. Integers cannot be."""
    score = SQL("t.{}").format(identifier(board.mapping.column))
    return SQL("NULLIF({}, 'NaN')").format(score) if board.scores.is_float or board.scores.scale is not None else score


def _in_column(units: Composable, scale: int | None) -> Composable:
    """Units as the column's value: of a NUMERIC with a scale, a unit is 10 to the power of minus it, exactly."""
    return SQL("({} * {})").format(units, SQL(f"{Decimal(1).scaleb(-scale):f}")) if scale else units


def _parameters(board: BoundLeaderboard, scores: RuledScores) -> dict[str, Any]:
    array: Any = Float8Array if board.scores.is_float else Int8Array
    with refusing_what_cannot_be_sent():
        return encode_keys(board.keys.columns, scores.rows) | {"units": array.encode(scores.units)}


def _declare_statement(leaderboard: BoundLeaderboard) -> Composed:
    present, scores = _present(leaderboard), leaderboard.scores
    units = SQL("({} * {})").format(present, SQL(str(10**scores.scale))) if scores.scale else present
    condition: Composable = SQL("{} IS NOT NULL").format(present)
    if leaderboard.board_column:
        column = identifier(leaderboard.board_column.name)
        condition = SQL("t.{} = {} AND {}").format(column, Placeholder("board"), condition)
    return SQL(_SQL["declare_board"]).format(
        member=identifier(leaderboard.member_column.name),
        units=SQL("{}::double precision" if scores.is_float else "{}::bigint").format(units),
        table=table_identifier(leaderboard.mapping.table),
        condition=condition,
    )
