"""A leaderboard's calls: asking a board, and building it; see ``lua/board.lua``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from writebehind.cache.calls.base import (
    Argument,
    Call,
    NewIncarnation,
    OtherLayout,
    Reply,
    number,
    parse_common,
    parse_flag,
    raw,
    text,
)
from writebehind.cache.keys import PartitionKeys
from writebehind.chain import Link


@dataclass(frozen=True, slots=True)
class BoardAnswer:
    """What a built board answered: see the function's replies."""

    values: tuple[Reply, ...]


@dataclass(frozen=True, slots=True)
class BoardMissing:
    """The board is not built."""


def read_board(
    keys: PartitionKeys,
    board: bytes,
    question: Sequence[Argument],
    *,
    layout: str,
    highest_first: bool,
    incarnation: str = "",
) -> Call[BoardAnswer | BoardMissing | NewIncarnation | OtherLayout]:
    """Ask a board: ``("range", 0, 9)``, ``("place", member)``, ``("around", member, 5)``, ``("scores", member, ...)``
    or ``("size",)``.
    """
    return Call(
        (
            "FCALL",
            "wb1_read_board",
            2,
            keys.header,
            board,
            layout,
            incarnation,
            "1" if highest_first else "0",
            *question,
        ),
        _parse_read_board,
    )


def _parse_read_board(reply: list[Reply]) -> BoardAnswer | BoardMissing | NewIncarnation | OtherLayout:
    match reply:
        case [b"OK", *values]:
            return BoardAnswer(tuple(values))
        case [b"MISSING"]:
            return BoardMissing()
        case _:
            return parse_common(reply)


@dataclass(frozen=True, slots=True)
class BoardBegun:
    """A board is being built now. What was pending lies in the batches of ``chain``, and its writes in the building."""

    last: str
    generation: str
    chain: tuple[Link, ...]


@dataclass(frozen=True, slots=True)
class BoardBusy:
    """Somebody builds this board already."""


def begin_board(
    keys: PartitionKeys, building: bytes, *, layout: str, batch: str, token: bytes, silence_ms: int
) -> Call[BoardBegun | BoardBusy | NewIncarnation | OtherLayout]:
    """Begin to build a board under the key ``building``; ``token`` is a member that no board can have."""
    return Call(
        (
            "FCALL",
            "wb1_begin_board",
            9,
            keys.header,
            keys.open,
            keys.open_lanes,
            keys.queue,
            keys.batch(batch),
            keys.batch_lanes(batch),
            keys.batch_captured(batch),
            keys.open_captured,
            building,
            layout,
            batch,
            token,
            silence_ms,
        ),
        _parse_begin_board,
    )


def _parse_begin_board(reply: list[Reply]) -> BoardBegun | BoardBusy | NewIncarnation | OtherLayout:
    match reply:
        case [b"OK", last, generation, *entries]:
            return BoardBegun(text(last), text(generation), tuple(Link.parse(raw(entry)) for entry in entries))
        case [b"BUSY"]:
            return BoardBusy()
        case _:
            return parse_common(reply)


def load_board(building: bytes, entries: Sequence[Argument], *, token: bytes, keep: str, silence_ms: int) -> Call[bool]:
    """Load scores into a board that is being built; False where that has ended. ``entries``: score, member, ..."""
    return Call(("FCALL", "wb1_load_board", 1, building, token, keep, silence_ms, *entries), parse_flag)


def finish_board(
    keys: PartitionKeys, building: bytes, board: bytes, *, layout: str, generation: str, token: bytes, ttl_ms: int
) -> Call[int | None]:
    """Give a board that was built its name; how many members it has, None where it has to be built anew."""

    def parse(reply: list[Reply]) -> int | None:
        members = number(reply[0])
        return None if members < 0 else members

    return Call(
        ("FCALL", "wb1_finish_board", 3, keys.header, building, board, layout, generation, token, ttl_ms), parse
    )


def abandon_board(building: bytes, token: bytes) -> Call[bool]:
    """End a building that the caller began, so that another may begin; nothing where it has ended."""
    return Call(("FCALL", "wb1_abandon_board", 1, building, token), parse_flag)
