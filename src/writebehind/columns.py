"""Column values: from Python values to the text that the cache holds, and back, exactly.

A record's and an event's columns travel as text (None is NULL), so that a program in any language can read and
write them. The text is canonical: one value has one text.

============  =================================  ====================================================
kind          Python                             text
============  =================================  ====================================================
text          str                                itself
integer       int                                ``-42``
float         float, int                         ``repr``: ``1.5``, ``1e+16``, ``nan``, ``inf``
decimal       Decimal, int                       ``1.50``: no exponent, the column's decimal places
boolean       bool                               ``true``, ``false``
timestamp_tz  datetime with a time zone          ``2026-01-02T03:04:05.678901+00:00``, always in UTC
timestamp     datetime without one               ``2026-01-02T03:04:05.678901``
date          date                               ``2026-01-02``
time          time without a time zone           ``03:04:05.678901``
uuid          UUID, its text                     in lower case, with hyphens
json          dict, list, str, int, float, bool  compact JSON
bytes         bytes, bytearray, memoryview       ``\\x00ff``
============  =================================  ====================================================
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import date, datetime, time
from decimal import Decimal
from typing import Literal, TypeAlias, TypeVar

from writebehind import column_texts as texts
from writebehind.column_texts import Unfit
from writebehind.errors import ValueRefused

ColumnKind: TypeAlias = Literal[
    "text",
    "integer",
    "float",
    "decimal",
    "boolean",
    "timestamp_tz",
    "timestamp",
    "date",
    "time",
    "uuid",
    "json",
    "bytes",
]
Text: TypeAlias = str | None
"""A column's value as it travels; None is NULL."""

MAX_TEXT_SIZE_BYTES = 16 * 2**20
"""The longest text of one value, in UTF-8."""
_SHOWN_CHARACTERS = 80
_SINGLE_BITS = 32
_Clocked = TypeVar("_Clocked", bound=datetime | time)

_WANTED: dict[ColumnKind, str] = {
    "text": "a str",
    "integer": "an int",
    "float": "a float or an int",
    "decimal": "a decimal.Decimal or an int",
    "boolean": "True or False",
    "timestamp_tz": "a datetime.datetime with a time zone",
    "timestamp": "a datetime.datetime without a time zone",
    "date": "a datetime.date",
    "time": "a datetime.time",
    "uuid": "a uuid.UUID, or its text",
    "json": "dictionaries, lists, texts, numbers, booleans",
    "bytes": "bytes",
}


