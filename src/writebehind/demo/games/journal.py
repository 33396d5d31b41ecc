"""What the player process writes, and what it was told: a file of JSON lines, kept by the callers themselves.

Each write is a line before it is sent, and each answer another. The file outlives a process that is killed, so that
what it was acknowledged can be audited all the same: the operating system has every line at once.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

Key: TypeAlias = tuple[str | int, ...]
Change: TypeAlias = list[Any]
"""What is written to a key: ``[points]``, ``[operation, columns]`` or a click's row."""
Outcome: TypeAlias = Literal["acknowledged", "refused", "unanswered"]


@dataclass(frozen=True, slots=True)
class Write:
    """One call. Unanswered is what was sent by a process that ended, or was told so, without an answer: the database
    may rightly have it or not. What was refused is certainly not there.
    """

    mapping: str
    changes: tuple[tuple[Key, Change], ...]
    outcome: Outcome


class Journal:
    """The writing side."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("ab", buffering=0)
        self._writes = 0

    def begin(self, mapping: str, changes: Sequence[tuple[Key, Change]]) -> int:
        """Note a call before it is made; its number."""
        self._writes += 1
        self._note([self._writes, mapping, changes])
        return self._writes

    def end(self, write: int, outcome: Outcome) -> None:
        """Note a call's outcome."""
        self._note([write, outcome])

    def _note(self, facts: list[object]) -> None:
        self._file.write(json.dumps(facts, separators=(",", ":")).encode() + b"\n")

    def close(self) -> None:
        self._file.close()


def read_journal(path: Path) -> list[Write]:
    """All calls, in the order in which they were made.

    A line that is not whole is the last of a process that was killed while it wrote it: of a call that was not made
    any more, or of an answer that nobody saw.
    """
    begun: dict[int, tuple[str, list[tuple[Key, Change]]]] = {}
    outcomes: dict[int, Outcome] = {}
    text = path.read_text() if path.exists() else ""
    for line in text[: text.rfind("\n") + 1].splitlines():
        number, *facts = json.loads(line)
        if len(facts) == 1:
            outcomes[number] = facts[0]
        else:
            begun[number] = (facts[0], [(tuple(key), change) for key, change in facts[1]])
    return [
        Write(mapping, tuple(changes), outcomes.get(number, "unanswered"))
        for number, (mapping, changes) in begun.items()
    ]
