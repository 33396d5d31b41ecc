"""Pure builders of the calls that the cache is sent, and readers of its replies. No I/O here.

A ``Call`` is one command and the function that turns its raw reply into a typed one; the links (sync and
async) execute it. The contracts of the functions are in ``lua/*.lua`` and docs/protocol.md.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeAlias, TypeVar

from writebehind.cache.keys import PartitionKeys
from writebehind.chain import Link

T = TypeVar("T")

Argument: TypeAlias = bytes | str | int
Reply: TypeAlias = "bytes | int | list[Reply] | None"


@dataclass(frozen=True, slots=True)
class Call(Generic[T]):
    """One command to the cache, and how to read its reply."""

    command: tuple[Argument, ...]
    parse: Callable[[list[Reply]], T]


# Answers that several functions give.


@dataclass(frozen=True, slots=True)
class NewIncarnation:
    """The cache's data began a new life. ``incarnation`` is '' where nobody has entered it yet."""

    incarnation: str


@dataclass(frozen=True, slots=True)
class OtherLayout:
    """The partitions are laid out differently than the caller believes."""

    layout: str


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


def write(
    keys: PartitionKeys,
    value_keys: Sequence[bytes],
    entries: Sequence[Argument],
    *,
    layout: str,
    incarnation: str,
    producer: str,
    sequence: int,
    writes: int,
    max_pending_fields: int,
    want_totals: bool,
) -> Call[WriteReply]:
    """One group of amounts. ``entries`` is flat: field, amount, field, amount, ..."""
    return Call(
        (
            "FCALL",
            "wb1_write",
            4 + len(value_keys),
            keys.header,
            keys.open,
            keys.open_lanes,
            keys.lanes,
            *value_keys,
            layout,
            incarnation,
            producer,
            sequence,
            writes,
            max_pending_fields,
            "1" if want_totals else "0",
            *entries,
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
            return _parse_common(reply)


def _parse_common(reply: list[Reply]) -> NewIncarnation | OtherLayout:
    match reply:
        case [b"NEW", incarnation]:
            return NewIncarnation(text(incarnation))
        case [b"NEW"]:
            return NewIncarnation("")
        case [b"LAYOUT", layout]:
            return OtherLayout(text(layout))
        case _:
            raise AssertionError(f"a reply that the protocol does not have: {reply!r}")


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
            7,
            keys.header,
            keys.open,
            keys.open_lanes,
            keys.lanes,
            keys.queue,
            keys.batch(batch),
            keys.batch_lanes(batch),
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
            6,
            keys.header,
            keys.open,
            keys.open_lanes,
            keys.queue,
            keys.batch(batch),
            keys.batch_lanes(batch),
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
            return _parse_common(reply)


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
            5 + len(forget),
            keys.header,
            keys.queue,
            keys.batch(batch),
            keys.batch_lanes(batch),
            keys.lanes,
            *forget,
            batch,
            ledger,
            commit,
            "1" if is_applied else "0",
        ),
        _parse_flag,
    )


def _parse_flag(reply: list[Reply]) -> bool:
    return number(reply[0]) == 1


@dataclass(frozen=True, slots=True)
class CachedValues:
    """Cached totals in the order asked, None where there is none to be trusted."""

    values: tuple[int | None, ...]


def read(
    keys: PartitionKeys, value_keys: Sequence[bytes], *, layout: str
) -> Call[CachedValues | NewIncarnation | OtherLayout]:
    """Cached totals."""
    return Call(("FCALL", "wb1_read", 1 + len(value_keys), keys.header, *value_keys, layout), _parse_read)


def _parse_read(reply: list[Reply]) -> CachedValues | NewIncarnation | OtherLayout:
    match reply:
        case [b"OK", *values]:
            return CachedValues(tuple(None if value is None else number(value) for value in values))
        case _:
            return _parse_common(reply)


@dataclass(frozen=True, slots=True)
class Pending:
    """What is pending for some fields at one instant.

    ``amounts[b][f]``: batch ``b`` of ``chain`` (the open batch is last), field ``f``.
    """

    last: str
    generation: str
    chain: tuple[Link, ...]
    amounts: tuple[tuple[int, ...], ...]


@dataclass(frozen=True, slots=True)
class OtherChain:
    """The queue is not the one that the caller named."""

    chain: tuple[Link, ...]


