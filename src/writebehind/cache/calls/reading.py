"""A reader's calls: cached totals, pending amounts, filling the cache."""

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
    raw,
    text,
)
from writebehind.cache.keys import PartitionKeys
from writebehind.chain import Link


@dataclass(frozen=True, slots=True)
class CachedValues:
    """Cached totals in the order asked, None where there is none to be trusted."""

    values: tuple[int | None, ...]


def read(
    keys: PartitionKeys, value_keys: Sequence[bytes], *, layout: str, incarnation: str = ""
) -> Call[CachedValues | NewIncarnation | OtherLayout]:
    """Cached totals. ``incarnation``: the reader's, where it must see what it has written itself; so for all reads."""
    return Call(("FCALL", "wb1_read", 1 + len(value_keys), keys.header, *value_keys, layout, incarnation), _parse_read)


def _parse_read(reply: list[Reply]) -> CachedValues | NewIncarnation | OtherLayout:
    match reply:
        case [b"OK", *values]:
            return CachedValues(tuple(None if value is None else number(value) for value in values))
        case _:
            return parse_common(reply)


@dataclass(frozen=True, slots=True)
class Pending:
    """What is pending for some fields at one instant.

    ``changes[b][f]``: batch ``b`` of ``chain`` (the open batch is last), field ``f``; None for nothing.
    """

    last: str
    generation: str
    chain: tuple[Link, ...]
    changes: tuple[tuple[bytes | None, ...], ...]


@dataclass(frozen=True, slots=True)
class OtherChain:
    """The queue is not the one that the caller named."""

    chain: tuple[Link, ...]


def pending(
    keys: PartitionKeys, chain: Sequence[Link], fields: Sequence[bytes], *, layout: str, incarnation: str = ""
) -> Call[Pending | OtherChain | NewIncarnation | OtherLayout]:
    """The pending changes of ``fields`` in the batches of ``chain`` and in the open one."""
    size = len(fields)

    def parse(reply: list[Reply]) -> Pending | OtherChain | NewIncarnation | OtherLayout:
        match reply:
            case [b"OK", last, generation, *rest]:
                changes = rest[len(chain) :]
                links = tuple(Link.parse(raw(entry)) for entry in rest[: len(chain)])
                per_batch = tuple(
                    tuple(None if change is None else raw(change) for change in changes[first : first + size])
                    for first in range(0, len(changes), size)
                )
                return Pending(text(last), text(generation), links, per_batch)
            case [b"CHAIN", *entries]:
                return OtherChain(tuple(Link.parse(raw(entry)) for entry in entries))
            case _:
                return parse_common(reply)

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
            incarnation,
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


@dataclass(frozen=True, slots=True)
class CachedRecords:
    """Cached records in the order asked, their columns without the NULLs; None where there is none to be trusted."""

    records: tuple[dict[str, str] | None, ...]


def read_records(
    keys: PartitionKeys, value_keys: Sequence[bytes], *, layout: str, incarnation: str = ""
) -> Call[CachedRecords | NewIncarnation | OtherLayout]:
    """Cached records."""
    return Call(
        ("FCALL", "wb1_read_records", 1 + len(value_keys), keys.header, *value_keys, layout, incarnation),
        _parse_read_records,
    )


def _parse_read_records(reply: list[Reply]) -> CachedRecords | NewIncarnation | OtherLayout:
    match reply:
        case [b"OK", *records]:
            return CachedRecords(tuple(_pairs(record) or None for record in records))
        case _:
            return parse_common(reply)


def _pairs(record: Reply) -> dict[str, str]:
    assert isinstance(record, list)
    return {text(name): text(value) for name, value in zip(record[::2], record[1::2], strict=True)}


def fill_records(
    keys: PartitionKeys,
    value_keys: Sequence[bytes],
    entries: Sequence[Argument],
    *,
    layout: str,
    last: str,
    generation: str,
    ttl_ms: int,
) -> Call[int]:
    """Cache records if they are still right. ``entries`` is flat, of each record: field, its open change then (or
    empty), how many columns follow, column, text, ...
    """
    return Call(
        (
            "FCALL",
            "wb1_fill_records",
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
