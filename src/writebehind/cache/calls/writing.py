"""A producer's calls: write a group, enter an incarnation, learn what is confirmed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from writebehind.cache.calls.base import (
    Argument,
    Call,
    NewIncarnation,
    OtherLayout,
    Reply,
    number,
    parse_common,
    text,
)
from writebehind.cache.keys import PartitionKeys


@dataclass(frozen=True, slots=True)
class Written:
    """A group was written (``already``: by an earlier try of the same group)."""

    confirmed: int
    birth: str
    fields: int
    totals: tuple[int, ...]
    already: bool


@dataclass(frozen=True, slots=True)
class Refused:
    """Nothing of the group was written; ``codes`` says why, by the entry's index."""

    confirmed: int
    codes: dict[int, str]


@dataclass(frozen=True, slots=True)
class Full:
    """The bound on pending rows is reached; nothing was written."""


@dataclass(frozen=True, slots=True)
class LaneForgotten:
    """The cache does not know this lane any more; nothing was written."""


WriteReply: TypeAlias = Written | Refused | Full | LaneForgotten | NewIncarnation | OtherLayout


@dataclass(frozen=True, slots=True)
class GroupHead:
    """What every group names: who writes, as what number of which lane, and how much may be pending."""

    layout: str
    incarnation: str
    producer: str
    sequence: int
    writes: int
    max_pending_fields: int


def write_amounts(
    keys: PartitionKeys,
    head: GroupHead,
    value_keys: Sequence[bytes],
    entries: Sequence[Argument],
    *,
    want_totals: bool,
) -> Call[WriteReply]:
    """One group of a counter's amounts. ``entries`` is flat: field, amount, field, amount, ..."""
    return _group("wb1_write", keys, head, value_keys, ("1" if want_totals else "0", *entries))


def write_scores(
    keys: PartitionKeys, head: GroupHead, board_keys: Sequence[bytes], entries: Sequence[Argument], *, keep: str
) -> Call[WriteReply]:
    """One group of a leaderboard's scores. ``board_keys``: of each board its sorted set, and where it is built;
    ``entries`` is flat: field, change, member, the board's number from 1, ...
    """
    return _group("wb1_write_scores", keys, head, board_keys, (keep, *entries))


def write_records(
    keys: PartitionKeys,
    head: GroupHead,
    value_keys: Sequence[bytes],
    entries: Sequence[Argument],
    *,
    version_column: str,
    version_kind: str,
) -> Call[WriteReply]:
    """One group of records' changes. ``entries`` is flat: field, change, field, change, ..."""
    return _group("wb1_write_records", keys, head, value_keys, (version_column, version_kind, *entries))


def write_events(keys: PartitionKeys, head: GroupHead, events: Sequence[Argument]) -> Call[WriteReply]:
    """One group of events, each as its text."""
    return _group("wb1_write_events", keys, head, (), events)


def _group(
    function: str, keys: PartitionKeys, head: GroupHead, more_keys: Sequence[bytes], arguments: Sequence[Argument]
) -> Call[WriteReply]:
    return Call(
        (
            "FCALL",
            function,
            4 + len(more_keys),
            keys.header,
            keys.open,
            keys.open_lanes,
            keys.lanes,
            *more_keys,
            head.layout,
            head.incarnation,
            head.producer,
            head.sequence,
            head.writes,
            head.max_pending_fields,
            *arguments,
        ),
        _parse_write,
    )


def _parse_write(reply: list[Reply]) -> WriteReply:
    match reply:
        case [b"OK" | b"ALREADY" as status, confirmed, birth, fields, *totals]:
            return Written(
                number(confirmed), text(birth), number(fields), tuple(number(t) for t in totals), status != b"OK"
            )
        case [b"REFUSED", confirmed, *codes]:
            pairs = zip(codes[::2], codes[1::2], strict=True)
            return Refused(number(confirmed), {number(index): text(code) for index, code in pairs})
        case [b"FULL", *_]:
            return Full()
        case [b"GAP", *_]:
            return LaneForgotten()
        case _:
            return parse_common(reply)


@dataclass(frozen=True, slots=True)
class Entered:
    """The partition's incarnation now; ``began``: this call began it."""

    incarnation: str
    began: bool


def enter(
    keys: PartitionKeys, *, layout: str, batch: str, fence: str, leave: str, cached_value_ttl_ms: int
) -> Call[Entered | OtherLayout]:
    """Begin a new incarnation, if the server's is new (or ``leave`` is the present one)."""
    return Call(
        (
            "FCALL",
            "wb1_enter",
            9,
            keys.header,
            keys.open,
            keys.open_lanes,
            keys.lanes,
            keys.queue,
            keys.batch(batch),
            keys.batch_lanes(batch),
            keys.batch_captured(batch),
            keys.open_captured,
            layout,
            batch,
            fence,
            leave,
            cached_value_ttl_ms,
        ),
        _parse_enter,
    )


def _parse_enter(reply: list[Reply]) -> Entered | OtherLayout:
    match reply:
        case [b"OK", incarnation, began]:
            return Entered(text(incarnation), text(began) == "1")
        case [b"LAYOUT", layout]:
            return OtherLayout(text(layout))
        case _:
            raise AssertionError(f"a reply that the protocol does not have: {reply!r}")


@dataclass(frozen=True, slots=True)
class Confirmed:
    """The last sequence number of a producer's lane that the database has, and the cache's incarnation."""

    incarnation: str
    sequence: int


def confirmed(keys: PartitionKeys, producer: str) -> Call[Confirmed | NewIncarnation | OtherLayout]:
    """How far the database has a producer, although it writes nothing at present."""
    return Call(("FCALL", "wb1_confirmed", 2, keys.header, keys.lanes, producer), _parse_confirmed)


def _parse_confirmed(reply: list[Reply]) -> Confirmed | NewIncarnation | OtherLayout:
    match reply:
        case [b"OK", incarnation, sequence]:
            return Confirmed(text(incarnation), number(sequence))
        case _:
            return parse_common(reply)
