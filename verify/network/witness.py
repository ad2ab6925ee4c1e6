"""Counterexamples that can be executed again, in rational arithmetic, without torch.

A witness is JSON. `defect(witness)` computes from its numbers how far the claim F'(S x; S sigma) = S^w F(x; sigma) is
missed; a refutation stands only if that is not zero.
"""

import math
from collections.abc import Mapping
from fractions import Fraction
from itertools import pairwise
from typing import Any

S = Fraction(2)


def defect(witness: Mapping[str, Any]) -> Fraction:
    """How far the claim is missed, 0 if it is not.

    * "taps" h_k at positions p_k, F = sum_k h_k f(p_k) at the centre. For f = x^m, F = M_m and F' = M_m / S^m: one
      weight fits only if a single moment M_m differs from 0. The second moment that does is the defect.
    * "max-window": f = x, F = r, F' = r / S, and f = -x; with f = 1 the weight must be 0.
    * "position": f = 0 and a constant c(x): F'(S x) - F(x) = c(S x) - c(x).
    * "weights" a, b: a sum of terms that change by S^a and S^b.
    * "weight" w: phi(S^w v) against phi(v).
    * "canvas": mean over an area A = 100 with background b, of an object of area a = 4, S^2 a, S^4 a: no
      power of S describes the three means.
    * "ratio": sigmas whose logarithms are not in arithmetic progression, or all equal: f = x^2, L(0) = sigma^2.
    * "read": f = x read at p: p against p / S.
    * "factors", "unshared": two scale channels that compute different things; "unshared": the terms are in the proof.
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
    if kind == "read":
        return Fraction(witness["position"]) * (1 / S - 1)
    if kind == "position":
        a, b = witness["values"]
        if not (math.isfinite(a) and math.isfinite(b)):
            return Fraction(1)
        return Fraction(b) - Fraction(a)
    if kind == "weights":
        a, b = (Fraction(w) for w in witness["weights"])
        return a - b
    if kind == "weight":
        return Fraction(witness["weight"])
    if kind == "canvas":
        background = Fraction(witness["background"])
        value, area = Fraction(1), Fraction(100)
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
    if kind == "unshared":
        i, j = witness["channels"]
        return Fraction(i != j)
    raise ValueError(f"defect: witness must have a known kind, got {kind!r}")
