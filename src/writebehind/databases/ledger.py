"""What the ledgers of all databases have in common."""

from __future__ import annotations

import json
from collections.abc import Mapping

from writebehind.errors import DatabaseRefused, LedgerMissing, MappingConflict

LEDGER_VERSION = 1
"""The version of the ledger's tables. Libraries refuse a ledger that is newer than they are."""

KEEP_BATCHES_DAYS = 7
"""How long applied and quarantined batches are remembered; fences and closed incarnations are for ever.

A batch has to be remembered only while a copy of it may still wait in some cache. The SQL says it, too.
"""

PRUNE_EVERY_COMMITS = 64
"""A partition's old batches are forgotten at every so many of its commits, to keep it cheap."""


def storable(text: str) -> str:
    """Text as every database can keep it: NUL and halves of surrogate pairs are written as escapes.

    For errors and keys in dead letters, where a text that the database refuses must not block the rest.
    """
    return text.replace("\x00", "\\x00").encode("utf-8", "backslashreplace").decode()


def canonical_json(value: Mapping[str, object]) -> str:
    """One text for one value, so that equal declarations are equal texts."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def check_version(version: int | None) -> None:
    """Refuse a ledger without its meta row, or made by a newer library.

    :raises LedgerMissing, DatabaseRefused: as said.
    """
    if version is None:
        raise ledger_missing("its table writebehind_meta is empty")
    if version > LEDGER_VERSION:
        raise DatabaseRefused(
            f"the ledger in this database has version {version}",
            why=f"this library knows version {LEDGER_VERSION}",
            fix="Upgrade writebehind here, as it was upgraded where the ledger was made.",
        )


def ledger_missing(why: str) -> LedgerMissing:
    """The error for a database in which the ledger was never made."""
    return LedgerMissing("the ledger's tables are not in this database", why=why, fix="Run: writebehind init")


def check_declaration(mapping: str, stored: str, declared: str) -> None:
    """Compare two declarations of a mapping, in their canonical form.

    :raises MappingConflict: naming what differs.
    """
    if stored == declared:
        return
    old, new = json.loads(stored), json.loads(declared)
    differences = ", ".join(
        f"{name} is {old.get(name)!r} in the ledger and {new.get(name)!r} here"
        for name in sorted(old.keys() | new.keys())
        if old.get(name) != new.get(name)
    )
    raise MappingConflict(
        f"the mapping {mapping!r} is declared differently in the ledger",
        why=differences,
        fix="Declare it alike in every process, or use another namespace.",
    )
