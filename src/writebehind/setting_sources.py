"""Where settings come from: keyword arguments, environment variables, a TOML file with its mappings.

Each reader finds values and notes what it does not understand; nothing stops at the first problem.
"""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from writebehind import setting_kinds as kinds
from writebehind.errors import ConfigurationError
from writebehind.mapping import (
    CounterMapping,
    DeclaredCapture,
    EventMapping,
    LeaderboardMapping,
    RecordMapping,
    declare_capture,
)
from writebehind.setting_kinds import Kind, UnfitError, shown

AnyMapping: TypeAlias = CounterMapping | LeaderboardMapping | RecordMapping | EventMapping
DeclaredMapping: TypeAlias = tuple[AnyMapping, str | None]
"""A mapping, and the URL of its own database."""

DEFAULT_FILE = "writebehind.toml"
PREFIX = "WRITEBEHIND_"
_CONFIG_VARIABLE = f"{PREFIX}CONFIG"

_FILE_KIND = kinds.path("Name a TOML file that this user can read.")
_URL = kinds.url(("postgresql", "postgres", "sqlite", "duckdb"), "duckdb:///events.duckdb")
_PARTITIONS = kinds.whole_number(1, 1024, "partitions")
_TTL = kinds.whole_number(1, 2**53, "milliseconds")


@dataclass(frozen=True, slots=True)
class Section:
    """One kind of mapping in the TOML file: ``[counters."videos.likes"]``. ``options`` are those of ``parse``."""

    word: str
    example: str
    parse: Callable[..., AnyMapping]
    options: Mapping[str, Kind]


SECTIONS: Mapping[str, Section] = {
    "counters": Section(
        "counter",
        "videos.likes",
        CounterMapping.parse,
        {
            "key": kinds.column_names(),
            "missing": kinds.choice("dead_letter", "insert", "ignore"),
            "partitions": _PARTITIONS,
            "cached_value_ttl_ms": _TTL,
        },
    ),
    "leaderboards": Section(
        "leaderboard",
        "scores.points",
        LeaderboardMapping.parse,
        {
            "member": kinds.column_name(),
            "board": kinds.column_name(),
            "keep": kinds.choice("max", "min", "last", "sum"),
            "best": kinds.choice("highest", "lowest"),
            "partitions": _PARTITIONS,
            "cached_value_ttl_ms": _TTL,
        },
    ),
    "records": Section(
        "record mapping",
        "profiles",
        RecordMapping.parse,
        {
            "key": kinds.column_names(),
            "columns": kinds.column_names(),
            "version": kinds.column_name(),
            "partitions": _PARTITIONS,
            "cached_value_ttl_ms": _TTL,
        },
    ),
    "events": Section(
        "event log",
        "clicks",
        EventMapping.parse,
        {
            "columns": kinds.column_names(),
            "position": kinds.column_name(),
            "partitions": _PARTITIONS,
            "max_length": kinds.whole_number(1, 1_000_000_000, "events"),
            "when_full": kinds.choice("block", "refuse"),
        },
    ),
}


CAPTURE_SECTION = "capture"
_CAPTURE_EXAMPLE = 'Write [capture."video:{id}:likes"] and, below it, to = "videos.likes".'
CAPTURE_OPTIONS: Mapping[str, Kind] = {
    "to": kinds.text(r"[^\x00-\x1f\x7f]{1,200}", 'Name the mapping, for example to = "videos.likes".'),
    "baseline": kinds.choice("database", "cache", "zero"),
    "kind": kinds.choice("counter", "leaderboard", "record"),
    "key": kinds.column_names(),
    "missing": kinds.choice("dead_letter", "insert", "ignore"),
    "columns": kinds.column_names(),
    "version": kinds.text(r".{1,200}", "Name a column."),
    "member": kinds.text(r".{1,200}", "Name a column."),
    "board": kinds.text(r".{1,200}", "Name a column."),
    "keep": kinds.choice("max", "min", "last"),
    "partitions": _PARTITIONS,
    "database": _URL,
}


