"""A flusher's calls: the lease, sealing, reading a batch whole, acknowledging it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from writebehind.cache.calls.base import (
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
class Sealed:
    """The partition's incarnation and the front of its chain, oldest first."""

    incarnation: str
    front: tuple[Link, ...]


@dataclass(frozen=True, slots=True)
class Restored:
    """The cache knows a later commit, or another ledger, than the caller read."""

    ledger: str
    commit: int


def seal(
    keys: PartitionKeys, *, layout: str, batch: str, batch_fields: int, ledger: str, commit: int
) -> Call[Sealed | Restored | NewIncarnation | OtherLayout]:
    """Seal the open batch under the identity ``batch`` if it is time, and answer the chain's front."""
    return Call(
        (
            "FCALL",
            "wb1_seal",
            8,
            keys.header,
            keys.open,
            keys.open_lanes,
            keys.queue,
            keys.batch(batch),
            keys.batch_lanes(batch),
            keys.batch_captured(batch),
            keys.open_captured,
            layout,
            batch,
            batch_fields,
            ledger,
            commit,
        ),
        _parse_seal,
    )


def _parse_seal(reply: list[Reply]) -> Sealed | Restored | NewIncarnation | OtherLayout:
    match reply:
        case [b"OK", incarnation, *entries]:
            return Sealed(text(incarnation), tuple(Link.parse(raw(entry)) for entry in entries))
        case [b"RESTORED", ledger, commit]:
            return Restored(text(ledger), number(commit))
        case _:
            return parse_common(reply)


def acknowledge(
    keys: PartitionKeys, *, batch: str, ledger: str, commit: int, is_applied: bool, forget: Sequence[bytes] = ()
) -> Call[bool]:
    """Remove a batch from the front that the database has applied, or put aside.

    ``forget`` names cached values that are no longer right.
    """
    return Call(
        (
            "FCALL",
            "wb1_acknowledge",
            6 + len(forget),
            keys.header,
            keys.queue,
            keys.batch(batch),
            keys.batch_lanes(batch),
            keys.lanes,
            keys.batch_captured(batch),
            *forget,
            batch,
            ledger,
            commit,
            "1" if is_applied else "0",
        ),
        parse_flag,
    )


def claim(keys: PartitionKeys, owner: str, ttl_ms: int) -> Call[bool]:
    """Take or renew the lease; True where ``owner`` has it now."""
    return Call(("FCALL", "wb1_claim", 1, keys.lease, owner, ttl_ms), parse_flag)


def release(keys: PartitionKeys, owner: str) -> Call[bool]:
    """Give the lease back."""
    return Call(("FCALL", "wb1_release", 1, keys.lease, owner), parse_flag)


def claim_capture(keys: PartitionKeys, owner: str, ttl_ms: int) -> Call[bool]:
    """Take or renew the lease of whoever captures a mapping's keys; True where ``owner`` has it now."""
    return Call(("FCALL", "wb1_claim", 1, keys.capture_lease, owner, ttl_ms), parse_flag)


def release_capture(keys: PartitionKeys, owner: str) -> Call[bool]:
    """Give that lease back."""
    return Call(("FCALL", "wb1_release", 1, keys.capture_lease, owner), parse_flag)


def ask_for_flush(keys: PartitionKeys) -> Call[bool]:
    """Tell whoever flushes this partition that someone waits."""
    return Call(("FCALL", "wb1_ask_for_flush", 1, keys.header), parse_flag)


@dataclass(frozen=True, slots=True)
class ScanSlice:
    """One slice of a batch: the cursor to go on with (0: done) and field, amount, field, amount, ..."""

    cursor: int
    flat: list[bytes]


def scan_batch(key: bytes, cursor: int, count: int) -> Call[ScanSlice]:
    """A slice of about ``count`` fields; a field may come twice."""

    def parse(reply: list[Reply]) -> ScanSlice:
        next_cursor, flat = reply
        assert isinstance(flat, list)
        return ScanSlice(number(next_cursor), flat)  # type: ignore[arg-type]

    return Call(("HSCAN", key, cursor, "COUNT", count), parse)


@dataclass(frozen=True, slots=True)
class StreamSlice:
    """One slice of an event log's batch: (place, event) in their order; a place is ``(milliseconds, number)``."""

    events: list[tuple[tuple[int, int], bytes]]


def read_stream(key: bytes, after: tuple[int, int] | None, count: int) -> Call[StreamSlice]:
    """The next ``count`` events after a place, or the first ones."""

    def parse(reply: list[Reply]) -> StreamSlice:
        return StreamSlice([_event(entry) for entry in reply])

    start = "-" if after is None else f"({after[0]}-{after[1]}"
    return Call(("XRANGE", key, start, "+", "COUNT", count), parse)


def _event(entry: Reply) -> tuple[tuple[int, int], bytes]:
    assert isinstance(entry, list)
    identity, content = entry
    moment_ms, _, number_in_it = raw(identity).partition(b"-")
    assert isinstance(content, list)
    return (int(moment_ms), int(number_in_it)), raw(content[1])


def batch_length(key: bytes, *, is_stream: bool = False) -> Call[int]:
    """How many fields, or events, a batch has."""
    return Call(("XLEN" if is_stream else "HLEN", key), lambda reply: number(reply[0]))


def batch_marks(key: bytes) -> Call[dict[str, int]]:
    """The lanes of a batch: producer to its last sequence number."""
    return Call(
        ("HGETALL", key),
        lambda reply: {text(p): number(s) for p, s in zip(reply[::2], reply[1::2], strict=True)},
    )