@dataclass(frozen=True, slots=True)
class ColumnType:
    """What a column can hold. ``type_name`` is the database's own word, for messages.

    ``bits``: of an integer or a float. ``precision``: the digits of a decimal, or the decimal places of a
    timestamp's or a time's seconds; None is no limit. ``max_length``: of a text, in characters.
    """

    kind: ColumnKind
    type_name: str
    bits: int | None = None
    precision: int | None = None
    scale: int | None = None
    max_length: int | None = None
    is_required: bool = False
    """NULL is refused."""
    allows_nan: bool = False
    """Whether a float column keeps NaN."""
    is_padded: bool = False
    """Spaces at the end of a text do not count, and are left out (``char(n)``)."""
    sql_type: str = ""
    """What the database's SQL calls the type, without length or scale, where texts are cast to it."""

    def encode(self, value: object, where: str) -> Text:
        """The canonical text of a Python value. ``where`` is for the message: ``the column 'plan' of 'profiles'``.

        :raises ValueRefused: the column cannot hold the value exactly.
        """
        if value is None:
            if self.is_required:
                raise ValueRefused(f"{where} cannot hold None", why="it is NOT NULL", fix="Pass a value.")
            return None
        try:
            return _checked(self._text(value))
        except ValueError as error:
            raise self._refusal(where, value, error) from error

    def decode(self, text: Text) -> object:
        """The Python value of a canonical text.

        :raises ValueRefused: no Python value has this text: the database holds ``infinity``, or a year BC.
        """
        if text is None:
            return None
        try:
            return self._value(text)
        except (ValueError, ArithmeticError, RecursionError) as error:
            raise ValueRefused(
                f"{_shown(text)} of type {self.type_name} is no value of Python's",
                why=str(error),
                fix="Change it in the database, or leave the column out of the mapping.",
            ) from error

    def canonical(self, text: str) -> str:
        """The canonical text for what another program wrote, in any usual form. It is never NULL.

        :raises ValueRefused: the column cannot hold what it says.
        """
        try:
            return _checked(self._parsed(text))
        except ValueError as error:
            raise self._refusal("a column", text, error) from error

    def _refusal(self, where: str, value: object, error: ValueError) -> ValueRefused:
        return ValueRefused(
            f"{where} of type {self.type_name} cannot hold {_shown(value)}",
            why=str(error),
            fix=error.fix if isinstance(error, Unfit) else "",
        )

    def _text(self, value: object) -> str:
        match self.kind:
            case "text" if isinstance(value, str):
                return self._fitting_text(str.__str__(value))
            case "integer" if isinstance(value, int) and not isinstance(value, bool):
                return self._integer_text(int(value))
            case "float" if isinstance(value, int | float) and not isinstance(value, bool):
                return self._float_text(value)
            case "decimal" if isinstance(value, int | Decimal) and not isinstance(value, bool):
                return texts.decimal_text(value, self.precision, self.scale)
            case "boolean" if isinstance(value, bool):
                return "true" if value else "false"
            case "timestamp_tz" if isinstance(value, datetime):
                return texts.moment_text(self._in_precision(texts.utc(value)))
            case "timestamp" if isinstance(value, datetime):
                return self._naive_text(value)
            case "date" if isinstance(value, date) and not isinstance(value, datetime):
                return value.isoformat()
            case "time" if isinstance(value, time):
                return self._naive_text(value)
            case "uuid" if isinstance(value, uuid.UUID):
                return str(value)
            case "uuid" if isinstance(value, str):
                return _uuid_text(value)
            case "json":
                return texts.json_text(value)
            case "bytes" if isinstance(value, bytes | bytearray | memoryview):
                return "\\x" + value.hex()
        raise texts.wrong_type(value, _WANTED[self.kind])

    def _parsed(self, text: str) -> str:
        match self.kind:
            case "text":
                return self._fitting_text(text)
            case "integer":
                return self._integer_text(texts.parse_integer(text))
            case "float":
                # As with a double: the text stands for the number nearest to it.
                number = texts.parse_float(text)
                return self._float_text(texts.single(number) if self.bits == _SINGLE_BITS else number)
            case "decimal":
                return texts.decimal_text(texts.parse_decimal(text), self.precision, self.scale)
            case "boolean":
                return "true" if texts.parse_boolean(text) else "false"
            case "timestamp_tz":
                return texts.moment_text(self._in_precision(texts.utc(texts.parse_moment(text, with_zone=True))))
            case "timestamp":
                return texts.moment_text(self._in_precision(texts.parse_moment(text, with_zone=False)))
            case "date":
                return texts.parse_date(text).isoformat()
            case "time":
                return self._naive_text(texts.parse_time(text))
            case "uuid":
                return _uuid_text(text.strip())
            case "json":
                return texts.canonical_json_text(text)
            case "bytes":
                return "\\x" + texts.parse_bytes(text).hex()

    def _value(self, text: str) -> object:
        match self.kind:
            case "text":
                return text
            case "integer":
                return int(text)
            case "float":
                return float(text)
            case "decimal":
                return Decimal(text)
            case "boolean":
                return texts.parse_boolean(text)
            case "timestamp_tz" | "timestamp":
                return datetime.fromisoformat(text)
            case "date":
                return date.fromisoformat(text)
            case "time":
                return time.fromisoformat(text)
            case "uuid":
                return uuid.UUID(text)
            case "json":
                return texts.json_value(text)
            case "bytes":
                return texts.parse_bytes(text)

    def _fitting_text(self, text: str) -> str:
        texts.check_characters(text)
        if self.is_padded:
            text = text.rstrip(" ")
        if self.max_length is not None and len(text) > self.max_length:
            raise Unfit(f"it has {len(text)} characters, the column holds {self.max_length}", "Shorten it.")
        return text

    def _integer_text(self, value: int) -> str:
        half = 2 ** ((self.bits or 64) - 1)
        if not -half <= value < half:
            raise Unfit(f"it is beyond {self.bits or 64} bits")
        return str(value)

    def _float_text(self, value: float) -> str:
        try:
            number = float(value)
        except OverflowError as error:
            raise Unfit("it is beyond double precision") from error
        if number != number:
            if not self.allows_nan:
                raise Unfit("the database keeps no NaN")
        elif number != value or (self.bits == _SINGLE_BITS and texts.single(number) != number):
            raise Unfit(
                f"a number of {self.bits or 64} bits does not hold it exactly",
                "Round it yourself, or use a wider column.",
            )
        return texts.float_text(number)

    def _naive_text(self, value: datetime | time) -> str:
        if value.tzinfo is not None:
            raise Unfit("it has a time zone, and the column has none", "Pass it without: .replace(tzinfo=None).")
        return self._in_precision(value).isoformat(timespec="microseconds")

    def _in_precision(self, value: _Clocked) -> _Clocked:
        if self.precision is not None and value.microsecond % 10 ** max(6 - self.precision, 0):
            raise Unfit(f"its seconds have more than {self.precision} decimal places", "Round it yourself.")
        return value


def _uuid_text(text: str) -> str:
    try:
        return str(uuid.UUID(text))
    except ValueError as error:
        raise Unfit("it is not a UUID", "Write 32 hexadecimal digits.") from error


def _checked(text: str) -> str:
    """The text, where it is not too long to travel."""
    # A character has at most four bytes.
    if len(text) * 4 > MAX_TEXT_SIZE_BYTES and (size := len(text.encode())) > MAX_TEXT_SIZE_BYTES:
        raise Unfit(f"its text is {size} bytes long", f"One value has at most {MAX_TEXT_SIZE_BYTES} bytes of text.")
    return text


def _shown(value: object) -> str:
    """The value for a message, cut where it is long."""
    if isinstance(value, str | bytes | bytearray):
        value = value[: _SHOWN_CHARACTERS + 1]
    try:
        shown = repr(value)
    except (ValueError, RecursionError):  # an integer of more digits than Python writes, or a list within itself
        return f"this {type(value).__name__}"
    return shown if len(shown) <= _SHOWN_CHARACTERS else shown[:_SHOWN_CHARACTERS] + "..."
