"""All theorems and refutations by name, in an order in which lemmas come before their use."""

from collections.abc import Mapping
from typing import Any

from . import (
    aliasing,
    borders,
    bounds,
    channels,
    continuous,
    continuous2,
    discrete,
    errors,
    explicit,
    layers,
    learned,
    steering,
    wrong,
)
from .model import Refutation, Theorem
from .parameters import Parameters

TOPICS = {
    "continuous": "continuous theory, symbolic dimension",
    "layers": "layers and networks",
    "discrete": "discrete theory",
    "channels": "finite scale channels",
    "learned": "learned scales",
}
_ALL = (
    *continuous.THEOREMS,
    continuous2.KERNEL_LEMMA,
    *continuous2.THEOREMS,
    *explicit.THEOREMS,
    *steering.THEOREMS,
    *layers.THEOREMS,
    *channels.THEOREMS,
    *discrete.THEOREMS,
    *borders.THEOREMS,
    *bounds.THEOREMS,
    *aliasing.THEOREMS,
    *errors.THEOREMS,
    *learned.CHANNELS,
    *learned.LEARNED,
)
THEOREMS: dict[str, Theorem] = {t.id: t for t in _ALL}
REFUTATIONS: dict[str, Refutation] = {r.id: r for r in wrong.REFUTATIONS}


def lookup(theorem_id: str, parameters: Mapping[str, Any]) -> Theorem:
    """The theorem of that name, specialised to the parameters (rational numbers as strings).

    Raises:
        KeyError: no such theorem. ValueError: parameters that it does not have or are out of range.
    """
    from .specialise import specialise

    theorem = THEOREMS[theorem_id]
    chosen = Parameters.read(parameters)
    if not chosen:
        return theorem
    found = specialise(theorem, chosen).theorem
    if found.id != theorem_id:
        raise ValueError(f"{theorem_id} does not hold for {chosen}")
    return found


def lookup_refutation(refutation_id: str, parameters: Mapping[str, Any]) -> Refutation:
    """The refutation of that name, or of a theorem at parameters for which it does not hold.

    Raises:
        KeyError: no such statement. ValueError: parameters that it does not have, are out of range or keep it true.
    """
    from .specialise import specialise

    chosen = Parameters.read(parameters)
    if not chosen:
        return REFUTATIONS[refutation_id]
    found = specialise(THEOREMS[refutation_id], chosen).wrong
    if found is None:
        raise ValueError(f"{refutation_id} is not refuted for {chosen}")
    return found
