"""The option ``--counter TABLE.COLUMN=FIELD[+FIELD...][:AMOUNT_FIELD]``: what a record counts."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from writebehind.errors import ConfigurationError
from writebehind.values import INT64_MAX, INT64_MIN

_INTEGER = re.compile(r"[+-]?[0-9]{1,19}")
_SYNTAX = "TABLE.COLUMN=FIELD, =FIELD+FIELD for a composite key, =FIELD:AMOUNT_FIELD to add a field's number"


class Counted(NamedTuple):
    """What one record adds to one counter. ``key`` is a tuple where the key is composite."""

    key: str | tuple[str, ...]
    amount: int


class Uncountable(NamedTuple):
    """Why a record cannot be counted."""

    reason: str


@dataclass(frozen=True, slots=True)
class CounterOption:
    """A counter and the fields that feed it.

    ``target`` is the counter (``pages.hits``), ``key_fields`` make its key, in the order of the key
    columns. ``amount_field`` is the field with the amount; None counts each record as 1.
    """

    target: str
    key_fields: tuple[str, ...]
    amount_field: str | None = None

    @classmethod
    def parse(cls, text: str) -> CounterOption:
        """From the option's text. A ``+``, ``:`` or backslash in a field's name is written ``\\+``.

        :raises ConfigurationError: showing the syntax.
        """
        target, equals, fields = text.partition("=")
        keys, *amounts = _split(fields, ":")
        key_fields = tuple(_unescape(name) for name in _split(keys, "+"))
        table, dot, column = target.rpartition(".")
        if not (equals and dot and table and column and all(key_fields)) or len(amounts) > 1 or "" in amounts:
            raise ConfigurationError(f"--counter {text!r} cannot be read", fix=f"Write {_SYNTAX}.")
        return cls(target, key_fields, _unescape(amounts[0]) if amounts else None)

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
        return tuple(name.replace(".", "_") for name in self.key_fields)

    def read(self, fields: Mapping[str, object]) -> Counted | Uncountable:
        """What a record adds, or why it adds nothing."""
        parts = []
        for name in self.key_fields:
            value = fields.get(name)
            if value is None:
                return Uncountable(f"no field {name!r}")
            if isinstance(value, bool):
                value = "true" if value else "false"
            if not isinstance(value, str):
                return Uncountable(f"the field {name!r} is {_kind(value)}, which cannot be a key")
            parts.append(value)
        amount = 1 if self.amount_field is None else _amount(self.amount_field, fields.get(self.amount_field))
        if isinstance(amount, Uncountable):
            return amount
        return Counted(parts[0] if len(parts) == 1 else tuple(parts), amount)


def _amount(name: str, value: object) -> int | Uncountable:
    if value is None:
        return Uncountable(f"no field {name!r}")
    if not isinstance(value, str) or not _INTEGER.fullmatch(value):
        return Uncountable(f"the field {name!r} is not an integer of 64 bits")
    amount = int(value)
    if not INT64_MIN <= amount <= INT64_MAX:
        return Uncountable(f"the field {name!r} is not an integer of 64 bits")
    return amount


def _kind(value: object) -> str:
    return "an array" if isinstance(value, list) else "an object"


def _split(text: str, separator: str) -> list[str]:
    """The parts between separators that no backslash escapes; the backslashes stay."""
    parts = [""]
    for piece in re.findall(r"\\.|.", text, re.DOTALL):
        if piece == separator:
            parts.append("")
        else:
            parts[-1] += piece
    return parts


def _unescape(name: str) -> str:
    return re.sub(r"\\(.)", r"\1", name, flags=re.DOTALL)
