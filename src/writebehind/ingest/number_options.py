"""The options ``--counter`` and ``--leaderboard``: a record's number for a record's key."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, NamedTuple, get_args

from writebehind.ingest.syntax import (
    FieldKinds,
    Unusable,
    column_for,
    key_of,
    names,
    split,
    unescape,
    unreadable,
)
from writebehind.mapping import Keep, Kind, NewColumn
from writebehind.values import INT64_MAX, INT64_MIN

_INTEGER = re.compile(r"[+-]?[0-9]{1,19}")
_KEEPS: tuple[str, ...] = get_args(Keep)


class Counted(NamedTuple):
    """What one record adds to one counter. ``key`` is a tuple where the key is composite."""

    key: str | tuple[str, ...]
    amount: int


class Scored(NamedTuple):
    """What one record submits to a leaderboard: its score as a text. ``board`` is None where there is but one."""

    board: str | None
    member: str
    score: str


@dataclass(frozen=True, slots=True)
class CounterOption:
    """A counter and the fields that feed it.

    ``target`` is the counter (``pages.hits``), ``key_fields`` make its key, in the order of the key
    columns. ``amount_field`` is the field with the amount; None counts each record as 1.
    """

    target: str
    key_fields: tuple[str, ...]
    amount_field: str | None = None

    flag: ClassVar[str] = "--counter"
    kind: ClassVar[Kind] = "counter"
    syntax: ClassVar[str] = (
        "TABLE.COLUMN=FIELD, =FIELD+FIELD for a composite key, =FIELD:AMOUNT_FIELD to add a field's number"
    )

    @classmethod
    def parse(cls, text: str) -> CounterOption:
        """From the option's text. A ``+``, ``:`` or backslash in a field's name is written ``\\+``.

        :raises ConfigurationError: showing the syntax.
        """
        target, equals, fields = text.partition("=")
        keys, *amounts = split(fields, ":")
        key_fields = names(keys)
        if not (equals and _is_target(target) and all(key_fields)) or len(amounts) > 1 or "" in amounts:
            raise unreadable(cls.flag, text, cls.syntax)
        return cls(target, key_fields, unescape(amounts[0]) if amounts else None)

    @property
    def name(self) -> str:
        return self.target

    @property
    def table(self) -> str:
        return self.target.rpartition(".")[0]

    @property
    def column(self) -> str:
        return self.target.rpartition(".")[2]

    @property
    def fields(self) -> tuple[str, ...]:
        """Every field that this counter reads."""
        return self.key_fields if self.amount_field is None else (*self.key_fields, self.amount_field)

    @property
    def key_columns(self) -> tuple[str, ...]:
        """What a table made for this counter calls its key columns: the fields, with _ for each dot."""
        return tuple(map(column_for, self.key_fields))

    def new_columns(self, kinds: FieldKinds) -> tuple[NewColumn, ...]:  # noqa: ARG002  # other options need it
        """The columns beside the key of a table that is made for it."""
        return (NewColumn(self.column, "integer", is_required=True, default=0),)

    def read(self, fields: Mapping[str, object]) -> Counted | Unusable:
        """What a record adds, or why it adds nothing."""
        key = key_of(fields, self.key_fields)
        if isinstance(key, Unusable):
            return key
        amount = 1 if self.amount_field is None else _amount(self.amount_field, fields.get(self.amount_field))
        if isinstance(amount, Unusable):
            return amount
        return Counted(key[0] if len(key) == 1 else key, amount)


@dataclass(frozen=True, slots=True)
class LeaderboardOption:
    """A leaderboard and the fields that feed it; ``board_field`` is None where the table is one board."""

    target: str
    member_field: str
    score_field: str
    board_field: str | None = None
    keep: Keep = "max"

    flag: ClassVar[str] = "--leaderboard"
    kind: ClassVar[Kind] = "leaderboard"
    syntax: ClassVar[str] = (
        "TABLE.COLUMN=MEMBER_FIELD:SCORE_FIELD, =BOARD_FIELD+MEMBER_FIELD:SCORE_FIELD for several boards, "
        f"and at the end ,keep= with one of {', '.join(_KEEPS)}, if it is not max"
    )

    @classmethod
    def parse(cls, text: str) -> LeaderboardOption:
        """From the option's text.

        :raises ConfigurationError: showing the syntax.
        """
        target, _, rest = text.partition("=")
        fields, *settings = split(rest, ",")
        keys, *scores = split(fields, ":")
        key_fields = names(keys)
        keep = settings[0].removeprefix("keep=") if settings else "max"
        if (
            not (_is_target(target) and all(key_fields) and len(key_fields) <= 2 and len(scores) == 1 and scores[0])
            or len(settings) > 1
            or (settings and not settings[0].startswith("keep="))
            or keep not in _KEEPS
        ):
            raise unreadable(cls.flag, text, cls.syntax)
        board = key_fields[0] if len(key_fields) == 2 else None
        return cls(target, key_fields[-1], unescape(scores[0]), board, keep)  # type: ignore[arg-type]

    @property
    def name(self) -> str:
        return self.target

    @property
    def table(self) -> str:
        return self.target.rpartition(".")[0]

    @property
    def column(self) -> str:
        return self.target.rpartition(".")[2]

    @property
    def key_fields(self) -> tuple[str, ...]:
        return (self.member_field,) if self.board_field is None else (self.board_field, self.member_field)

    @property
    def fields(self) -> tuple[str, ...]:
        """Every field that this leaderboard reads."""
        return (*self.key_fields, self.score_field)

    @property
    def key_columns(self) -> tuple[str, ...]:
        """The columns of board, if there is one, and member, where ``--key`` does not name them."""
        return tuple(map(column_for, self.key_fields))

    def new_columns(self, kinds: FieldKinds) -> tuple[NewColumn, ...]:  # noqa: ARG002  # other options need it
        """The columns beside the key of a table that is made for it; a NULL score is none."""
        return (NewColumn(self.column, "integer"),)

    def read(self, fields: Mapping[str, object]) -> Scored | Unusable:
        """What a record submits, or why it submits nothing."""
        key = key_of(fields, self.key_fields)
        if isinstance(key, Unusable):
            return key
        score = fields.get(self.score_field)
        if score is None:
            return Unusable(f"no field {self.score_field!r}")
        if not isinstance(score, str):
            return Unusable(f"the field {self.score_field!r} is not a number")
        return Scored(key[0] if len(key) == 2 else None, key[-1], score)


def _is_target(target: str) -> bool:
    table, _, column = target.rpartition(".")
    return bool(table and column)


def _amount(name: str, value: object) -> int | Unusable:
    if value is None:
        return Unusable(f"no field {name!r}")
    if not isinstance(value, str) or not _INTEGER.fullmatch(value):
        return Unusable(f"the field {name!r} is not an integer of 64 bits")
    amount = int(value)
    if not INT64_MIN <= amount <= INT64_MAX:
        return Unusable(f"the field {name!r} is not an integer of 64 bits")
    return amount
