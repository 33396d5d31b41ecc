"""Scores: what a leaderboard's column holds, as numbers that a sorted set keeps exactly.

A sorted set's scores are doubles, exact for whole numbers up to 2^53. Integers are scores as they are; decimals are
scaled by their column (NUMERIC(12, 2): 1.25 becomes 125); floating-point numbers are doubles already.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from decimal import Decimal
from typing import TypeAlias

from writebehind.errors import ValueRefused
from writebehind.values import Amounts

HIGHEST_EXACT = 2**53
"""Whole numbers up to here, and down to its negative, are exact as doubles."""

Score: TypeAlias = int | float | Decimal
"""What an application submits and is answered."""
Units: TypeAlias = int | float
"""A score as the cache holds it."""


@dataclass(frozen=True, slots=True)
class Scores:
    """Turns scores into what a sorted set holds, exactly, and back.

    ``scale`` is the number of decimal places of a NUMERIC column, None for integers and floats.
    """

    is_float: bool = False
    scale: int | None = None
    lowest: int = -HIGHEST_EXACT
    highest: int = HIGHEST_EXACT

    @classmethod
    def of_amounts(cls, amounts: Amounts) -> Scores:
        """The scores of a column of integers or decimals: what both the column and a double hold exactly."""
        return cls(
            scale=amounts.scale,
            lowest=max(amounts.lowest, -HIGHEST_EXACT),
            highest=min(amounts.highest, HIGHEST_EXACT),
        )

    @property
    def name(self) -> str:
        """For the declaration: ``float``, ``integer`` or ``decimal(2)``."""
        if self.is_float:
            return "float"
        return "integer" if self.scale is None else f"decimal({self.scale})"

    def to_units(self, value: Score, mapping: str) -> Units:
        """The score as the cache holds it.

        :raises ValueRefused: the column, or a double, cannot hold it exactly.
        """
        if self.is_float:
            return self._float_units(value, mapping)
        units = Amounts(self.scale).to_units(value, mapping)  # type: ignore[arg-type]  # it refuses floats itself
        if not self.lowest <= units <= self.highest:
            raise ValueRefused(
                f"the score {value!r} of {mapping!r} cannot be kept exactly",
                why=f"in units of its column it is beyond {self.lowest} to {self.highest}",
                fix="Submit smaller scores.",
            )
        return units

    def _float_units(self, value: Score, mapping: str) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ValueRefused(
                f"the score {value!r} of {mapping!r} is of type {type(value).__name__}", fix="Pass a float or an int."
            )
        if not math.isfinite(value) if isinstance(value, float) else abs(value) > HIGHEST_EXACT:
            raise ValueRefused(f"the score {value!r} of {mapping!r} is not a number that a double holds exactly")
        return float(value)

    def from_units(self, units: Units) -> Score:
        """What the application sees: an int, a float, or a Decimal with the column's scale."""
        if self.is_float:
            return float(units)
        return Amounts(self.scale).from_units(int(units))

    def to_text(self, units: Units) -> str:
        """The units as the cache is sent them."""
        return repr(float(units)) if self.is_float else str(int(units))

    def from_text(self, text: str | bytes) -> Units:
        """The units as the cache answers them: of integers too a sorted set may answer ``1e+15``.

        :raises ValueError: another program wrote it, and the column cannot hold it.
        """
        if self.is_float:
            return float(text)
        try:
            units = int(text)
        except ValueError:
            number = float(text)
            if not number.is_integer():
                raise ValueError(f"the score {number!r} is not a whole number of the column's units") from None
            units = int(number)
        return units
