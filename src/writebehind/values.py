"""Keys and amounts: from Python values to the bytes and integers that the cache holds, and back.

Keys are made canonical before they are partitioned, so that one row has one key. Amounts are signed
64-bit integers; decimals are scaled by their column (NUMERIC(12, 2): 1.25 becomes 125).
"""

from __future__ import annotations

import json
import re
import uuid
import zlib
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal, TypeAlias

from writebehind.errors import KeyRefused, ValueRefused

INT64_MIN = -(2**63)
INT64_MAX = 2**63 - 1
MAX_KEY_SIZE_BYTES = 1024
"""The longest key, in bytes of its canonical form."""

KeyKind: TypeAlias = Literal["integer", "text", "uuid"]
KeyPart: TypeAlias = int | str | uuid.UUID
Key: TypeAlias = KeyPart | tuple[KeyPart, ...]
"""What an application passes as a key: one value, or a tuple for a composite key."""
Row: TypeAlias = tuple[KeyPart, ...]
"""A key as the database sees it: always a tuple, in the order of the key columns."""


_INTEGER = re.compile(r"-?[0-9]{1,40}", re.ASCII)


@dataclass(frozen=True, slots=True)
class KeyColumn:
    """One key column: its name, what it holds, and the database's own word for its type."""

    name: str
    kind: KeyKind
    type_name: str
    needs_grouping: bool = False


@dataclass(frozen=True, slots=True)
class KeyCodec:
    """Turns keys into the fields of a batch and back. ``mapping`` is named in errors."""

    columns: tuple[KeyColumn, ...]
    mapping: str

    def encode(self, key: Key) -> bytes:
        """The canonical field of a key: ``b"123"``, ``b"ada"``, ``b'["tetris","ada"]'``.

        :raises KeyRefused: where the key does not fit the key columns.
        """
        columns = self.columns
        if len(columns) == 1:
            if type(key) is int and columns[0].kind == "integer" and INT64_MIN <= key <= INT64_MAX:
                return b"%d" % key
            part = key[0] if isinstance(key, tuple) and len(key) == 1 else key
            field = _canonical(part, columns[0], self.mapping).encode()
        else:
            if not isinstance(key, tuple | list) or len(key) != len(columns):
                names = ", ".join(column.name for column in columns)
                raise KeyRefused(f"the key {key!r} of {self.mapping!r} is not a tuple of ({names})")
            parts = [_canonical(part, column, self.mapping) for part, column in zip(key, columns, strict=True)]
            field = json.dumps(parts, ensure_ascii=False, separators=(",", ":")).encode()
        if len(field) > MAX_KEY_SIZE_BYTES:
            raise KeyRefused(
                f"a key of {self.mapping!r} is {len(field)} bytes long",
                why=f"a key has at most {MAX_KEY_SIZE_BYTES} bytes",
                fix="Use a shorter key, or a digest of the long one.",
            )
        return field

    def encode_part(self, part: KeyPart, column: KeyColumn) -> bytes:
        """The canonical text of one key column's value.

        :raises KeyRefused: where it does not fit the column.
        """
        return _canonical(part, column, self.mapping).encode()

    def decode(self, field: bytes) -> Row:
        """The key columns' values of a field that ``encode`` made, or another program alike.

        :raises KeyRefused: where it is not the canonical field of a key: two fields would be one row.
        """
        try:
            text = field.decode()
            parts = [text] if len(self.columns) == 1 else json.loads(text)
            row = tuple(key_part(part, column) for part, column in zip(parts, self.columns, strict=True))
            if self.encode(row) != field:
                raise ValueError("it is not in its canonical form")  # noqa: TRY301
        except (ValueError, TypeError, AttributeError, RecursionError) as error:
            raise KeyRefused(f"the field {field!r} of {self.mapping!r} is not a key", why=str(error)) from error
        return row