class Problems:
    """All that is wrong, to be reported at once."""

    def __init__(self) -> None:
        self._lines: list[str] = []

    def add(self, line: str) -> None:
        self._lines.append(line)

    def add_unknown(self, name: str, source: str, known: Iterable[str]) -> None:
        """A name that means nothing, with the one that it resembles."""
        known = sorted(known)
        close = difflib.get_close_matches(name, known, n=1)
        fix = f"Did you mean {close[0]}?" if close else f"There are {', '.join(known)}."
        self.add(f"{name} ({source}) is not a setting. {fix}")

    def raise_all(self) -> None:
        """:raises ConfigurationError: with a line for each problem, if there is any."""
        if self._lines:
            count = "one problem" if len(self._lines) == 1 else f"{len(self._lines)} problems"
            lines = "".join(f"\n  - {line}" for line in self._lines)
            raise ConfigurationError(f"the configuration has {count}:{lines}")


@dataclass(frozen=True, slots=True)
class Given:
    """A value as it was given. ``source`` is what errors call its place, ``kind`` what it must be."""

    name: str
    value: object
    source: str
    kind: Kind
    is_text: bool = False
    from_file: bool = False


@dataclass(frozen=True, slots=True)
class File:
    """What a TOML file says; all empty where there is none. ``label`` is the path as it was given."""

    path: Path | None = None
    label: str = ""
    values: tuple[Given, ...] = ()
    sections: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
    """The mappings that it declares, by the name of their section."""
    captures: Mapping[str, object] = field(default_factory=dict)
    """The captures that it declares, by their patterns."""


def parsed(given: Given, problems: Problems) -> tuple[bool, object]:
    """Whether a value is accepted, and what it means. What is wrong with it is noted."""
    try:
        return True, given.kind.check(_read_text(given) if given.is_text else given.value)
    except UnfitError as error:
        problems.add(f"{given.name} ({given.source}) is {shown(given.value)}: {error}. {given.kind.fix}")
        return False, None


def _read_text(given: Given) -> object:
    if not given.value:
        raise UnfitError("it is empty; a variable that shall not count must be unset")
    return given.kind.from_text(str(given.value))


def read_arguments(arguments: Mapping[str, object], known: Mapping[str, Kind], problems: Problems) -> list[Given]:
    """Keyword arguments."""
    found = []
    for name, value in arguments.items():
        if name in known:
            found.append(Given(name, value, f"argument {name}", known[name]))
        else:
            problems.add_unknown(name, "argument", {*known, "config"})
    return found


def read_environment(environment: Mapping[str, str], known: Mapping[str, Kind], problems: Problems) -> list[Given]:
    """The variables that begin with WRITEBEHIND_."""
    names = {f"{PREFIX}{name.upper()}": name for name in known}
    found = []
    for variable, value in environment.items():
        if variable in names:
            name = names[variable]
            found.append(Given(name, value, f"environment variable {variable}", known[name], is_text=True))
        elif variable.startswith(PREFIX) and variable != _CONFIG_VARIABLE:
            problems.add_unknown(variable, "environment variable", {*names, _CONFIG_VARIABLE})
    return found


def read_file(
    config: object, environment: Mapping[str, str], directory: Path, known: Mapping[str, Kind], problems: Problems
) -> File:
    """The TOML file: the one that is named, or ``writebehind.toml`` in the directory if it exists."""
    source = "argument config"
    if config is None and _CONFIG_VARIABLE in environment:
        config, source = environment[_CONFIG_VARIABLE], f"environment variable {_CONFIG_VARIABLE}"
    if config is None:
        if not (directory / DEFAULT_FILE).exists():
            return File()
        config, source = DEFAULT_FILE, "in the working directory"
    accepted, path = parsed(Given("config", config, source, _FILE_KIND), problems)
    if not accepted:
        return File()
    assert isinstance(path, Path)
    label, path = str(config), directory / path
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        problems.add(f"config ({source}) is {shown(label)}: {error.strerror}. {_FILE_KIND.fix}")
        return File()
    except ValueError as error:  # not TOML, or not UTF-8
        problems.add(f"config ({source}) is {shown(label)}: it is not TOML: {error}. Mend that line.")
        return File()
    sections = {}
    for name, section in SECTIONS.items():
        declared = document.pop(name, {})
        if isinstance(declared, dict):
            sections[name] = declared
        else:
            problems.add(f'{name} ({label}: {name}) is not a table. Write [{name}."{section.example}"].')
    captures = document.pop(CAPTURE_SECTION, {})
    if not isinstance(captures, dict):
        problems.add(f"{CAPTURE_SECTION} ({label}: {CAPTURE_SECTION}) is not a table. {_CAPTURE_EXAMPLE}")
        captures = {}
    values = []
    for name, value in document.items():
        if name in known:
            values.append(Given(name, value, f"{label}: {name}", known[name], from_file=True))
        else:
            problems.add_unknown(name, label, {*known, *SECTIONS, CAPTURE_SECTION})
    return File(path, label, tuple(values), sections, captures)


