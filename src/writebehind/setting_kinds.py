"""What a setting's value may be: one kind per type, strict about what it takes, each with its fix in words.

A kind never converts quietly: a number in quotes is not a number, and true is not 1. Only environment
variables, which are always text, are read as what they are meant to be.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

MAX_DURATION_S = 365 * 86_400
MAX_SHOWN_LENGTH = 80

_PASSWORDS = (
    # To the last @, because an unquoted password may contain one.
    (re.compile(r"(://[^:/@\s]*):.*@"), r"\1:***@"),
    (re.compile(r"\b(password|passwd|secret|token)=[^&\s]*", re.IGNORECASE), r"\1=***"),
)


class UnfitError(ValueError):
    """The value does not fit. The text says why, and never quotes the value, which may hold a password."""


@dataclass(frozen=True, slots=True)
class Kind:
    """``check`` takes a value from Python or TOML, ``from_text`` an environment variable's text; both raise UnfitError.

    ``fix`` is a sentence that says what to write instead.
    """

    check: Callable[[object], object]
    from_text: Callable[[str], object]
    fix: str


def redacted(text: str) -> str:
    """The text without the passwords in its URLs."""
    for pattern, replacement in _PASSWORDS:
        text = pattern.sub(replacement, text)
    return text


def shown(value: object) -> str:
    """A value as errors show it: short, without passwords."""
    text = redacted(repr(value))
    return text if len(text) <= MAX_SHOWN_LENGTH else f"{text[:MAX_SHOWN_LENGTH]}…"


def whole_number(lowest: int, highest: int, what: str) -> Kind:
    """An integer within bounds; ``what`` it counts."""

    def check(value: object) -> int:
        if isinstance(value, bool) or not isinstance(value, int):
            raise UnfitError(f"it is {_type_name(value)} and not a whole number")
        if not lowest <= value <= highest:
            raise UnfitError(f"it is not between {lowest} and {highest}")
        return value

    def from_text(text: str) -> int:
        if not re.fullmatch(r"-?[0-9]{1,20}", text):
            raise UnfitError("it is not a whole number in digits")
        return int(text)

    return Kind(check, from_text, f"Use a whole number of {what}, from {lowest} to {highest}.")


def duration(unit: str, highest: float, *, zero: bool = False) -> Kind:
    """A finite number of seconds or milliseconds, above zero unless ``zero`` has a meaning too."""

    def check(value: object) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise UnfitError(f"it is {_type_name(value)} and not a number")
        if isinstance(value, float) and not math.isfinite(value):
            raise UnfitError("it is not finite")
        if value < 0 or (value == 0 and not zero):
            raise UnfitError("it is negative" if zero else "it is not above zero")
        if value > highest:
            raise UnfitError(f"it is more than {highest:g}")
        return float(value)

    def from_text(text: str) -> float:
        if not re.fullmatch(r"-?[0-9]{1,20}(\.[0-9]{1,20})?", text):
            raise UnfitError("it is not a number in digits")
        return float(text)

    positive = "a number" if zero else "a positive number"
    return Kind(check, from_text, f"Use {positive} of {unit}, for example 10 or 0.5.")


def seconds(*, zero: bool = False) -> Kind:
    return duration("seconds", MAX_DURATION_S, zero=zero)


def choice(*choices: str) -> Kind:
    """One of some words."""

    def check(value: object) -> str:
        if not isinstance(value, str) or value not in choices:
            raise UnfitError("it is not one of the choices")
        return value

    return Kind(check, str, f"Use one of {', '.join(choices)}.")


def boolean() -> Kind:
    """True or false."""

    def check(value: object) -> bool:
        if not isinstance(value, bool):
            raise UnfitError(f"it is {_type_name(value)} and neither true nor false")
        return value

    def from_text(text: str) -> bool:
        if text not in ("true", "false", "1", "0"):
            raise UnfitError("it is neither true nor false")
        return text in ("true", "1")

    return Kind(check, from_text, "Use true or false.")


def text(pattern: str, fix: str) -> Kind:
    """A text that a regular expression matches whole."""

    def check(value: object) -> str:
        if not isinstance(value, str):
            raise UnfitError(f"it is {_type_name(value)} and not text")
        if not re.fullmatch(pattern, value):
            raise UnfitError("it is empty" if not value else "it has characters or a length that are not allowed")
        return value

    return Kind(check, str, fix)


def url(schemes: tuple[str, ...], example: str) -> Kind:
    """A URL with one of the schemes. Its parts are for those who open it to judge (PostgreSQL takes several hosts)."""

    def check(value: object) -> str:
        if not isinstance(value, str):
            raise UnfitError(f"it is {_type_name(value)} and not text")
        scheme, separator, rest = value.partition("://")
        if not separator or not rest:
            raise UnfitError("it is not a URL")
        if scheme not in schemes:
            raise UnfitError(f"its scheme is none of {', '.join(schemes)}")
        return value

    return Kind(check, str, f"Write, for example, {example}.")


def path(fix: str) -> Kind:
    """A path, as text or pathlib.Path; ~ is the home directory."""

    def check(value: object) -> Path:
        if not isinstance(value, str | Path):
            raise UnfitError(f"it is {_type_name(value)} and not a path")
        if value == "":
            raise UnfitError("it is empty")
        if "\x00" in str(value):
            raise UnfitError("it has a NUL character")
        try:
            return Path(value).expanduser()
        except RuntimeError as error:
            raise UnfitError("the home directory is not known") from error

    return Kind(check, str, fix)


def column_name() -> Kind:
    """One name."""

    def check(value: object) -> str:
        if not isinstance(value, str) or not value:
            raise UnfitError(f"it is {_type_name(value)}, and not a name" if value != "" else "it is empty")
        return value

    return Kind(check, str, "Write the name of one column.")


def column_names() -> Kind:
    """One name, or a list of them."""

    def check(value: object) -> str | list[str]:
        if isinstance(value, str):
            return value
        if isinstance(value, list) and all(isinstance(name, str) for name in value):
            return value
        raise UnfitError(f"it is {_type_name(value)}, and neither a name nor a list of names")

    return Kind(check, str, 'Write "id", or ["board", "player"] for a composite key.')


def _type_name(value: object) -> str:
    names = {str: "text", dict: "a table", list: "a list", bool: "true or false", float: "a fraction", int: "a number"}
    return names.get(type(value), f"of type {type(value).__name__}")
