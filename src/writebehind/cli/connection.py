"""The options that say where cache and database are, and the object that they make."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from writebehind.errors import ConfigurationError

if TYPE_CHECKING:
    from writebehind import WriteBehind

C = TypeVar("C", bound=Callable[..., Any])


def connection_options(command: C) -> C:
    """Add ``--cache``, ``--database`` and ``--config`` to a command."""
    for option in (
        click.option(
            "--config",
            type=click.Path(path_type=Path),
            help="A TOML file with settings. Without it, writebehind.toml here is read if it exists.",
        ),
        click.option(
            "--database",
            metavar="URL",
            help="postgresql://... or sqlite:///file. Without it, a SQLite file in ./.writebehind/.",
        ),
        click.option(
            "--cache",
            metavar="URL",
            help="redis://... or valkey://... Without it, an embedded Valkey in ./.writebehind/.",
        ),
    ):
        command = option(command)
    return command


def connect(cache: str | None, database: str | None, config: Path | None, **settings: Any) -> WriteBehind:
    """The object for these options. What they leave out comes from the environment and the TOML file.

    :raises ConfigurationError: naming the setting, its source and the fix.
    """
    from writebehind import WriteBehind

    if config is not None and not config.is_file():
        raise ConfigurationError(f"--config {config}: there is no such file", fix="Give the path of a TOML file.")
    return WriteBehind(cache=cache, database=database, config=config, **settings)
