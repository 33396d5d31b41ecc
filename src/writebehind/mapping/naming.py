"""Names: of targets, of key columns, of the hash tags under which a partition's keys live."""

from __future__ import annotations

import re
from urllib.parse import quote

from writebehind.errors import ConfigurationError

MAX_NAME_LENGTH = 200
MAX_PARTITIONS = 1024
_NAME = re.compile(r"[^\x00-\x1f\x7f]+")


def check_name(target: str, where: str, fix: str) -> None:
    """:raises ConfigurationError: where this cannot be the name of a mapping."""
    if not (target and len(target) <= MAX_NAME_LENGTH and _NAME.fullmatch(target)):
        raise ConfigurationError(f"{where}: {target!r} cannot be the name of a mapping", fix=fix)


def split_target(target: str, where: str) -> tuple[str, str]:
    """Table and column of ``"table.column"`` (or ``"schema.table.column"``).

    :raises ConfigurationError: it is not that.
    """
    table, dot, column = target.rpartition(".")
    if not (dot and table and column and len(target) <= MAX_NAME_LENGTH and _NAME.fullmatch(target)):
        raise ConfigurationError(
            f"{where}: the target is not TABLE.COLUMN",
            fix='Name the table and the column, for example "videos.likes".',
        )
    return table, column


def column_names(names: str | tuple[str, ...] | list[str] | None, where: str, argument: str = "key") -> tuple[str, ...]:
    """One column name or several different ones; none is an empty tuple.

    :raises ConfigurationError: naming the argument.
    """
    columns = (names,) if isinstance(names, str) else tuple(names or ())
    if any(not isinstance(name, str) or not name for name in columns) or len(set(columns)) != len(columns):
        raise ConfigurationError(
            f"{where}: {argument}={names!r} is not a column name or a list of different ones",
            fix=f'Write {argument}="id", or {argument}=["board", "player"] for several columns.',
        )
    return columns


def check_partitions(partitions: object, where: str) -> None:
    """:raises ConfigurationError: it is no number of partitions."""
    if not (isinstance(partitions, int) and 1 <= partitions <= MAX_PARTITIONS):
        raise ConfigurationError(f"{where}: partitions={partitions!r}", fix=f"Use a number from 1 to {MAX_PARTITIONS}.")


def check_ttl(cached_value_ttl_ms: object, where: str) -> None:
    """:raises ConfigurationError: it is no time to live."""
    if not (isinstance(cached_value_ttl_ms, int) and cached_value_ttl_ms >= 1):
        raise ConfigurationError(
            f"{where}: cached_value_ttl_ms={cached_value_ttl_ms!r}", fix="Use a positive number of milliseconds."
        )


def partition_tag(namespace: str, mapping: str, partition: int) -> str:
    """The text inside the hash tag of a partition's keys; braces and spaces are escaped."""
    return f"{quote(namespace, safe='')}:{quote(mapping, safe='.')}:{partition}"
