"""A capturer's calls: what plain commands did to an application's keys, brought into the open batch.

See ``lua/capture.lua``. No I/O here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from writebehind.cache.calls.base import (
    Argument,
    Call,
    NewIncarnation,
    OtherLayout,
    Reply,
    number,
    parse_common,
    parse_flag,
    text,
)
from writebehind.cache.calls.writing import Full
from writebehind.cache.keys import PartitionKeys

How: TypeAlias = Literal["", "d", "v", "?", "!", "="]
"""How a key comes: it lives, was deleted, vanished, was found by a scan, is to be told in any case, was found by the
first scan.
"""


@dataclass(frozen=True, slots=True)
class CaptureHead:
    """What every capture names: the layout, the incarnation in which the values were read, the bound on pending
    fields (0 for none), the worker's token, and the number of the call.
    """

    layout: str
    incarnation: str
    max_pending_fields: int
    token: str
    number: int

    @property
    def label(self) -> str:
        """What names this call."""
        return f"{self.token} {self.number} {self.incarnation}"

    def arguments(self) -> tuple[Argument, ...]:
        """In the functions' order."""
        return (self.layout, self.incarnation, "", "", "", self.max_pending_fields, self.label)


@dataclass(frozen=True, slots=True)
class CounterEntry:
    """A number: the application's key, its field, the cached value's key, how it comes and its units (None: gone).

    ``baseline``: with ``how="="``, the amount to add.
    """

    key: bytes
    field: bytes
    value_key: bytes
    how: How
    units: int | None
    baseline: int = 0


@dataclass(frozen=True, slots=True)
class RecordEntry:
    """A record: like ``CounterEntry``; ``columns`` is JSON of canonical texts, '' where the key is gone."""

    key: bytes
    field: bytes
    value_key: bytes
    how: How
    columns: str
    version: str = ""


@dataclass(frozen=True, slots=True)
class BoardEntry:
    """A member: its field, its canonical text, its score in units as text ('' where the set does not have it)."""

    field: bytes
    member: bytes
    score: str


@dataclass(frozen=True, slots=True)
class Taken:
    """Another worker captures this mapping now."""


@dataclass(frozen=True, slots=True)
class CaptureBegun:
    """The keys are this worker's; ``scanned``: the first scan was done, as far as the cache knows; ``before``: the
    label of the last call of whoever had the keys before.
    """

    scanned: bool
    before: str


@dataclass(frozen=True, slots=True)
class Captured:
    """``changed`` entries changed something; indices of those that vanished, and that were left since a sum would
    leave 64 bits.
    """

    changed: int
    vanished: tuple[int, ...] = ()
    unfit: tuple[int, ...] = ()


CaptureReply: TypeAlias = Captured | Taken | Full | NewIncarnation | OtherLayout


def capture_begin(
    keys: PartitionKeys, head: CaptureHead, *, mark: str, scanned: bool
) -> Call[CaptureBegun | Taken | NewIncarnation | OtherLayout]:
    """Take the keys over; or, with ``scanned``, note that the first scan is done. ``mark`` is that note's name."""

    def parse(reply: list[Reply]) -> CaptureBegun | Taken | NewIncarnation | OtherLayout:
        match reply:
            case [b"OK", found, before]:
                return CaptureBegun(number(found) == 1, text(before))
            case [b"TAKEN"]:
                return Taken()
            case _:
                return parse_common(reply)

    return Call(_command("wb1_capture_begin", keys, (), head, (mark, "1" if scanned else "0")), parse)


def captured_token(keys: PartitionKeys) -> Call[str]:
    """The token of the worker that captures a partition's keys now, '' where none does."""

    def parse(reply: list[Reply]) -> str:
        return "" if reply[0] is None else text(reply[0]).partition(" ")[0]

    return Call(("HGET", keys.captured, b""), parse)


def captured_mark(keys: PartitionKeys, mark: str) -> Call[bool]:
    """Whether the first scan is done, as far as the cache knows."""
    return Call(("HEXISTS", keys.captured, mark), parse_flag)


def capture_counters(keys: PartitionKeys, head: CaptureHead, entries: Sequence[CounterEntry]) -> Call[CaptureReply]:
    """Capture numbers. No key may come twice."""
    arguments: list[Argument] = []
    for entry in entries:
        how = f"={entry.baseline}" if entry.how == "=" else entry.how
        arguments += (entry.key, entry.field, how, "" if entry.units is None else str(entry.units))
    value_keys = [entry.value_key for entry in entries]
    return Call(_command("wb1_capture_counters", keys, value_keys, head, arguments), _parse)


def capture_records(
    keys: PartitionKeys, head: CaptureHead, entries: Sequence[RecordEntry], *, version_column: str, version_kind: str
) -> Call[CaptureReply]:
    """Capture hashes. No key may come twice."""
    arguments: list[Argument] = [version_column, version_kind]
    for entry in entries:
        arguments += (entry.key, entry.field, entry.how, entry.columns, entry.version)
    value_keys = [entry.value_key for entry in entries]
    return Call(_command("wb1_capture_records", keys, value_keys, head, arguments), _parse)


def capture_board(
    keys: PartitionKeys,
    head: CaptureHead,
    entries: Sequence[BoardEntry],
    *,
    key: bytes,
    how: How,
    keep: str,
    board: bytes,
    board_key: bytes,
) -> Call[CaptureReply]:
    """Capture some members of the sorted set ``key``. ``board`` is its canonical text, ``board_key`` the cached set."""
    arguments: list[Argument] = [keep, key, how]
    for entry in entries:
        arguments += (entry.field, entry.member, entry.score)
    more = (keys.captured_board(key), board_key, keys.building(board))

    def parse(reply: list[Reply]) -> CaptureReply:
        match reply:
            case [b"OK", changed, has_vanished]:
                return Captured(number(changed), (0,) if number(has_vanished) else ())
            case _:
                return _parse(reply)

    return Call(_command("wb1_capture_board", keys, more, head, arguments), parse)


def _command(
    function: str,
    keys: PartitionKeys,
    more_keys: Sequence[bytes],
    head: CaptureHead,
    arguments: Sequence[Argument],
) -> tuple[Argument, ...]:
    return (
        "FCALL",
        function,
        4 + len(more_keys),
        keys.header,
        keys.open,
        keys.open_captured,
        keys.captured,
        *more_keys,
        *head.arguments(),
        *arguments,
    )


def _parse(reply: list[Reply]) -> CaptureReply:
    match reply:
        case [b"OK", changed, count, *indices]:
            several = number(count)
            found = tuple(number(index) for index in indices)
            return Captured(number(changed), found[:several], found[several:])
        case [b"TAKEN"]:
            return Taken()
        case [b"FULL", *_]:
            return Full()
        case _:
            return parse_common(reply)
