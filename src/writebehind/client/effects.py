"""Procedures: what the client does, written once for both worlds.

A procedure is a generator that yields what it needs from outside (an answer of the cache, one of the
database, a pause, a group's end) and is sent the result. ``threads`` and ``tasks`` perform these effects,
blocking and awaiting; everything else exists once.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias, TypeVar, cast

from writebehind.cache.calls import Call
from writebehind.errors import CacheUnavailable

T = TypeVar("T")
U = TypeVar("U")


class Group(Protocol):
    """Callers that gathered for one round trip."""

    resolved: bool

    def add_sleeper(self, wake: Callable[[], None]) -> None:
        """Have ``wake`` called when there is news of this group."""
        ...

    def remove_sleeper(self, wake: Callable[[], None]) -> bool:
        """Take ``wake`` back; False where it was called already."""
        ...


class Source(Protocol):
    """Where callers gather: at most one group is on its way, what arrives meanwhile forms the next."""

    def take(self) -> Any:
        """The next group, now on its way, or None while one is or nothing waits. Thread-safe."""
        ...

    def resume(self) -> Any:
        """The group that nobody brings to its end any more, or what ``take`` gives. Thread-safe."""
        ...

    def abandon(self, group: Any) -> None:
        """Whoever brought this group on its way was interrupted; ``resume`` will give it to another."""
        ...

    def wake_next_leader(self) -> bool:
        """Wake one caller of the next group so that it takes it; False where no caller sleeps there."""
        ...

    def deliver(self, group: Any) -> Procedure[None]:
        """Bring one group to its end: resolved, or waiting again. Raises only what a retry can mend."""
        ...


@dataclass(frozen=True, slots=True)
class AskCache:
    """Execute a call on a connection to the cache."""

    call: Call[Any]


@dataclass(frozen=True, slots=True)
class AskCacheTogether:
    """Execute several calls one after the other on one connection, in one round trip; answers all their results."""

    calls: tuple[Call[Any], ...]


@dataclass(frozen=True, slots=True)
class AskDatabase:
    """Run a function that waits for the database (or for a thread) and give its result."""

    function: Callable[[], Any]


@dataclass(frozen=True, slots=True)
class Pause:
    """Wait for a while."""

    delay_s: float


@dataclass(frozen=True, slots=True)
class AwaitNews:
    """Wait until there is news of a group, driving its source meanwhile if nobody does.

    Answers True on news, False when ``deadline`` (of ``time.monotonic()``) has passed.
    """

    source: Source
    group: Group
    deadline: float


Effect: TypeAlias = AskCache | AskCacheTogether | AskDatabase | Pause | AwaitNews
Procedure: TypeAlias = Generator[Effect, Any, T]


def ask_cache(call: Call[T]) -> Procedure[T]:
    """The answer of the cache to one call."""
    return cast(T, (yield AskCache(call)))


def ask_cache_together(first: Call[T], second: Call[U]) -> Procedure[tuple[T, U]]:
    """The answers to two calls, of which the second is about what the first did on its connection."""
    answers = yield AskCacheTogether((first, second))
    return cast("tuple[T, U]", tuple(answers))


def ask_cache_until(call: Call[T], deadline: float) -> Procedure[T]:
    """The answer to a call that changes nothing, or nothing twice: asked again until the deadline passes.

    :raises CacheUnavailable: there was none until then.
    """
    delay_s = 0.005
    while True:
        try:
            return (yield from ask_cache(call))
        except CacheUnavailable:
            if time.monotonic() + delay_s >= deadline:
                raise
        yield Pause(delay_s)
        delay_s = min(2 * delay_s, 0.25)


def ask_database(function: Callable[[], T]) -> Procedure[T]:
    """The result of a function that waits for the database."""
    return cast(T, (yield AskDatabase(function)))


def pause(delay_s: float) -> Procedure[None]:
    """A while in which others go on."""
    yield Pause(delay_s)


def await_news(source: Source, group: Group, deadline: float) -> Procedure[bool]:
    """Whether there was news of the group before the deadline."""
    return cast(bool, (yield AwaitNews(source, group, deadline)))
