"""The settings: what there is to set, and how it is found.

Keyword arguments win over environment variables, those over a TOML file, that over the defaults. The
class below is the table of all settings: its fields say the name, what a value may be and what it means,
and everything else (the reading, the errors, the documentation) follows from it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

from writebehind import setting_kinds as kinds
from writebehind.levels import LEVELS, Ack
from writebehind.mapping import DeclaredCapture
from writebehind.setting_kinds import Kind, redacted
from writebehind.setting_sources import (
    DeclaredMapping,
    Problems,
    captures_in,
    mappings_in,
    parsed,
    read_arguments,
    read_environment,
    read_file,
)


@dataclass(frozen=True, slots=True)
class Setting:
    """One row of the table. ``name`` is the argument and the TOML key; ``field`` the attribute of ``Settings``."""

    name: str
    field: str
    kind: Kind
    default: object
    help: str

    @property
    def variable(self) -> str:
        """The environment variable."""
        return f"WRITEBEHIND_{self.name.upper()}"


def _setting(default: Any, kind: Kind, help: str) -> Any:
    return field(default=default, metadata={"kind": kind, "help": help})


@dataclass(frozen=True, slots=True, repr=False)
class Settings:
    """Everything that can be set, checked. Made by ``load``; names end in their unit.

    Its ``repr`` shows no password; ``cache`` and ``database`` themselves may contain one.
    """

    cache: str | None = _setting(
        None,
        kinds.url(("redis", "rediss", "valkey", "valkeys", "unix"), "redis://localhost:6379/0"),
        "URL of the Valkey or Redis server. Without one, an embedded Valkey serves, with its data in `folder`.",
    )
    database: str | None = _setting(
        None,
        kinds.url(
            ("postgresql", "postgres", "sqlite", "duckdb"),
            "postgresql://localhost/app or sqlite:///app.db; for event logs alone, duckdb:///events.duckdb",
        ),
        "URL of the database. Without one, a SQLite file in `folder` serves.",
    )
    folder: Path = _setting(  # noqa: RUF009  # the default is immutable
        Path(".writebehind"),
        kinds.path("Use the path of a folder on a local disk."),
        "Where the embedded cache and the SQLite file live. A relative path starts at the working directory, "
        "in a TOML file at that file's folder.",
    )
    namespace: str | None = _setting(
        None,
        kinds.text(r"[A-Za-z0-9._-]{1,64}", "Use 1 to 64 letters, digits, dots, hyphens or underscores."),
        "Keeps applications that share a cache or a database apart: what one writes, another neither reads nor "
        "flushes. Not the name of a table, as the names of cached values begin with either. Without one: `default`, "
        "or the random name that an embedded cache has of its own.",
    )
    flush_after_s: float = _setting(
        10.0, kinds.seconds(), "A flush is due when the oldest unflushed write is this many seconds old."
    )
    flush_rows: int = _setting(
        50_000, kinds.whole_number(1, 10_000_000, "rows"), "A flush is also due when this many rows wait."
    )
    batch_fields: int = _setting(
        100_000, kinds.whole_number(1, 1_000_000, "rows"), "The most rows of one batch; a larger one is closed."
    )
    max_pending_rows: int = _setting(
        5_000_000,
        kinds.whole_number(1, 1_000_000_000, "rows"),
        "The most rows of one mapping that may wait in the cache; at the bound `buffer_full` decides.",
    )
    linger_ms: float = _setting(
        1.0,
        kinds.duration("milliseconds", 60_000, zero=True),
        'How many milliseconds a write with ack="local" may wait for company before it is sent; 0 sends at once.',
    )
    timeout_s: float = _setting(
        5.0, kinds.seconds(), "How many seconds a call may take, where the call itself does not say."
    )
    drain_timeout_s: float = _setting(
        10.0,
        kinds.seconds(zero=True),
        "How many seconds closing may spend on flushing what waits; the rest stays safe in the cache. "
        "0 flushes nothing.",
    )
    ring_groups: int = _setting(
        200_000,
        kinds.whole_number(2, 100_000_000, "groups"),
        "The most groups of writes that one process keeps, per partition, to write again should the cache lose them.",
    )
    ring_bytes: int = _setting(
        64 * 1024 * 1024,
        kinds.whole_number(4096, 2**40, "bytes"),
        "The most bytes of such groups, per partition.",
    )
    ring_full: Literal["block", "refuse", "release"] = _setting(
        "block",
        kinds.choice("block", "refuse", "release"),
        "What a write does when that bound is reached: wait up to the timeout, be refused, or let the oldest groups "
        "fall back to what the cache alone promises.",
    )
    buffer_full: Literal["block", "refuse"] = _setting(
        "block",
        kinds.choice("block", "refuse"),
        "What a write does at `max_pending_rows`: wait up to the timeout, or be refused.",
    )
    ack: Ack = _setting(  # noqa: RUF009  # the default is immutable
        "memory",
        kinds.choice(*LEVELS),
        "How far a write must get before it is acknowledged, where the write itself does not say.",
    )
    replicas: int = _setting(
        1,
        kinds.whole_number(1, 100, "replicas"),
        'How many replicas must have a write before `ack="replica"` acknowledges it.',
    )
    lease_ttl_s: float = _setting(
        5.0, kinds.seconds(), "After how many seconds another worker may take over from one that went silent."
    )
    poll_s: float = _setting(0.05, kinds.seconds(), "How many seconds a worker waits between two looks at the cache.")
    capture_every_s: float = _setting(
        0.2, kinds.seconds(), "How many seconds pass between two captures of what plain commands did to captured keys."
    )
    allow_eviction: bool = _setting(
        False,
        kinds.boolean(),
        "Start even though the cache's eviction policy may remove writes that were not flushed, which loses them.",
    )
    mappings: tuple[DeclaredMapping, ...] = ()
    """The mappings that the TOML file declares, in its order, each with the URL of its own database or None."""
    captures: tuple[DeclaredCapture, ...] = ()
    """The captures that the TOML file declares, in its order."""

    @classmethod
    def load(cls, **arguments: object) -> Settings:
        """The settings of this process. An argument that is None is not given.

        ``config`` is the path of a TOML file; without it (and without WRITEBEHIND_CONFIG), ``writebehind.toml`` in
        the working directory is read if it exists.

        :raises ConfigurationError: naming every problem at once: setting, source, value and fix.
        """
        return load_settings(arguments, os.environ, Path.cwd())

    def __repr__(self) -> str:
        parts = (f"{each.name}={redacted(repr(getattr(self, each.name)))}" for each in fields(self))
        return f"Settings({', '.join(parts)})"


def _rows_of_the_table() -> Iterator[Setting]:
    for each in fields(Settings):
        if each.metadata:
            name = each.name.removesuffix("_s")  # seconds need no unit: flush_after=10
            yield Setting(name, each.name, each.metadata["kind"], each.default, each.metadata["help"])


TABLE: tuple[Setting, ...] = tuple(_rows_of_the_table())
"""All settings that arguments, variables and the TOML file share."""


def load_settings(arguments: Mapping[str, object], environment: Mapping[str, str], directory: Path) -> Settings:
    """``Settings.load`` with the surroundings handed in: the environment and the working directory.

    A wrong value is an error even where a source of higher rank hides it.

    :raises ConfigurationError: naming every problem at once.
    """
    problems = Problems()
    kinds_by_name = {row.name: row.kind for row in TABLE}
    given = {name: value for name, value in arguments.items() if value is not None}
    file = read_file(given.pop("config", None), environment, directory, kinds_by_name, problems)
    values = [*file.values, *read_environment(environment, kinds_by_name, problems)]
    values += read_arguments(given, kinds_by_name, problems)

    fields_by_name = {row.name: row.field for row in TABLE}
    found: dict[str, Any] = {row.field: row.default for row in TABLE}
    for value in values:  # from the lowest rank to the highest
        accepted, result = parsed(value, problems)
        if accepted:
            base = file.path.parent if value.from_file and file.path is not None else directory
            found[fields_by_name[value.name]] = base / result if isinstance(result, Path) else result
    found["folder"] = directory / found["folder"]  # a later change of the working directory must not move it
    settings = Settings(**found, mappings=mappings_in(file, problems), captures=captures_in(file, problems))
    problems.raise_all()
    _check_together(settings, problems)
    problems.raise_all()
    return settings


def _check_together(settings: Settings, problems: Problems) -> None:
    """What is wrong only in combination, where each setting is right by itself."""
    if settings.flush_rows > settings.max_pending_rows:
        problems.add(
            f"flush_rows ({settings.flush_rows}) is more than max_pending_rows ({settings.max_pending_rows}): writers "
            "would wait before a flush is due. Lower flush_rows or raise max_pending_rows."
        )
    if settings.poll_s >= settings.lease_ttl_s:
        problems.add(
            f"poll ({settings.poll_s:g} s) is not below lease_ttl ({settings.lease_ttl_s:g} s): a worker would lose "
            "its lease between two looks. Lower poll or raise lease_ttl."
        )
