"""Leaderboards in SQLite: prepared statements, run for every row, and reading a board as a stream."""

from __future__ import annotations

import sqlite3
from collections.abc import Generator, Sequence

from writebehind.databases.blocks import load_blocks
from writebehind.databases.contract import RowsWritten, ScoreRows
from writebehind.databases.score_rules import RuledScores, removed_rows, ruled_scores
from writebehind.databases.sqlite.counters import encode_keys, same_key
from writebehind.databases.sqlite.errors import translated
from writebehind.databases.sqlite.shape import quote, quote_table
from writebehind.mapping import BoundLeaderboard
from writebehind.scores import Units
from writebehind.values import Row

SLICE_ROWS = 10_000
_TABLES = load_blocks(__package__, "tables.sql")
_SQL = load_blocks(__package__, "scores.sql")
# A rule's {column} is the row's score and its {new} the other; a sum beyond 64 bits is an error.
_RULES = {keep: _SQL[keep] for keep in ("max", "min", "last")} | {"sum": _TABLES["sum"].replace("{amount}", "{new}")}


def write_scores(connection: sqlite3.Connection, change: ScoreRows) -> RowsWritten:
    """See ``contract.Transaction.write_scores``. The transaction has the file's only write lock."""
    board = change.leaderboard
    columns, table = board.keys.columns, quote_table(board.mapping.table)
    written, statements = 0, 0
    with translated(f"writing scores to {board.mapping.table!r}"):
        if removed := removed_rows(change):
            statement = _SQL["remove"].format(table=table, same_key=same_key(columns))
            written += connection.executemany(statement, encode_keys(columns, removed)).rowcount
            statements += 1
        for scores in ruled_scores(change):
            statements += _write(connection, board, scores)
            written += len(scores.rows)
    return RowsWritten(written, statements)


def _write(connection: sqlite3.Connection, board: BoundLeaderboard, scores: RuledScores) -> int:
    """Update the rows that are there and insert the others; how many statements that took.

    Not by ON CONFLICT alone: its INSERT half would check constraints against an amount that is to be added.
    """
    columns, table, column = board.keys.columns, quote_table(board.mapping.table), quote(board.mapping.column)
    rule = _RULES[scores.keep]
    keys, times = encode_keys(columns, scores.rows), rule.count("{new}")
    update = _TABLES["update"].format(
        table=table,
        assignments=f"{column} = {rule.format(column=column, new='?')}",
        same_key=same_key(columns),
    )
    parameters = [(*[units] * times, *key) for units, key in zip(scores.units, keys, strict=True)]
    if connection.executemany(update, parameters).rowcount == len(keys):
        return 1
    find = _TABLES["find_row"].format(table=table, same_key=same_key(columns))
    missing = [number for number, key in enumerate(keys) if connection.execute(find, key).fetchone() is None]
    key_names = [quote(key.name) for key in columns]
    insert = _TABLES["insert"].format(
        table=table,
        columns=", ".join([*key_names, column]),
        values=", ".join("?" * (len(key_names) + 1)),
        key_columns=", ".join(key_names),
        conflict_assignments=f"{column} = {rule.format(column=column, new=f'excluded.{column}')}",
    )
    connection.executemany(insert, [(*keys[number], scores.units[number]) for number in missing])
    return 2


def read_slices(
    connection: sqlite3.Connection, leaderboard: BoundLeaderboard, board: Row
) -> Generator[Sequence[tuple[str, Units]]]:
    """The slices of a board, read in the transaction that is open."""
    column, member = quote(leaderboard.mapping.column), leaderboard.member_column
    condition, keys = f"{column} IS NOT NULL", []
    if leaderboard.board_column:
        condition = f"{same_key((leaderboard.board_column,))} AND {condition}"
        keys = encode_keys((leaderboard.board_column,), [board])
    text = f"CAST({quote(member.name)} AS TEXT)"
    statement = _SQL["read_board"].format(
        member=f"lower({text})" if member.kind == "uuid" else text,
        column=column,
        type="REAL" if leaderboard.scores.is_float else "INTEGER",
        table=quote_table(leaderboard.mapping.table),
        condition=condition,
    )
    with translated(f"reading a board of {leaderboard.name!r}"):
        cursor = connection.execute(statement, *keys)
    try:
        while True:
            with translated(f"reading a board of {leaderboard.name!r}"):
                found = cursor.fetchmany(SLICE_ROWS)
            if not found:
                return
            yield found
    finally:
        cursor.close()  # a statement in the middle of its rows would hold the snapshot
