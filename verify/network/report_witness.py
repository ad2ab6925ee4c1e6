"""The counterexample of a refutation in words."""

import math
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

from .witness import S


def witness_words(witness: Mapping[str, Any]) -> str:
    """The counterexample of a refutation as sentences; the numbers are those that `witness.defect` runs again."""
    kind = witness["kind"]
    if kind == "taps":
        taps = [(Fraction(p), Fraction(v)) for p, v in witness["taps"]]
        moments = [sum((v * p**m for p, v in taps), Fraction(0)) for m in range(len(taps) + 3)]
        first, second = [m for m, value in enumerate(moments) if value][:2]
        where = "these weights" if witness.get("own_weights") else "other weights of this architecture"
        values = ", ".join(f"{float(v):.4g} at {p}" for p, v in taps)
        return (
            f"With {where}, the taps {values} give {float(moments[first]):.4g} at the centre of the image x^{first} "
            f"and {float(moments[second]):.4g} at that of x^{second}. On the images scaled by {S} the first is "
            f"{_share(first)}, the second {_share(second)}: no single factor S^w fits both."
        )
    if kind == "max-window":
        return (
            "On the image f(x) = x the window's maximum at the centre is its reach, on "
            f"f(x / {S}) it is 1/{S} of that; on f = 1 both are 1."
        )
    if kind == "read":
        return (
            f"On the image f(x) = x the value read is {witness['position']}; on f(x / {S}) it is 1/{S} of that; "
            "on f = 1 both are 1."
        )
    if kind == "position":
        a, b = witness["values"]
        if "points" in witness:
            p, q = (", ".join(map(str, point)) for point in witness["points"])
            return f"On a black image, its own scaled copy, it is {a:.6g} at ({p}) and {b:.6g} at ({q}), on one ray."
        return (
            f"On a black image, which is its own scaled copy, the value is {a:.6g} at one point and {b:.6g} at another."
        )
    if kind == "position-factor":
        one, other = _ratio(*witness["values"][:2]), _ratio(*witness["values"][2:])
        return (
            f"The constant that multiplies changes along two rays from the centre by {one} and {other}: by no common "
            "power of the distance."
        )
    if kind == "scale-weights":
        weights = ", ".join(f"{float(Fraction(w)):.4g}" for w in witness["weights"])
        return (
            f"A sum over scale channels with the weights {weights}: a pattern that one scale channel answers gets "
            "another weight when the next one does."
        )
    if kind == "window-spread":
        return (
            f"The {witness['function']} of the window's samples of x and of x^2 change by different powers of {S} when "
            "the images are scaled, as the window does not grow."
        )
    if kind == "samples":
        places = ", ".join(f"{float(Fraction(p)):.4g}" for p in witness["places"][:8])
        return f"Samples at {places} are taken for a grid, but are not equally far apart."
    if kind == "fixed-sigma":
        sigma = float(Fraction(witness["sigma"]))
        return (
            f"Smoothing at the fixed sigma {sigma:.4g} turns x^2 into sigma^2 and x^4 into 3 sigma^4 at the centre; of "
            f"the images scaled by {S} into 1/{S**2} and 1/{S**4} of that: no single factor S^w fits both."
        )
    if kind == "random":
        return "Two runs on one image give different values."
    if kind == "weights":
        a, b = witness["weights"]
        return f"A sum of two terms of which one changes by S^{a} and the other by S^{b} changes by no power of S."
    if kind == "weight":
        return f"A function of values that change by S^{witness['weight']} and are not 0."
    if kind == "canvas":
        return "An object of area a on a canvas of fixed size: the means for a, S^2 a and S^4 a follow no power of S."
    if kind == "ratio":
        sigmas = ", ".join(f"{math.exp(x):.6g}" for x in witness["logs"][0])
        return f"On f = x^2 smoothing adds sigma^2: sigmas {sigmas} are not those of one geometric sequence."
    if kind == "unshared":
        i, j = witness["channels"]
        return f"Scale channels {i} and {j} compute different functions: an image and its scaled copy are seen by both."
    if kind == "factors":
        return "The scale channels multiply what they see by different numbers, for weights drawn at random."
    return f"Witness of kind {kind}."


def _ratio(before: Any, after: Any) -> str:
    return f"{float(Fraction(after) / Fraction(before)):.4g}" if Fraction(before) else "no factor"


def _share(order: int) -> str:
    return f"1/{S**order} of that" if order else "the same"
