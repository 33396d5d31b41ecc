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
    keys: PartitionKeys, value_keys: Sequence[bytes], *, layout: str
) -> Call[CachedValues | NewIncarnation | OtherLayout]:
    """Cached totals."""
    return Call(("FCALL", "wb1_read", 1 + len(value_keys), keys.header, *value_keys, layout), _parse_read)


def _parse_read(reply: list[Reply]) -> CachedValues | NewIncarnation | OtherLayout:
    match reply:
        case [b"OK", *values]:
            return CachedValues(tuple(None if value is None else number(value) for value in values))
        case _:
            return parse_common(reply)


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
