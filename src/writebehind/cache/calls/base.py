"""What all calls share: the command, how its reply is read, and the answers that several functions give."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeAlias, TypeVar

T = TypeVar("T", covariant=True)

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


def parse_common(reply: list[Reply]) -> NewIncarnation | OtherLayout:
    """The answers that most functions may give instead of their own."""
    match reply:
        case [b"NEW", incarnation]:
            return NewIncarnation(text(incarnation))
        case [b"NEW"]:
            return NewIncarnation("")
        case [b"LAYOUT", layout]:
            return OtherLayout(text(layout))
        case _:
            raise AssertionError(f"a reply that the protocol does not have: {reply!r}")


def parse_flag(reply: list[Reply]) -> bool:
    """A single number: 1 for yes."""
    return number(reply[0]) == 1


def raw(reply: Reply) -> bytes:
    assert isinstance(reply, bytes)
    return reply


def text(reply: Reply) -> str:
    return raw(reply).decode()


def number(reply: Reply) -> int:
    assert isinstance(reply, bytes | int)
    return int(reply)