def mappings_in(file: File, problems: Problems) -> tuple[DeclaredMapping, ...]:
    """The mappings that the file declares, in its order, each with the URL of its own database or None."""
    found = []
    for section_name, declared in file.sections.items():
        for target, options in declared.items():
            mapping = _mapping_in(file.label, section_name, target, options, problems)
            if mapping is not None:
                found.append(mapping)
    return tuple(found)


def _mapping_in(
    label: str, section_name: str, target: str, options: object, problems: Problems
) -> DeclaredMapping | None:
    section = SECTIONS[section_name]
    source = f'{label}: {section_name}."{target}"'
    if not isinstance(options, dict):
        problems.add(
            f'the {section.word} {target!r} ({source}) is not a table. Write [{section_name}."{section.example}"].'
        )
        return None
    if "." not in target and any(isinstance(value, dict) for value in options.values()):
        # [counters.videos.likes], which TOML reads as a table in a table.
        column = next(name for name, value in options.items() if isinstance(value, dict))
        problems.add(
            f"the {section.word} {target}.{column} ({source}) is written without quotes. "
            f'Write [{section_name}."{target}.{column}"].'
        )
        return None
    known = {**section.options, "database": _URL}
    accepted: dict[str, object] = {}
    for name, value in options.items():
        if name not in known:
            problems.add_unknown(name, source, known)
            continue
        fits, result = parsed(Given(name, value, f"{source}.{name}", known[name], from_file=True), problems)
        if fits:
            accepted[name] = result
    database = accepted.pop("database", None)
    try:
        if section_name == "leaderboards" and "member" not in accepted:
            raise ConfigurationError("it has no member", fix='Name its column: member = "player".')  # noqa: TRY301
        return section.parse(target, **accepted), None if database is None else str(database)
    except ConfigurationError as error:
        problems.add(f"the {section.word} {target!r} ({source}): {error}")
        return None


def captures_in(file: File, problems: Problems) -> tuple[DeclaredCapture, ...]:
    """The captures that the file declares, in its order."""
    found = []
    for pattern, options in file.captures.items():
        source = f'{file.label}: {CAPTURE_SECTION}."{pattern}"'
        if not isinstance(options, dict):
            problems.add(f"the capture {pattern!r} ({source}) is not a table. {_CAPTURE_EXAMPLE}")
            continue
        accepted: dict[str, object] = {}
        for name, value in options.items():
            if name not in CAPTURE_OPTIONS:
                problems.add_unknown(name, source, CAPTURE_OPTIONS)
                continue
            fits, result = parsed(
                Given(name, value, f"{source}.{name}", CAPTURE_OPTIONS[name], from_file=True), problems
            )
            if fits:
                accepted[name] = result
        if "to" not in options:
            problems.add(f"the capture {pattern!r} ({source}) does not say where to. {_CAPTURE_EXAMPLE}")
        elif "to" in accepted:
            try:
                found.append(declare_capture(pattern, **accepted))  # type: ignore[arg-type]
            except ConfigurationError as error:
                problems.add(f"the capture {pattern!r} ({source}): {error}")
    return tuple(found)
