"""Declaring a capture: with a mapping that is declared elsewhere, or with one that the capture itself describes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from writebehind.errors import ConfigurationError
from writebehind.mapping.capture import CaptureMapping
from writebehind.mapping.counters import CounterMapping
from writebehind.mapping.leaderboards import LeaderboardMapping
from writebehind.mapping.records import RecordMapping

CaptureKind: TypeAlias = Literal["counter", "leaderboard", "record"]
CAPTURE_KINDS: tuple[CaptureKind, ...] = ("counter", "leaderboard", "record")


@dataclass(frozen=True, slots=True)
class DeclaredCapture:
    """A capture, and the mapping that it describes: it counts where the mapping is not declared by itself.

    ``has_options``: the capture says how the mapping is to be; ``database``: the URL of its own database.
    """

    capture: CaptureMapping
    mapping: CounterMapping | LeaderboardMapping | RecordMapping
    has_options: bool
    database: str | None = None


def declare_capture(
    pattern: str,
    *,
    to: str,
    baseline: str | None = None,
    kind: str | None = None,
    key: str | Sequence[str] | None = None,
    missing: str | None = None,
    columns: str | Sequence[str] | None = None,
    version: str | None = None,
    member: str | None = None,
    board: str | None = None,
    keep: str | None = None,
    partitions: int | None = None,
    database: str | None = None,
) -> DeclaredCapture:
    """Build a capture. With ``member`` the mapping is a leaderboard, with a dot in ``to`` a counter, else records.

    :raises ConfigurationError: naming the argument and what it must be.
    """
    capture = CaptureMapping.parse(pattern, to=to, baseline=baseline)
    chosen = _kind(capture, kind, member)
    options: dict[str, object] = {
        "key": key,
        "missing": missing,
        "columns": columns,
        "version": version,
        "member": member,
        "board": board,
        "keep": keep,
        "partitions": partitions,
    }
    given = {name: value for name, value in options.items() if value is not None}
    others = sorted(set(given) - set(_OPTIONS[chosen]))
    if others:
        raise ConfigurationError(
            f"{capture.where}: {others[0]}= does not belong to a {chosen}",
            fix=f"It has {', '.join(_OPTIONS[chosen])}; kind= says what it is.",
        )
    mapping = _mapping(capture, chosen, given)
    return DeclaredCapture(capture, mapping, bool(given) or kind is not None or database is not None, database)


_OPTIONS: dict[CaptureKind, tuple[str, ...]] = {
    "counter": ("key", "missing", "partitions"),
    "record": ("key", "columns", "version", "partitions"),
    "leaderboard": ("member", "board", "keep", "partitions"),
}


def _kind(capture: CaptureMapping, kind: str | None, member: str | None) -> CaptureKind:
    if kind is None:
        if member is not None:
            return "leaderboard"
        return "counter" if "." in capture.to else "record"
    if kind not in CAPTURE_KINDS:
        raise ConfigurationError(f"{capture.where}: kind={kind!r}", fix=f"Use one of {', '.join(CAPTURE_KINDS)}.")
    return kind


def _mapping(
    capture: CaptureMapping, kind: CaptureKind, given: dict[str, object]
) -> CounterMapping | LeaderboardMapping | RecordMapping:
    columns = capture.pattern.placeholders
    if kind == "leaderboard":
        if len(columns) > 1:
            raise ConfigurationError(
                f"{capture.where}: a sorted set is one board", fix="Let the pattern have one placeholder, the board."
            )
        options = {"keep": "last", "board": columns[0] if columns else None, **given}
        if "member" not in options:
            raise ConfigurationError(f"{capture.where}: it has no member", fix='Name its column: member="player".')
        return LeaderboardMapping.parse(capture.to, **options)  # type: ignore[arg-type]
    options = {"key": columns, **given}
    if kind == "record":
        return RecordMapping.parse(capture.to, **options)  # type: ignore[arg-type]
    return CounterMapping.parse(capture.to, **options)  # type: ignore[arg-type]
