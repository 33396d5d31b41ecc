"""What one write, or many merged, does to a record or to a score: the text that travels, and how two become one.

The cache's functions merge by the same rules (``lua/merge_records.lua``, ``lua/merge_scores.lua``); here they
serve groups that gather in the client, and what is written again after a rollback. Pure.

A record's change is one letter and JSON: ``u{"name":"Ada"}`` sets columns and inserts the row if it is missing,
``d`` deletes it, ``n{...}`` deletes it and inserts it anew. Column values are texts, null is NULL. Where a version
column decides, the columns come with their versions, and deletions with theirs: ``u[{"name":"Ada"},{"name":"17"}]``,
``d17``, ``n[{...},{...},"17"]``.

A score's change is ``4200`` (it meets the row's score by the board's rule), ``=4200`` (it replaces it, since the
member was removed before) or ``x`` (the member is removed).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import ClassVar, Literal, Protocol, TypeVar

from writebehind.columns import Text
from writebehind.scores import HIGHEST_EXACT, Scores

RecordOperation = Literal["upsert", "renew", "delete"]
ScoreOperation = Literal["merge", "set", "delete"]

C = TypeVar("C")

_RECORD_LETTERS: dict[str, RecordOperation] = {"u": "upsert", "n": "renew", "d": "delete"}
_LETTERS_OF_RECORDS = {operation: letter for letter, operation in _RECORD_LETTERS.items()}


@dataclass(frozen=True, slots=True)
class RecordChange:
    """One record's change. ``columns`` of a deletion is empty.

    ``versions``: the version under which each column was written, None where no version column decides;
    ``deleted_at``: the version of the deletion that the change contains, None without one.
    """

    operation: RecordOperation
    columns: Mapping[str, Text] = field(default_factory=dict)
    versions: Mapping[str, str] | None = None
    deleted_at: str | None = None

    def encode(self) -> str:
        """The text that travels."""
        letter = _LETTERS_OF_RECORDS[self.operation]
        if self.operation == "delete":
            return letter + (self.deleted_at or "")
        if self.versions is None:
            return letter + _compact(self.columns)
        parts: list[object] = [self.columns, self.versions]
        if self.deleted_at is not None:
            parts.append(self.deleted_at)
        return letter + _compact(parts)

    @classmethod
    def decode(cls, text: str | bytes) -> RecordChange:
        """Read what ``encode`` wrote, or the cache's functions.

        :raises ValueError: it is no change.
        """
        if isinstance(text, bytes):
            text = text.decode()
        operation = _RECORD_LETTERS.get(text[:1])
        if operation is None:
            raise ValueError(f"{text[:40]!r} is no change of a record")
        if operation == "delete":
            return cls(operation, deleted_at=text[1:] or None)
        content = json.loads(text[1:])
        if isinstance(content, dict):
            return cls(operation, content)
        return cls(operation, content[0], content[1], content[2] if len(content) > 2 else None)

    def then(self, later: RecordChange) -> RecordChange:
        """This change followed by a later one, as one. Where versions decide, the caller has compared them."""
        if later.operation != "upsert":
            return later
        if self.operation == "delete":
            return RecordChange("renew", later.columns, later.versions, self.deleted_at)
        versions = None if later.versions is None else {**(self.versions or {}), **later.versions}
        return RecordChange(self.operation, {**self.columns, **later.columns}, versions, self.deleted_at)

    def before(self, since: RecordChange) -> RecordChange | None:
        """What of this change is still to be written, when ``since`` was written after it and reached the cache first.

        None where nothing is. A lost deletion that was written over takes what was written over it along.
        """
        if since.operation != "upsert":
            return None
        if self.operation != "upsert":
            return self.then(since)
        columns = {name: text for name, text in self.columns.items() if name not in since.columns}
        if not columns:
            return None
        versions = None if self.versions is None else {name: self.versions[name] for name in columns}
        return RecordChange("upsert", columns, versions)


def _compact(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


@dataclass(frozen=True, slots=True)
class ScoreChange:
    """One member's change. ``units`` is the score as the cache holds it, 0 for a removal."""

    operation: ScoreOperation
    units: int | float = 0

    def then(self, later: ScoreChange, keep: str) -> ScoreChange:
        """This change followed by a later one, as one, by the board's rule ``keep``."""
        if later.operation != "merge":
            return later
        if self.operation == "delete":
            return ScoreChange("set", later.units)
        return ScoreChange(self.operation, kept(self.units, later.units, keep))

    def before(self, since: ScoreChange, keep: str) -> ScoreChange | None:
        """What of this change is still to be written, when ``since`` was written after it and is in the cache."""
        if since.operation != "merge" or (keep == "last" and self.operation == "merge"):
            return None
        return self if self.operation == "merge" else self.then(since, keep)


