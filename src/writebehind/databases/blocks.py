"""Named blocks of SQL, kept in ``.sql`` files next to the code that runs them.

A block begins with ``-- name: lock_partitions`` and ends at the next name. Whole-line comments say why
the SQL is as it is; they are not sent, since a driver would look for placeholders in them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from importlib import resources
from types import MappingProxyType

_NAME_LINE = re.compile(r"--\s*name:\s*(\w+)\s*")


@lru_cache
def load_blocks(package: str, file_name: str) -> Mapping[str, str]:
    """The blocks of a file in a package's folder, by name; each file is read once.

    :raises ValueError: where the file has SQL before the first name, a name twice, or an empty block.
    """
    return MappingProxyType(parse_blocks(resources.files(package).joinpath(file_name).read_text("utf-8"), file_name))


def parse_blocks(text: str, file_name: str) -> dict[str, str]:
    """Split the text of a ``.sql`` file into its blocks, without the comments."""
    lines_of: dict[str, list[str]] = {}
    current: list[str] | None = None
    for number, line in enumerate(text.splitlines(), 1):
        if name := _NAME_LINE.fullmatch(line):
            if name[1] in lines_of:
                raise ValueError(f"{file_name}:{number}: the block {name[1]!r} is there twice")
            current = lines_of[name[1]] = []
        elif line.strip() and not line.lstrip().startswith("--"):
            if current is None:
                raise ValueError(f"{file_name}:{number}: SQL before the first '-- name:' line")
            current.append(line.rstrip())
    if empty := [name for name, lines in lines_of.items() if not lines]:
        raise ValueError(f"{file_name}: the block {empty[0]!r} is empty")
    return {name: "\n".join(lines) for name, lines in lines_of.items()}