def _canonical(part: object, column: KeyColumn, mapping: str) -> str:
    if column.kind == "integer":
        if isinstance(part, str) and _INTEGER.fullmatch(part):
            part = int(part)
        if isinstance(part, int) and not isinstance(part, bool) and INT64_MIN <= part <= INT64_MAX:
            return str(int(part))
    elif column.kind == "uuid":
        if isinstance(part, uuid.UUID):
            return str(part)
        if isinstance(part, str):
            try:
                return str(uuid.UUID(part))
            except ValueError:
                pass  # falls through to the refusal below, which names the key and the column
    elif isinstance(part, str):
        if "\x00" in part or (not part.isascii() and any("\ud800" <= character <= "\udfff" for character in part)):
            raise KeyRefused(
                f"the key {part!r} of {mapping!r} cannot be stored in the column {column.name!r}",
                why="it has a NUL character or half of a surrogate pair",
            )
        return part
    raise KeyRefused(
        f"the key {part!r} of {mapping!r} does not fit the column {column.name!r} of type {column.type_name}",
        why=f"it is of type {type(part).__name__}",
        fix={"integer": "Pass an int of 64 bits.", "uuid": "Pass a uuid.UUID or its text.", "text": "Pass a str."}[
            column.kind
        ],
    )


def key_part(part: str, column: KeyColumn) -> KeyPart:
    """The value of a key column's canonical text."""
    if column.kind == "integer":
        return int(part)
    return uuid.UUID(part) if column.kind == "uuid" else part


@dataclass(frozen=True, slots=True)
class Amounts:
    """Turns what an application counts into 64-bit units, exactly.

    ``scale`` is the number of decimal places of a NUMERIC column, None for integers. ``lowest`` and
    ``highest`` are what the column can hold, in units.
    """

    scale: int | None = None
    lowest: int = INT64_MIN
    highest: int = INT64_MAX

    def to_units(self, value: int | Decimal, mapping: str, *, negated: bool = False) -> int:
        """The amount in units; ``negated`` with the other sign, exactly, as ``-value`` of a Decimal is not.

        :raises ValueRefused: for a float, for more decimal places than the column has, or beyond 64 bits.
        """
        if type(value) is int and self.scale is None:
            units = value
        elif isinstance(value, bool) or not isinstance(value, int | Decimal):
            wanted = "an int" if self.scale is None else "an int or a decimal.Decimal"
            raise ValueRefused(
                f"the amount {value!r} of {mapping!r} is of type {type(value).__name__}", fix=f"Pass {wanted}."
            )
        else:
            units = self._scaled(value, mapping)
        if negated:
            units = -units
        if not INT64_MIN <= units <= INT64_MAX:
            raise ValueRefused(f"the amount {value!r} of {mapping!r} is beyond 64 bits", fix="Write smaller amounts.")
        return units

    def _scaled(self, value: int | Decimal, mapping: str) -> int:
        if isinstance(value, Decimal) and not value.is_finite():
            raise ValueRefused(f"the amount {value!r} of {mapping!r} is not a finite number")
        sign, digits, exponent = Decimal(value).as_tuple()
        assert isinstance(exponent, int)
        shift = exponent + (self.scale or 0)
        number = int("".join(map(str, digits)))
        if shift < 0:
            number, rest = divmod(number, 10 ** min(-shift, 1000))
            if rest:
                raise ValueRefused(
                    f"the amount {value!r} of {mapping!r} has more than {self.scale or 0} decimal places",
                    why="it would have to be rounded",
                    fix="Round it yourself, or give the column a larger scale.",
                )
        elif number:
            number *= 10 ** min(shift, 40)  # 40 places are beyond 64 bits already: refused by the caller
        return -number if sign else number

    def from_units(self, units: int) -> int | Decimal:
        """What the application sees: an int, or a Decimal with the column's scale."""
        if self.scale is None:
            return units
        # Made of its digits, since arithmetic rounds to the precision of the caller's decimal context.
        return Decimal((int(units < 0), tuple(map(int, str(abs(units)))), -self.scale))


def partition_of(field: bytes, partitions: int) -> int:
    """Which partition a canonical field belongs to: CRC-32 modulo the number of partitions."""
    return zlib.crc32(field) % partitions if partitions > 1 else 0
