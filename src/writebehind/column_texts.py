"""One value, one text, for each kind of column; pure functions that know nothing of columns.

Functions named ``..._text`` turn a Python value into its canonical text; those named ``parse_...`` read what other
programs write, leniently, as a Python value. Both raise ``Unfit``, or another ``ValueError``, with the reason.
"""

from __future__ import annotations

import json
import re
import struct
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any

MOST_PLACES = 16_383
"""The most decimal places that PostgreSQL's NUMERIC has; before the point it has at most 131,072 digits."""
MOST_WHOLE_DIGITS = 131_072

_INTEGER = re.compile(r"[+-]?[0-9]{1,40}", re.ASCII)
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,6})?", re.ASCII)
_TRUE = ("true", "t", "yes", "y", "on", "1")
_FALSE = ("false", "f", "no", "n", "off", "0")
_DATE = r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
_TIME = r"[0-9]{2}:[0-9]{2}(:[0-9]{2}([.,][0-9]+)?)?"
_OFFSET = r"(?P<offset> ?([Zz]|[+-][0-9]{2}(:?[0-9]{2}(:?[0-9]{2})?)?))"
# Python's own parser would take any run of digits for a date, and with it the seconds since 1970.
_DATE_ONLY = re.compile(_DATE, re.ASCII)
_TIME_ONLY = re.compile(_TIME, re.ASCII)
_MOMENT = re.compile(rf"{_DATE}([Tt ]{_TIME}{_OFFSET}?)?", re.ASCII)
_JSON_TOKEN = re.compile(r'("(?:[^"\\]|\\.)*")|[ \t\r\n]+')


class Unfit(ValueError):
    """The value is not one that the column holds: why, and the ``fix``."""

    def __init__(self, why: str, fix: str = "") -> None:
        super().__init__(why)
        self.fix = fix


def wrong_type(value: object, wanted: str) -> Unfit:
    """The refusal of a value of another type; ``wanted`` says of which it must be."""
    return Unfit(f"it is of type {type(value).__name__}", f"Pass {wanted}.")


def check_characters(text: str) -> None:
    """:raises Unfit: databases keep no NUL, and half of a surrogate pair is no Unicode."""
    if "\x00" in text:
        raise Unfit("it has a NUL character", "Remove it, or use a column of bytes.")
    if not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text):
        raise Unfit("it has half of a surrogate pair", "Decode the text properly, or use a column of bytes.")


def parse_integer(text: str) -> int:
    if not _INTEGER.fullmatch(text := text.strip()):
        raise Unfit("it is not a whole number")
    return int(text)


def parse_boolean(text: str) -> bool:
    word = text.strip().lower()
    if word in _TRUE:
        return True
    if word in _FALSE:
        return False
    raise Unfit("it is neither true nor false", "Write true or false.")


def float_text(value: float) -> str:
    """``repr``; the negative zero, which is equal to zero, has zero's text."""
    return repr(value + 0.0)


def single(value: float) -> float:
    """The single-precision number nearest to a value.

    :raises Unfit: it is beyond all of them.
    """
    try:
        return float(struct.unpack("<f", struct.pack("<f", value))[0])
    except OverflowError as error:
        raise Unfit("it is beyond single precision") from error


def parse_float(text: str) -> float:
    word = text.strip()
    if word.lower().lstrip("+-") in ("nan", "inf", "infinity"):
        return float(word)
    if not _NUMBER.fullmatch(word):
        raise Unfit("it is not a number")
    number = float(word)
    if number in (float("inf"), float("-inf")):
        raise Unfit("it is beyond double precision")
    return number


def parse_decimal(text: str) -> Decimal:
    if not _NUMBER.fullmatch(text := text.strip()):
        raise Unfit("it is not a finite decimal number")
    return Decimal(text)


def decimal_text(value: int | Decimal, precision: int | None, scale: int | None) -> str:
    """Plain digits, without an exponent and never rounded; with ``scale`` places where there is one.

    Without a scale the places are the value's own, zeros at the end included, as PostgreSQL keeps them.
    """
    sign, digits, exponent = Decimal(value).as_tuple()
    if not isinstance(exponent, int):
        raise Unfit("it is not a finite decimal number")
    if len(digits) + exponent > MOST_WHOLE_DIGITS or -exponent > MOST_PLACES:
        raise Unfit(f"it has more than {MOST_WHOLE_DIGITS} digits, or {MOST_PLACES} decimal places")
    text = "".join(map(str, digits))
    if scale is not None:
        surplus = -exponent - scale
        if surplus > 0:
            if text[-surplus:].strip("0"):
                raise Unfit(f"it has more than {scale} decimal places", "Round it yourself.")
            text = text[:-surplus] or "0"
        elif text.strip("0"):
            text += "0" * -surplus
        exponent = -scale
        if precision is not None and len(text.lstrip("0")) > precision:
            raise Unfit(f"it has more digits than the column, whose precision is {precision}")
    minus = "-" if sign and text.strip("0") else ""
    if exponent >= 0:
        return minus + ((text + "0" * exponent).lstrip("0") or "0")
    text = text.rjust(1 - exponent, "0")
    return f"{minus}{text[:exponent].lstrip('0') or '0'}.{text[exponent:]}"


