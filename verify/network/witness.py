"""Counterexamples that can be executed again, in rational arithmetic, without torch.

A witness is JSON. `defect(witness)` computes from its numbers how far the claim F'(S x; S sigma) = S^w F(x; sigma) is
missed; a refutation stands only if that is not zero.
"""

import math
from collections.abc import Mapping, Sequence
from fractions import Fraction
from itertools import pairwise
from typing import Any

S = Fraction(2)


def defect(witness: Mapping[str, Any]) -> Fraction:
    """How far the claim is missed, 0 if it is not.

    * "taps" h_k at positions p_k, F = sum_k h_k f(p_k) at the centre. For f = x^m, F = M_m and F' = M_m / S^m: one
      weight fits only if a single moment M_m differs from 0. The second moment that does is the defect.
    * "max-window": f = x, F = r, F' = r / S, and f = -x; with f = 1 the weight must be 0.
    * "window-spread": variance (or square norm) of the window's samples of f = x and f = x^2, or x and 1.
    * "samples": places of samples that are taken for a grid: f = x gives them back, they are not equidistant.
    * "position": f = 0 and a constant c(x) that is added: F'(m x) - F(x) = c(m x) - c(x) at two points of one ray.
    * "position-factor": c(m p) = m^w c(p) and c(m q) = m^w c(q) with one w.
    * "scale-weights": a sum over scale channels with unequal weights: one responding channel, then its neighbour.
    * "fixed-sigma": f = x^2 and x^4 at one sigma: sigma^2 / S^2 and 3 sigma^4 / S^4 have no common factor.
    * "weights" a, b: a sum of terms that change by S^a and S^b.
    * "weight" w: phi(S^w v) against phi(v).
    * "canvas": mean over an area A = 100 with background b, of an object of area a = 4, S^2 a, S^4 a: no
      power of S describes the three means.
    * "ratio": sigmas whose logarithms are not in arithmetic progression, or all equal: f = x^2, L(0) = sigma^2.
    * "read": f = x read at p: p against p / S.
    * "random": two runs on one image.
    * "factors": constant factors of the scale channels that are no power of their sigmas.
    * "unshared": what two scale channels gave for one image, both at one sigma.
    * "scale-shift": outputs for a response in one scale channel, and for the same response in its neighbour.
    """
    kind = witness["kind"]
    if kind == "taps":
        taps = [(Fraction(p), Fraction(v)) for p, v in witness["taps"]]
        moments = [sum((v * p**m for p, v in taps), Fraction(0)) for m in range(len(taps) + 3)]
        nonzero = [m for m in moments if m]
        return nonzero[1] * (1 / S - 1) if len(nonzero) > 1 else Fraction(0)
    if kind == "max-window":
        positions = [Fraction(p) for p in witness["positions"]]
        up, down = max(positions), -min(positions)
        return (1 / S - 1) * (up or down)
    if kind == "window-spread":
        places = [Fraction(p) for p in witness["positions"]]
        powers = (0, 1, 2) if witness["function"] == "norm" else (1, 2, 3)
        sizes = [_spread([p**m for p in places], witness["function"]) for m in powers]
        nonzero = [v * (S**-m) for m, v in zip(powers, sizes, strict=True) if v]
        return nonzero[1] * (1 / S - 1) if len(nonzero) > 1 else Fraction(0)
    if kind == "samples":
        places = [Fraction(p) for p in witness["places"]]
        return max((abs(a - 2 * b + c) for a, b, c in zip(places, places[1:], places[2:], strict=False)), default=S - S)
    if kind == "read":
        return Fraction(witness["position"]) * (1 / S - 1)
    if kind == "position":
        a, b = witness["values"]
        if "points" in witness and not _on_one_ray(*witness["points"]):
            return Fraction(0)
        if not (math.isfinite(a) and math.isfinite(b)):
            return Fraction(1)
        return Fraction(b) - Fraction(a)
    if kind == "position-factor":
        (p, mp), (q, mq) = witness["points"]
        if not (_on_one_ray(p, mp) and _on_one_ray(q, mq) and _ratio(p, mp) == _ratio(q, mq)):
            return Fraction(0)
        a, b, c, d = (Fraction(v) for v in witness["values"])
        if any((x == 0) != (y == 0) or x * y < 0 for x, y in ((a, b), (c, d))):
            return Fraction(1)
        return b * c - a * d
    if kind == "scale-weights":
        row = [Fraction(w) for w in witness["weights"]]
        return max((abs(b - a) for a, b in pairwise(row)), default=Fraction(0))
    if kind == "fixed-sigma":
        variance = Fraction(witness["sigma"]) ** 2
        return (variance / S**2) * (3 * variance**2) - variance * (3 * variance**2 / S**4)
    if kind == "weights":
        a, b = (Fraction(w) for w in witness["weights"])
        return a - b
    if kind == "weight":
        return Fraction(witness["weight"])
    if kind == "canvas":
        background = Fraction(witness["background"])
        if witness.get("function") == "median":
            return Fraction(1)  # of 100 pixels the object has 4, 16, then 64: 0, 0, 1
        value, area = background + 1, Fraction(100)
        means = [(background * (area - 4 * s) + value * 4 * s) / area for s in (1, 4, 16)]
        if background == 0:
            means = [1 - m for m in means]
        return means[0] * means[2] - means[1] ** 2
    if kind == "ratio":
        worst = 0.0
        for logs in witness["logs"]:
            step = logs[1] - logs[0] if len(logs) > 1 else 0.0
            worst = max([worst, *(abs(b - a - step) for a, b in pairwise(logs))])
            if abs(step) < 1e-6:
                worst = max(worst, 1.0)
        return Fraction(worst) if worst > 1e-6 else Fraction(0)
    if kind == "factors":
        draws = zip(*witness["values"], strict=True) if witness["values"] else ()
        return Fraction(any(max(values) > min(values) * (1 + 1e-6) for values in draws))
    if kind in ("random", "unshared", "scale-shift"):
        a, b = witness.get("values", (0, 0))
        return Fraction(b) - Fraction(a)
    raise ValueError(f"defect: witness must have a known kind, got {kind!r}")


def _spread(values: Sequence[Fraction], function: str) -> Fraction:
    mean = Fraction(0) if function == "norm" else sum(values, Fraction(0)) / len(values)
    return sum(((v - mean) ** 2 for v in values), Fraction(0))


def _ratio(point: Sequence[str], target: Sequence[str]) -> Fraction | None:
    ratios = {Fraction(b) / Fraction(a) for a, b in zip(point, target, strict=True) if Fraction(a)}
    return ratios.pop() if len(ratios) == 1 else None


def _on_one_ray(point: Sequence[str], target: Sequence[str]) -> bool:
    """Whether target is a multiple m > 1 of point."""
    ratio = _ratio(point, target)
    rest = all(not Fraction(b) for a, b in zip(point, target, strict=True) if not Fraction(a))
    return ratio is not None and ratio > 1 and rest
