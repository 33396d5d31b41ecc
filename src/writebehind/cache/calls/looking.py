"""Looking at a partition without changing it: the header, the queue, the server's clock."""

from __future__ import annotations

from dataclasses import dataclass

from writebehind.cache.calls.base import (
    Call,
    Reply,
    number,
    raw,
    text,
)
from writebehind.cache.keys import PartitionKeys
from writebehind.chain import Link


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