def pending(
    keys: PartitionKeys, chain: Sequence[Link], fields: Sequence[bytes], *, layout: str
) -> Call[Pending | OtherChain | NewIncarnation | OtherLayout]:
    """The pending amounts of ``fields`` in the batches of ``chain`` and in the open one."""
    size = len(fields)

    def parse(reply: list[Reply]) -> Pending | OtherChain | NewIncarnation | OtherLayout:
        match reply:
            case [b"OK", last, generation, *rest]:
                amounts = rest[len(chain) :]
                links = tuple(Link.parse(raw(entry)) for entry in rest[: len(chain)])
                per_batch = tuple(
                    tuple(0 if amount is None else number(amount) for amount in amounts[first : first + size])
                    for first in range(0, len(amounts), size)
                )
                return Pending(text(last), text(generation), links, per_batch)
            case [b"CHAIN", *entries]:
                return OtherChain(tuple(Link.parse(raw(entry)) for entry in entries))
            case _:
                return _parse_common(reply)

    return Call(
        (
            "FCALL",
            "wb1_pending",
            3 + len(chain),
            keys.header,
            keys.queue,
            keys.open,
            *(keys.batch(link.identity) for link in chain),
            layout,
            len(chain),
            *(link.identity for link in chain),
            *fields,
        ),
        parse,
    )


def fill(
    keys: PartitionKeys,
    value_keys: Sequence[bytes],
    entries: Sequence[Argument],
    *,
    layout: str,
    last: str,
    generation: str,
    ttl_ms: int,
) -> Call[int]:
    """Cache totals if they are still right. ``entries`` is flat: field, total, open amount then, ..."""
    return Call(
        (
            "FCALL",
            "wb1_fill",
            2 + len(value_keys),
            keys.header,
            keys.open,
            *value_keys,
            layout,
            last,
            generation,
            ttl_ms,
            *entries,
        ),
        lambda reply: number(reply[0]),
    )


def claim(keys: PartitionKeys, owner: str, ttl_ms: int) -> Call[bool]:
    """Take or renew the lease; True where ``owner`` has it now."""
    return Call(("FCALL", "wb1_claim", 1, keys.lease, owner, ttl_ms), _parse_flag)


def release(keys: PartitionKeys, owner: str) -> Call[bool]:
    """Give the lease back."""
    return Call(("FCALL", "wb1_release", 1, keys.lease, owner), _parse_flag)


def ask_for_flush(keys: PartitionKeys) -> Call[bool]:
    """Tell whoever flushes this partition that someone waits."""
    return Call(("FCALL", "wb1_ask_for_flush", 1, keys.header), _parse_flag)


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
            return _parse_common(reply)


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


def batch_length(key: bytes) -> Call[int]:
    """How many fields a batch has."""
    return Call(("HLEN", key), lambda reply: number(reply[0]))


def batch_marks(key: bytes) -> Call[dict[str, int]]:
    """The lanes of a batch: producer to its last sequence number."""
    return Call(
        ("HGETALL", key),
        lambda reply: {text(p): number(s) for p, s in zip(reply[::2], reply[1::2], strict=True)},
    )


@dataclass(frozen=True, slots=True)
class Header:
    """What the worker looks at to know whether a flush is due, and what the status shows."""

    incarnation: str
    writes: int
    first_write_ms: int | None
    sealed_fields: int
    flush_asked: bool


def header(keys: PartitionKeys) -> Call[Header]:
    """A partition's header; all zero where there is none yet."""

    def parse(reply: list[Reply]) -> Header:
        incarnation, writes, first_write_ms, sealed_fields, flush_asked = reply
        return Header(
            incarnation="" if incarnation is None else text(incarnation),
            writes=0 if writes is None else number(writes),
            first_write_ms=None if first_write_ms is None else number(first_write_ms),
            sealed_fields=0 if sealed_fields is None else number(sealed_fields),
            flush_asked=flush_asked is not None,
        )

    return Call(
        ("HMGET", keys.header, "incarnation", "writes", "first_write_ms", "sealed_fields", "flush_asked"), parse
    )


def birth(keys: PartitionKeys) -> Call[str]:
    """The open batch's birth identity, '' where nothing is open."""
    return Call(("HGET", keys.header, "birth"), lambda reply: "" if reply[0] is None else text(reply[0]))


def queue(keys: PartitionKeys) -> Call[tuple[Link, ...]]:
    """The sealed batches, oldest first."""
    return Call(("LRANGE", keys.queue, 0, -1), lambda reply: tuple(Link.parse(raw(entry)) for entry in reply))


def server_time_ms() -> Call[int]:
    """The server's clock."""
    return Call(("TIME",), lambda reply: number(reply[0]) * 1000 + number(reply[1]) // 1000)


def raw(reply: Reply) -> bytes:
    assert isinstance(reply, bytes)
    return reply


def text(reply: Reply) -> str:
    return raw(reply).decode()


def number(reply: Reply) -> int:
    assert isinstance(reply, bytes | int)
    return int(reply)
