"""Capturing: which plain keys of the application's own belong to a mapping, and what they were worth at first."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from functools import cached_property
from typing import Literal, TypeAlias

from writebehind.errors import ConfigurationError, KeyRefused
from writebehind.mapping.bound import BoundMapping
from writebehind.mapping.counters import BoundCounter
from writebehind.mapping.leaderboards import BoundLeaderboard
from writebehind.mapping.records import BoundRecords
from writebehind.values import KeyCodec, KeyColumn

Baseline: TypeAlias = Literal["database", "cache", "zero"]
BASELINES: tuple[Baseline, ...] = ("database", "cache", "zero")
BASELINES_MEAN = (
    '"database": the rows are right, and only what happens from now on counts; "cache": the keys are right, and the '
    'rows become what the keys say; "zero": all that the keys hold has not reached the rows yet, and is added.'
)

_TOKEN = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|([{}])|([^{}]+)")
_GLOB_SPECIAL = re.compile(r"([*?\[\]\\])")
_LIBRARY_KEYS: tuple[str | None, ...] = ("wb:{", None)


@dataclass(frozen=True)
class CapturePattern:
    """The names of an application's keys, as ``"video:{id}:likes"``.

    ``parts`` are literal texts and, as one-tuples, the key columns that stand between them.
    """

    text: str
    parts: tuple[str | tuple[str], ...]

    @classmethod
    def parse(cls, text: str) -> CapturePattern:
        """Read a pattern: placeholders name key columns, ``{{`` and ``}}`` are braces themselves.

        :raises ConfigurationError: it is no pattern, or no key could be told apart by it.
        """
        where = f"capture({text!r})"
        parts: list[str | tuple[str]] = []
        for found in _TOKEN.finditer(text):
            name, stray, literal = found.groups()
            if stray is not None:
                raise ConfigurationError(
                    f"{where}: the brace at place {found.start() + 1} has no partner",
                    fix="Write {column} for a key column, and {{ or }} for a brace of the key's own.",
                )
            if name is not None:
                if not name:
                    raise ConfigurationError(f"{where}: an empty placeholder", fix="Name a key column: {id}.")
                if parts and isinstance(parts[-1], tuple):
                    raise ConfigurationError(
                        f"{where}: {{{parts[-1][0]}}} and {{{name}}} touch each other",
                        why="nothing says where one ends and the other begins",
                        fix="Put a text between them.",
                    )
                parts.append((name,))
                continue
            literal = found.group()[:1] if literal is None else literal
            if parts and isinstance(parts[-1], str):
                parts[-1] += literal
            else:
                parts.append(literal)
        pattern = cls(text, tuple(parts))
        names = pattern.placeholders
        if not text:
            raise ConfigurationError(f"{where}: an empty pattern", fix='Write it like "video:{id}:likes".')
        if len(set(names)) != len(names):
            raise ConfigurationError(f"{where}: a placeholder stands in it twice", fix="Name each column once.")
        if could_name_the_same(pattern.shape, _LIBRARY_KEYS):
            raise ConfigurationError(
                f"{where} could match the library's own keys, which begin with wb:{{",
                fix="Let the pattern begin with a text of its own.",
            )
        return pattern

    @property
    def placeholders(self) -> tuple[str, ...]:
        """The key columns, in the order in which they stand in the pattern."""
        return tuple(part[0] for part in self.parts if isinstance(part, tuple))

    @property
    def shape(self) -> tuple[str | None, ...]:
        """Literal texts, and None for what may be any text."""
        return tuple(part if isinstance(part, str) else None for part in self.parts)

    @cached_property
    def glob(self) -> str:
        """The pattern for ``SCAN`` and ``PSUBSCRIBE``. It may match more than ``match`` does."""
        return "".join(escape_glob(part) if isinstance(part, str) else "*" for part in self.parts)

    @cached_property
    def _expression(self) -> re.Pattern[bytes]:
        # A placeholder ends where the literal text that follows it begins first; the last one goes to the end.
        pieces = []
        for index, part in enumerate(self.parts):
            if isinstance(part, str):
                pieces.append(re.escape(part.encode()))
            else:
                following = self.parts[index + 1 :]
                pieces.append(b"(.+)" if not following else b"(.+?)")
        return re.compile(b"".join(pieces), re.DOTALL)

    def match(self, key: bytes) -> tuple[str, ...] | None:
        """The texts of the placeholders, in their order; None where the key is another's, or not UTF-8.

        Where several readings are possible, the first placeholders are as short as can be.
        """
        found = self._expression.fullmatch(key)
        if found is None:
            return None
        try:
            return tuple(part.decode() for part in found.groups())
        except UnicodeDecodeError:
            return None


def escape_glob(text: str) -> str:
    """A text that a glob matches as it stands."""
    return _GLOB_SPECIAL.sub(r"\\\1", text)


class _Any(Enum):
    ONE = "one character"
    MORE = "any number of characters"


def could_name_the_same(left: Sequence[str | None], right: Sequence[str | None]) -> bool:
    """Whether some key fits both shapes: literal texts, and None for any text of at least one character."""
    one, other = _characters(left), _characters(right)
    seen: set[tuple[int, int]] = set()
    waiting = [(0, 0)]
    while waiting:
        place = waiting.pop()
        if place in seen:
            continue
        seen.add(place)
        i, j = place
        if i == len(one) and j == len(other):
            return True
        if i < len(one) and one[i] is _Any.MORE:
            waiting.append((i + 1, j))
        if j < len(other) and other[j] is _Any.MORE:
            waiting.append((i, j + 1))
        if i < len(one) and j < len(other):
            a, b = one[i], other[j]
            if a == b or isinstance(a, _Any) or isinstance(b, _Any):
                waiting.append((i if a is _Any.MORE else i + 1, j if b is _Any.MORE else j + 1))
    return False


def _characters(shape: Sequence[str | None]) -> list[str | _Any]:
    characters: list[str | _Any] = []
    for part in shape:
        characters += [_Any.ONE, _Any.MORE] if part is None else list(part)
    return characters


@dataclass(frozen=True, slots=True)
class CaptureMapping:
    """Keys that other programs change with plain commands, and the mapping that receives the changes.

    ``to`` is the mapping's name; ``baseline`` says whose number was right at the first scan, None where no key is
    expected to exist then.
    """

    pattern: CapturePattern
    to: str
    baseline: Baseline | None = None

    @classmethod
    def parse(cls, pattern: str, *, to: str, baseline: str | None = None) -> CaptureMapping:
        """Build a capture.

        :raises ConfigurationError: naming the argument and what it must be.
        """
        if baseline is not None and baseline not in BASELINES:
            raise ConfigurationError(f"capture({pattern!r}): baseline={baseline!r}", fix=f"Use one of {BASELINES_MEAN}")
        return cls(CapturePattern.parse(pattern), to, baseline)

    @property
    def where(self) -> str:
        """What errors call it."""
        return f"capture({self.pattern.text!r}, to={self.to!r})"

    @property
    def mark(self) -> str:
        """The name under which cache and ledger note that the first scan is done; no captured key can have it."""
        return f"wb:{{first scan}} {self.pattern.text}"


CapturedMapping: TypeAlias = BoundCounter | BoundRecords | BoundLeaderboard


@dataclass(frozen=True, slots=True, eq=False)
class BoundCapture:
    """A capture together with its mapping, bound to its table."""

    capture: CaptureMapping
    mapping: CapturedMapping

    @property
    def pattern(self) -> CapturePattern:
        return self.capture.pattern

    @property
    def columns(self) -> tuple[KeyColumn, ...]:
        """The key columns that a key's name must give, in the order of the field."""
        if isinstance(self.mapping, BoundLeaderboard):
            return () if self.mapping.board_column is None else (self.mapping.board_column,)
        return self.mapping.keys.columns

    def identify(self, key: bytes) -> bytes | None:
        """The field of a key (of a sorted set: its board's canonical text); None where the key is not the pattern's.

        :raises KeyRefused: the key's name does not fit the columns, or is not how the column's value is written
            (``007`` for a number): two keys would be one row.
        """
        texts = self.pattern.match(key)
        if texts is None:
            return None
        given = dict(zip(self.pattern.placeholders, texts, strict=True))
        ordered = tuple(given[column.name] for column in self.columns)
        if not ordered:
            return b""
        field = KeyCodec(self.columns, self.mapping.name).encode(ordered)
        canonical = (field.decode(),) if len(ordered) == 1 else tuple(json.loads(field))
        if canonical != ordered:
            raise KeyRefused(
                f"the key {key!r} is not captured for {self.mapping.name!r}",
                why=f"its columns would be written {', '.join(canonical)}",
                fix="Name keys so that one row has one key.",
            )
        return field


