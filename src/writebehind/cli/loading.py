"""MODULE:NAME: the application's own ``WriteBehind`` object, with the counters that it declared."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from writebehind.cli.connection import connect
from writebehind.errors import ConfigurationError

if TYPE_CHECKING:
    from writebehind import WriteBehind


def application_or_connection(
    name: str | None, cache: str | None, database: str | None, config: Path | None
) -> WriteBehind:
    """The object named MODULE:NAME; without a name, one made from the options and the TOML file.

    :raises ConfigurationError: there is no such object, or both were given.
    """
    if name is None:
        return connect(cache, database, config)
    if cache or database or config:
        raise ConfigurationError(
            f"{name} was given together with --cache, --database or --config",
            why="the object has its own settings",
            fix="Give one of the two.",
        )
    return load_application(name)


def load_application(name: str) -> WriteBehind:
    """Import MODULE from the working directory or the path, and return its NAME.

    What the module itself raises goes on to the caller: it is the application's error, with its traceback.
    :raises ConfigurationError: naming what is wrong.
    """
    from writebehind import AsyncWriteBehind, WriteBehind

    module_name, colon, attributes = name.partition(":")
    if not (module_name and colon and attributes):
        raise ConfigurationError(f"{name!r} is not MODULE:NAME", fix="Write it like shop.counters:wb.")
    if "" not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    try:
        found: object = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module_name}.".startswith(f"{error.name}."):
            raise  # the module is there; something that it imports is not
        raise ConfigurationError(
            f"there is no module {module_name!r}",
            why=f"looked in {Path.cwd()} and on the path",
            fix="Correct the name.",
        ) from error
    for attribute in attributes.split("."):
        if not hasattr(found, attribute):
            raise ConfigurationError(f"{module_name!r} has no {attributes!r}", fix="Name its WriteBehind object.")
        found = getattr(found, attribute)
    if isinstance(found, WriteBehind):
        return found
    fix = "Give it a WriteBehind with the same settings and counters." if isinstance(found, AsyncWriteBehind) else ""
    raise ConfigurationError(
        f"{name} is not a WriteBehind", why=f"it is of type {type(found).__name__}", fix=fix or "Name another object."
    )
