"""Dimension, order and normalisation power that a reader chooses: read, bounded, written. Plain Python."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

NAMES = ("ndim", "order", "norm_power")
DEFAULTS: dict[str, Any] = {"ndim": 2, "order": 2, "norm_power": Fraction(1)}
RANGES = {"ndim": (1, 3), "order": (0, 6)}
LARGEST_POWER, LARGEST_DENOMINATOR = 9, 16  # what the checker has room for at every order
RATIONAL = re.compile(r"[+-]?\d{1,12}(/\d{1,12}|\.\d{1,12})?\Z", re.ASCII)


@dataclass(frozen=True)
class Parameters:
    """Chosen values, exact; None where nothing was chosen. Empty means the theorem with its symbols."""

    ndim: int | None = None
    order: int | None = None
    norm_power: Fraction | None = None

    @classmethod
    def read(cls, values: Mapping[str, Any]) -> "Parameters":
        """Read numbers or their texts ("3", "1/2", "0.5"); None is left out.

        Raises:
            ValueError: not a parameter, not a rational number, or out of range.
        """
        found: dict[str, Any] = {}
        for name, value in values.items():
            if name not in NAMES:
                raise ValueError(f"specialise: parameter must be one of {', '.join(NAMES)}, got {str(name)[:40]!r}")
            if value is not None:
                found[name] = _power(value) if name == "norm_power" else _whole(name, value)
        return cls(**found)

    def strings(self) -> dict[str, str]:
        """As a proof file keeps them."""
        return {n: str(getattr(self, n)) for n in NAMES if getattr(self, n) is not None}

    def __bool__(self) -> bool:
        return bool(self.strings())

    def __str__(self) -> str:
        return ", ".join(f"{n} = {v}" for n, v in self.strings().items())


def _rational(value: Any) -> Fraction | None:
    # a float says what it prints: 0.1 is 1/10
    text = str(value) if isinstance(value, (int, float, Fraction, str)) and not isinstance(value, bool) else ""
    try:
        if RATIONAL.match(text):
            return Fraction(text)
    except ZeroDivisionError:
        pass
    return None


def _whole(name: str, value: Any) -> int:
    low, high = RANGES[name]
    number = _rational(value)
    if number is None or number.denominator != 1 or not low <= number <= high:
        got = repr(str(value)[:40]) if number is None else value
        raise ValueError(f"specialise: {name} must be a whole number from {low} to {high}, got {got}")
    return int(number)


def _power(value: Any) -> Fraction:
    number = _rational(value)
    if number is None:
        got = str(value)[:40]
        raise ValueError(f"specialise: norm_power must be a rational number as in 2, 1/2 or 0.5, got {got!r}")
    if abs(number) > LARGEST_POWER or number.denominator > LARGEST_DENOMINATOR:
        raise ValueError(
            f"specialise: norm_power must have size at most {LARGEST_POWER} and denominator at most"
            f" {LARGEST_DENOMINATOR}, got {value}"
        )
    return number