class Rules(Protocol[C]):
    """How changes of one field follow each other. ``C`` is the kind's change."""

    @property
    def merges_in_groups(self) -> bool:
        """Whether changes of one field may become one before the cache sees them."""
        ...

    def then(self, before: C, now: C) -> C:
        """Two changes as one."""
        ...

    def before(self, change: C, since: C) -> C | None:
        """What is still to be written of a change, when ``since`` was written after it and reached the cache first."""
        ...

    def is_exact(self, change: C) -> bool:
        """Whether the cache can take it: a sum may have grown beyond what a score holds exactly."""
        ...

    def encode(self, change: C) -> str:
        """The text that travels."""
        ...


@dataclass(frozen=True, slots=True)
class ScoreRules:
    """A board's rule."""

    keep: str
    scores: Scores
    merges_in_groups: ClassVar[bool] = True

    def then(self, before: ScoreChange, now: ScoreChange) -> ScoreChange:
        return before.then(now, self.keep)

    def before(self, change: ScoreChange, since: ScoreChange) -> ScoreChange | None:
        return change.before(since, self.keep)

    def is_exact(self, change: ScoreChange) -> bool:
        return self.keep != "sum" or abs(change.units) <= HIGHEST_EXACT

    def encode(self, change: ScoreChange) -> str:
        if change.operation == "delete":
            return "x"
        return ("=" if change.operation == "set" else "") + self.scores.to_text(change.units)

    def decode(self, text: bytes) -> ScoreChange:
        """Read what ``encode`` wrote, or the cache's functions.

        :raises ValueError: it is no change.
        """
        if text == b"x":
            return ScoreChange("delete")
        units = self.scores.from_text(text.removeprefix(b"="))
        if abs(units) > HIGHEST_EXACT and not self.scores.is_float:
            raise ValueError(f"the score {units} is beyond what a sorted set holds exactly")
        return ScoreChange("set" if text[:1] == b"=" else "merge", units)


@dataclass(frozen=True, slots=True)
class RecordRules:
    """The order of acceptance, or a version column: ``version_kind`` is ``""``, ``"integer"`` or ``"text"``."""

    version_kind: Literal["", "integer", "text"] = ""

    @property
    def merges_in_groups(self) -> bool:
        return not self.version_kind

    def then(self, before: RecordChange, now: RecordChange) -> RecordChange:
        if self.version_kind and self.is_older(self.version_of(now), self.version_of(before)):
            return before
        return before.then(now)

    def before(self, change: RecordChange, since: RecordChange) -> RecordChange | None:
        if not self.version_kind:
            return change.before(since)
        if self.is_older(self.version_of(since), self.version_of(change)):
            return change
        left = change.before(since)
        if left is None:
            return None
        # The row, or what is pending, has the later version already, and would take nothing that is older.
        version = self.version_of(since)
        deleted_at = None if left.deleted_at is None else version
        return replace(left, versions=dict.fromkeys(left.columns, version), deleted_at=deleted_at)

    def is_exact(self, change: RecordChange) -> bool:  # noqa: ARG002  # sums alone are not
        return True

    def encode(self, change: RecordChange) -> str:
        return change.encode()

    def version_of(self, change: RecordChange) -> str:
        """The version of a single write, the largest one of a merged change."""
        versions = [*(change.versions or {}).values(), *([change.deleted_at] if change.deleted_at else [])]
        return max(versions, key=int) if self.version_kind == "integer" else max(versions)

    def is_older(self, version: str, other: str) -> bool:
        """Whether a version is smaller: integers by their value, moments by their text of a fixed width."""
        return int(version) < int(other) if self.version_kind == "integer" else version < other

    def since_row(self, change: RecordChange, row_version: Text) -> RecordChange | None:
        """What of a change a row with this version has not outdated; None for nothing. NULL is older than any."""
        if row_version is None or not self.version_kind:
            return change
        if change.operation == "delete":
            return None if self.is_older(change.deleted_at or "", row_version) else change
        if change.operation == "renew" and not self.is_older(change.deleted_at or "", row_version):
            return change
        versions = change.versions or {}
        columns = {n: t for n, t in change.columns.items() if not self.is_older(versions[n], row_version)}
        return RecordChange("upsert", columns, {n: versions[n] for n in columns}) if columns else None


def kept(before: int | float, now: int | float, keep: str) -> int | float:
    """Two scores by a board's rule."""
    match keep:
        case "max":
            return max(before, now)
        case "min":
            return min(before, now)
        case "sum":
            return before + now
        case _:
            return now
