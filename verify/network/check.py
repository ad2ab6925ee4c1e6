"""The independent re-check of a network's verdict: no torch, no module of the prover.

Re-derived from the types of the operands and the data of the step: the weight of every value, points read away from the
centre, the anchors of every jet layer from its sigmas, that anchors are in geometric progression, that scale channels
are lost only where the derivation says so, and that the verdict follows from the types of the outputs. Witnesses are
executed again. Trusted, and listed in the report: how an operator of the graph was read as a rule, and the layout of
axes after reshapes.
"""

from collections.abc import Mapping
from fractions import Fraction
from itertools import pairwise
from typing import Any

from ..theory.check import Report
from ..theory.rules import ProofError
from .witness import defect

SAME = {
    "identity",
    "reshape",
    "permute",
    "expand",
    "channel",
    "channels",
    "regrid",
    "flip",
    "roll",
    "pad",
    "pick-scales",
    "mix",
    "join",
    "choose",
    "part",
    "window",
    "same-weight",
}
FREE_WEIGHT = {"reduce", "compare", "factor", "part", "window", "choose"}
NEAR = 1e-5


def check_network(data: Mapping[str, Any]) -> Report:
    """Check the JSON of a verdict.

    Returns:
        What was established, and the steps whose weight is taken from the file.

    Raises:
        ProofError: Something does not follow.
    """
    verdict, proof = data.get("verdict"), data.get("proof")
    if verdict == "refuted":
        if not isinstance(data.get("witness"), dict) or defect(data["witness"]) == 0:
            raise ProofError(None, "the witness of the refutation does not differ")
        return Report((), (str((data.get("offender") or {}).get("rule")),), 1)
    if verdict not in ("covariant", "invariant") or not isinstance(proof, dict):
        raise ProofError(None, f"nothing is claimed: verdict {verdict!r}")
    known: dict[str, Mapping[str, Any]] = {}
    trusted = []
    for number, step in enumerate(proof["steps"]):
        premises = []
        for name in step["from"]:
            if name not in known:
                raise ProofError(number, f"operand {name!r} has not been derived")
            premises.append(known[name])
        if step["rule"] in FREE_WEIGHT:
            trusted.append(number)
        _step(number, step, premises, proof["canvas"])
        known[step["node"]] = step["type"]
    outputs = [known[name] for name in proof["outputs"] if name in known]
    if not outputs:
        raise ProofError(None, "no output is derived")
    for kind in outputs:
        _claim(kind, verdict)
    return Report((str(verdict),), (), len(proof["steps"]), tuple(trusted))


def _step(number: int, step: Mapping[str, Any], premises: list[Mapping[str, Any]], canvas: str) -> None:
    rule, kind, data = step["rule"], step["type"], step["data"]
    weights = [Fraction(p["weight"]) for p in premises]
    own = Fraction(kind["weight"])
    if rule == "image":
        expected: set[Fraction] = {Fraction(0)}
        if kind["at"] or any(a is not None for a in kind["anchors"]):
            raise ProofError(number, "an image is read at no point and has no sigma")
    elif rule == "jet":
        powers = {Fraction(n) * (Fraction(data["power"]) - 1) for n in data["orders"]}
        if len(powers) != 1:
            raise ProofError(number, "derivatives of several weights are added")
        expected = {weights[0] + next(iter(powers))}
        if data["bias"] and expected != {Fraction(0)}:
            raise ProofError(number, "an offset on a value of nonzero weight")
        if data["border"] == "zero" and canvas == "fixed" and not premises[0]["black"]:
            raise ProofError(number, "a zero border next to features that are not 0")
        _jet_anchors(number, data["logs"], premises[0], kind)
    elif rule == "pointwise":
        degree = data["degree"]
        expected = {Fraction(0)} if degree is None else {Fraction(degree) * weights[0]}
        if degree is None and any(weights) and not any(a is not None for p in premises for a in p["anchors"]):
            raise ProofError(number, "an arbitrary function of a value of nonzero weight")
    elif rule == "product":
        expected = {weights[0] + (-1 if data["function"] == "div" else 1) * weights[1]}
    elif rule in FREE_WEIGHT:
        expected = {own}
    elif rule in SAME or rule == "read":
        expected = set(weights)
        if len(expected) != 1:
            raise ProofError(number, "values of different weights are combined")
    else:
        raise ProofError(number, f"unknown rule {rule!r}")
    if own not in expected:
        raise ProofError(number, f"weight {own} does not follow, {next(iter(expected))} does")
    _geometric(number, kind["anchors"])
    _reads(number, rule, data, premises, kind)
    if kind["free"] and rule != "reduce" and not any(p["free"] for p in premises) and rule != "same-weight":
        raise ProofError(number, "scale channels are pooled by a rule that does not pool")
    lost = len(kind["anchors"]) == 1 and any(len(p["anchors"]) > 1 for p in premises)
    if lost and rule not in ("reduce", "pick-scales", "part", "mix"):
        raise ProofError(number, "the scale axis disappears")