def moment_text(value: datetime) -> str:
    """Fixed width, so that texts compare as the moments do."""
    return value.isoformat(timespec="microseconds")


def parse_moment(text: str, *, with_zone: bool) -> datetime:
    """ISO 8601; digits beyond microseconds are cut."""
    text = text.strip()
    found = _MOMENT.fullmatch(text)
    if not found:
        raise Unfit("it is not a moment in ISO 8601", "Write 2026-01-02T03:04:05.678901" + ("Z." if with_zone else "."))
    if with_zone != bool(found["offset"]):
        raise Unfit(*(("it has no offset from UTC", "Append Z or +01:00.") if with_zone else ("it has a time zone",)))
    day, clock = text[:10], text[11:].replace(" ", "").upper().replace(",", ".")
    return datetime.fromisoformat(f"{day}T{clock}" if clock else day)


def utc(value: datetime) -> datetime:
    """The same moment in UTC.

    :raises Unfit: it has no time zone, or leaves the years 1 to 9999.
    """
    if value.utcoffset() is None:
        raise Unfit("it has no time zone", "Pass a datetime with one: datetime.now(timezone.utc).")
    try:
        return value.astimezone(UTC)
    except OverflowError as error:
        raise Unfit("in UTC it is beyond the years 1 to 9999") from error


def parse_date(text: str) -> date:
    return date.fromisoformat(_iso(text, _DATE_ONLY, "a date in ISO 8601", "Write 2026-01-02."))


def parse_time(text: str) -> time:
    return time.fromisoformat(_iso(text, _TIME_ONLY, "a time in ISO 8601", "Write 03:04:05.678901.").replace(",", "."))


def _iso(text: str, pattern: re.Pattern[str], what: str, fix: str) -> str:
    if not pattern.fullmatch(text := text.strip()):
        raise Unfit(f"it is not {what}", fix)
    return text


def json_text(value: object) -> str:
    """Compact JSON that reads back as the value itself."""
    try:
        _check_json(value)
        return compact_json(value)
    except RecursionError as error:
        raise Unfit("it is nested too deeply") from error


def compact_json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def _check_json(value: object) -> None:
    match value:
        case str():
            check_characters(value)
        case None | bool() | int():
            pass
        case float():
            if value - value != 0:
                raise Unfit("JSON has neither NaN nor infinity")
        case dict():
            for name, item in value.items():
                if not isinstance(name, str):
                    raise Unfit(f"the name {name!r} in it is of type {type(name).__name__}", "JSON's names are texts.")
                check_characters(name)
                _check_json(item)
        case list():
            for item in value:
                _check_json(item)
        case _:
            raise Unfit(
                f"JSON has no {type(value).__name__}", "Pass dictionaries, lists, texts, numbers, booleans and None."
            )


def canonical_json_text(text: str) -> str:
    """JSON as other programs and databases write it, compact. Numbers that a double does not hold stay as they are."""
    try:
        value = json.loads(text, parse_float=_exact_float, parse_constant=_no_constant)
        _check_json(value)
        return compact_json(value)
    except _InexactFloat:
        _check_json(json.loads(text, parse_float=str, parse_constant=_no_constant))
        return _JSON_TOKEN.sub(r"\1", text)
    except RecursionError as error:
        raise Unfit("it is nested too deeply") from error
    except ValueError as error:
        raise error if isinstance(error, Unfit) else Unfit(f"it is not JSON: {error}") from error


def json_value(text: str) -> Any:
    """What a JSON text says, numbers as Python reads them.

    :raises ValueError: it is no JSON.
    """
    return json.loads(text, parse_constant=_no_constant)


class _InexactFloat(Exception):
    """A number in JSON that is no double."""


def _exact_float(text: str) -> float:
    number = float(text)
    if Decimal(text) != Decimal(repr(number)):
        raise _InexactFloat
    return number


def _no_constant(word: str) -> None:
    raise Unfit(f"JSON has no {word}")


def parse_bytes(text: str) -> bytes:
    text = text.strip()
    if not text.startswith("\\x"):
        raise Unfit("it is not hexadecimal", r"Write \x and two hexadecimal digits for each byte.")
    try:
        return bytes.fromhex(text[2:])
    except ValueError as error:
        raise Unfit("it is not hexadecimal", r"Write \x and two hexadecimal digits for each byte.") from error