def bind_capture(capture: CaptureMapping, mapping: BoundMapping) -> BoundCapture:
    """Check a capture against the mapping that receives its changes.

    :raises ConfigurationError: they do not fit.
    """
    where = capture.where
    if not isinstance(mapping, BoundCounter | BoundRecords | BoundLeaderboard):
        raise ConfigurationError(f"{where}: an event log cannot be captured", fix="Append events with the library.")
    bound = BoundCapture(capture, mapping)
    wanted = tuple(column.name for column in bound.columns)
    if set(wanted) != set(capture.pattern.placeholders):
        raise ConfigurationError(
            f"{where}: the placeholders are ({', '.join(capture.pattern.placeholders)})",
            why=f"the key columns are ({', '.join(wanted)})",
            fix="Name each key column once: {column}." if wanted else "Leave the placeholders out, or name board=.",
        )
    prefix = mapping.value_prefix.decode()
    table = mapping.mapping.table
    if isinstance(mapping, BoundRecords):
        own: tuple[str | None, ...] = (f"{prefix}{table}:", None)
    elif isinstance(mapping, BoundLeaderboard) and mapping.mapping.board is None:
        own = (f"{prefix}{table}:{mapping.mapping.column}",)
    else:
        own = (f"{prefix}{table}:", None, f":{mapping.mapping.column}")
    if could_name_the_same(capture.pattern.shape, own):
        shown = "".join("{…}" if part is None else part for part in own)
        raise ConfigurationError(
            f"{where} could match the names of the mapping's own cached values",
            why=f"they are called {shown}",
            fix="Rename the application's keys, or set namespace=, with which cached values' names begin.",
        )
    if isinstance(mapping, BoundLeaderboard) and mapping.mapping.keep == "sum":
        raise ConfigurationError(
            f'{where}: the leaderboard keeps the "sum"',
            why="the application's own sorted set holds the sum already",
            fix='Declare it with keep="last".',
        )
    return bound
