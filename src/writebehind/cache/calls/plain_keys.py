"""Reading an application's own keys, and what the server says of them. Nothing here changes a key."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from writebehind.cache.calls.base import Call, Reply, number, raw, text


@dataclass(frozen=True, slots=True)
class NameSlice:
    """One slice of a scan: the cursor to go on with (0: done), and names."""

    cursor: int
    names: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class ScoreSlice:
    """One slice of a sorted set: the cursor to go on with (0: done), and member, score, member, score, ..."""

    cursor: int
    flat: tuple[bytes, ...]


def scan_names(cursor: int, glob: str, count: int) -> Call[NameSlice]:
    """Names that fit a glob, of about ``count`` keys looked at; one may come twice."""
    return Call(("SCAN", cursor, "MATCH", glob, "COUNT", count), lambda reply: NameSlice(*_slice(reply)))


def scan_scores(key: bytes, cursor: int, count: int) -> Call[ScoreSlice]:
    """About ``count`` members of a sorted set with their scores; one may come twice."""
    return Call(("ZSCAN", key, cursor, "COUNT", count), lambda reply: ScoreSlice(*_slice(reply)))


def _slice(reply: list[Reply]) -> tuple[int, tuple[bytes, ...]]:
    cursor, found = reply
    assert isinstance(found, list)
    return number(cursor), tuple(raw(each) for each in found)


def key_type(key: bytes) -> Call[str]:
    """``string``, ``hash``, ``zset``, ...; ``none`` where there is no such key."""
    return Call(("TYPE", key), lambda reply: text(reply[0]))


def expires_in_ms(key: bytes) -> Call[int]:
    """For how long a key will live; negative where nothing ends it, or where it does not live."""
    return Call(("PTTL", key), lambda reply: number(reply[0]))


def string_values(keys: Sequence[bytes]) -> Call[tuple[bytes | None, ...]]:
    """The values of strings; None where there is none, or where the key is no string."""
    return Call(("MGET", *keys), _maybe)


def hash_values(key: bytes, names: Sequence[str]) -> Call[tuple[bytes | None, ...]]:
    """The values of a hash's fields, None where it has none."""
    return Call(("HMGET", key, *names), _maybe)


def member_scores(key: bytes, members: Sequence[bytes]) -> Call[tuple[bytes | None, ...]]:
    """The scores of a sorted set's members, None where it does not have them."""
    return Call(("ZMSCORE", key, *members), _maybe)


def _maybe(reply: list[Reply]) -> tuple[bytes | None, ...]:
    return tuple(None if value is None else raw(value) for value in reply)


def eviction_policy() -> Call[str]:
    """What the server removes when its memory is full."""

    def parse(reply: list[Reply]) -> str:
        lines = raw(reply[0]).decode().splitlines()
        return next((line.partition(":")[2] for line in lines if line.startswith("maxmemory_policy:")), "noeviction")

    return Call(("INFO", "memory"), parse)


def note_status(key: bytes, status: str) -> Call[str]:
    """Leave a worker's words for whoever looks."""
    return Call(("SET", key, status), lambda reply: text(reply[0]))


def read_status(key: bytes) -> Call[bytes | None]:
    """What a worker left, None where none has."""
    return Call(("GET", key), lambda reply: None if reply[0] is None else raw(reply[0]))
