"""How safe what was written is by now: on replicas, on disk; and whether the server can tell the truth about it."""

from __future__ import annotations

from dataclasses import dataclass

from writebehind.cache.calls.base import Call, NewIncarnation, OtherLayout, Reply, number, parse_common, raw
from writebehind.cache.keys import PartitionKeys


@dataclass(frozen=True, slots=True)
class Touched:
    """The incarnation lives on; what it accepted before is older than this call."""


def touch(keys: PartitionKeys, incarnation: str) -> Call[Touched | NewIncarnation | OtherLayout]:
    """Write something of no meaning, if the cache is in this incarnation still."""

    def parse(reply: list[Reply]) -> Touched | NewIncarnation | OtherLayout:
        return Touched() if reply == [b"OK"] else parse_common(reply)

    return Call(("FCALL", "wb1_touch", 1, keys.header, incarnation), parse)


def wait_for_replicas(count: int, timeout_ms: int) -> Call[int]:
    """How many replicas have what this connection wrote, as soon as they are ``count`` or the time is over."""
    return Call(("WAIT", count, timeout_ms), lambda reply: number(reply[0]))


def wait_for_disk(timeout_ms: int) -> Call[int]:
    """1 where the server's disk has what this connection wrote, as soon as that is so; 0 where the time is over."""
    return Call(("WAITAOF", 1, 0, timeout_ms), lambda reply: number(reply[0]))


@dataclass(frozen=True, slots=True)
class Durability:
    """What a server offers. ``fsync`` is its ``appendfsync``, '' where it may not be asked."""

    replicas: int
    append_only_file: bool
    fsync: str
    waits_for_disk: bool


def information(section: str) -> Call[dict[str, str]]:
    """One section of the server's INFO."""

    def parse(reply: list[Reply]) -> dict[str, str]:
        lines = raw(reply[0]).decode(errors="replace").splitlines()
        return dict(line.split(":", 1) for line in lines if ":" in line)

    return Call(("INFO", section), parse)


def fsync_policy() -> Call[str]:
    """The server's ``appendfsync``."""
    return Call(("CONFIG", "GET", "appendfsync"), lambda reply: raw(reply[1]).decode() if len(reply) == 2 else "")


def knows_command(name: str) -> Call[bool]:
    """Whether the server has a command."""
    return Call(("COMMAND", "INFO", name), lambda reply: bool(reply) and reply[0] is not None)
