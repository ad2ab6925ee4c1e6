"""All theorems and refutations by name, in an order in which lemmas come before their use."""

from collections.abc import Mapping
from typing import Any

from . import continuous
from .model import Refutation, Theorem

TOPICS = {
    "continuous": "continuous theory, symbolic dimension",
}
THEOREMS: dict[str, Theorem] = {t.id: t for t in (*continuous.THEOREMS,)}
REFUTATIONS: dict[str, Refutation] = {}


def lookup(theorem_id: str, parameters: Mapping[str, Any]) -> Theorem:
    """The theorem of that name, specialised to the parameters (rational numbers as strings).

    Raises:
        KeyError: no such theorem. ValueError: parameters that it does not have or are out of range.
    """
    return THEOREMS[theorem_id]


def lookup_refutation(refutation_id: str, parameters: Mapping[str, Any]) -> Refutation:
    """The refutation of that name."""
    return REFUTATIONS[refutation_id]
