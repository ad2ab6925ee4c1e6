"""Whether the scale channels of a value are one function of sigma, sampled at a geometric grid of sigmas."""

import math
from fractions import Fraction

from .domain import TOLERANCE, Logs, NoRule, Refuted, Terms, Type, close, minus, plus


def check_family(kind: Type) -> Fraction:
    """The power of sigma in the constant factors of the scale channels, to be added to the weight.

    Raises:
        Refuted: If the scale channels differ in more than a common factor of their sigmas, or the factors are not
            geometric.
    """
    slices = kind.slices
    if len(slices) == 1:
        return Fraction(0)
    first = slices[0]
    for i, other in enumerate(slices):
        if other.term != first.term or (other.anchor is None) != (first.anchor is None):
            raise Refuted(
                "unshared",
                f"scale channel {i} does not compute what scale channel 0 computes: weights, constants or relative "
                "sigmas differ",
                {"kind": "unshared", "channels": [0, i]},
            )
    if first.anchor is None:
        if any(not close(minus(s.gain, first.gain), (0.0,) * len(s.gain)) for s in slices):
            raise NoRule("copies of one value are multiplied by different constants")
        return Fraction(0)
    anchors: list[Logs] = [s.anchor for s in slices if s.anchor is not None]
    step = minus(anchors[1], anchors[0])
    for i in range(1, len(anchors)):
        if not close(minus(anchors[i], anchors[i - 1]), step):
            raise Refuted(
                "unequal-ratio",
                f"the sigmas of scale channels {i - 1} and {i} have another ratio than those of 0 and 1: not geometric",
                {"kind": "ratio", "logs": [[a[k] for a in anchors] for k in range(len(anchors[0]))]},
            )
    if any(abs(x) <= TOLERANCE for x in step):
        raise Refuted(
            "fixed-sigma",
            "sigma is the same in every scale channel: it is not tied to the scale grid",
            {"kind": "ratio", "logs": [[a[k] for a in anchors] for k in range(len(anchors[0]))]},
        )
    return _gain_power([s.gain for s in slices], step)


def _gain_power(gains: list[Logs], step: Logs) -> Fraction:
    """P where the constant factor of scale channel i is constant * sigma_i^p."""
    total = minus(gains[1], gains[0])
    power = total[0] / step[0]
    for i in range(1, len(gains)):
        expected = tuple(power * x for x in step)
        if not close(plus(minus(gains[i], gains[i - 1]), (0.0,) * len(step)), expected):
            raise Refuted(
                "unshared",
                f"scale channel {i} has another constant factor than a power of its sigma",
                {"kind": "factors", "values": [[math.exp(x) for x in g] for g in gains]},
            )
    return Fraction(power).limit_denominator(24) if abs(power) > TOLERANCE else Fraction(0)


def fold(kind: Type, terms: Terms, name: str) -> tuple[Type, tuple[int, ...]]:
    """The type before an operation that only values of weight 0 survive: terms with their factors made part of them.

    A factor sigma_i^(-w) brings the weight to 0; what is left over must agree between the scale channels, now if there
    is a scale axis, when they meet otherwise.
    """
    weight = kind.weight
    if weight == 0 and all(not any(s.gain) for s in kind.slices):
        return kind, tuple(s.term for s in kind.slices)
    if weight and kind.free:
        raise weight_error(name, weight)  # its sigmas are pooled away: none is left whose power could be taken back
    result = []
    for s in kind.slices:
        rest = s.gain
        if weight:
            if s.anchor is None:
                raise weight_error(name, weight)
            rest = plus(rest, s.anchor, float(weight))
        result.append(rest)
    if any(not close(minus(r, result[0]), (0.0,) * len(minus(r, result[0]))) for r in result):
        raise weight_error(name, weight)
    return kind, tuple(terms.number("factor", s.term, terms.snap(r)) for s, r in zip(kind.slices, result, strict=True))


def weight_error(name: str, weight: Fraction) -> Refuted:
    """`name` of a value that scales by S^weight is no power of S times the same."""
    return Refuted(
        "weight",
        f"{name} of features of weight {weight}: they change by S^{weight} when the image is scaled by S, which "
        f"{name} does not pass on as a factor",
        {"kind": "weight", "weight": str(weight), "function": name},
    )