def _jet_anchors(number: int, logs: Any, premise: Mapping[str, Any], kind: Mapping[str, Any]) -> None:
    """Every layer's sigma keeps one ratio to the anchors, for the real and for the drawn weights."""
    own = [row[0][0] for row in logs]
    for draw in range(len(logs[0][0])):
        _geometric(number, [row[0][draw] for row in logs])
    anchors = kind["anchors"]
    if len(own) == len(anchors) and all(a is not None for a in anchors):
        offsets = [x - a for x, a in zip(own, anchors, strict=True)]
        if max(offsets) - min(offsets) > NEAR:
            raise ProofError(number, "the sigmas of the layer have no common ratio to the scale channels")
    elif len(own) > 1 and len(anchors) != len(own):
        raise ProofError(number, "another number of scale channels than of sigmas")
    before = premise["anchors"]
    if len(before) == len(anchors) and all(a is not None for a in before) and before != anchors:
        raise ProofError(number, "the scale channels change their sigmas")


def _geometric(number: int, anchors: Any) -> None:
    if len(anchors) < 2 or all(a is None for a in anchors):
        return
    if any(a is None for a in anchors):
        raise ProofError(number, "some scale channels have no sigma")
    steps = [b - a for a, b in pairwise(anchors)]
    if max(steps) - min(steps) > NEAR or abs(steps[0]) < NEAR:
        raise ProofError(number, "the sigmas of the scale channels are not in geometric progression")


def _reads(
    number: int, rule: str, data: Mapping[str, Any], premises: list[Mapping[str, Any]], kind: Mapping[str, Any]
) -> None:
    positions = {(axis, position) for p in premises for axis, position in map(tuple, p["at"])}
    claimed = {(axis, position) for axis, position in map(tuple, kind["at"])}
    if rule == "read":
        atom = premises[0]["axes"][data["axis"]][0]
        place = Fraction(atom[4]) + Fraction(atom[3]) * data["index"]
        if place:
            positions.add((atom[2], str(place)))
    missing = {axis for axis, _ in positions} - {axis for axis, _ in claimed}
    if rule == "same-weight" and len(premises) == 2:
        halves = {
            axis
            for axis in missing
            if {Fraction(p) for a, p in positions if a == axis} == {Fraction(1, 2), -Fraction(1, 2)}
        }
        missing -= halves
    if missing or claimed - positions:
        raise ProofError(number, "a point read away from the centre is forgotten or invented")


def _claim(kind: Mapping[str, Any], verdict: str) -> None:
    atoms = [a[0] for axis in kind["axes"] for a in axis]
    if kind["at"]:
        raise ProofError(None, "an output is read away from the centre")
    if len(kind["anchors"]) == 1 and kind["anchors"][0] is not None and not kind["free"]:
        raise ProofError(None, "an output is that of one fixed sigma")
    if verdict == "invariant" and ("X" in atoms or "S" in atoms or Fraction(kind["weight"]) or kind["index"]):
        raise ProofError(None, "an output is covariant, not invariant")
