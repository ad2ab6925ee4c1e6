"""The independent re-check of a network's verdict: no torch, no module of the prover.

Derived again, from the graph that the file carries, the types of the operands and the data of every step: that every
operator on the way from the image to an output has one step, in order, by a rule that is admitted for it; the weight of
every value; what is the same computation in all scale channels (`check_terms`), with the factors that are powers of
sigma; the sigmas of all scale channels, from those of the jet layers, and that they are geometric; that space and scale
channels are lost only where a rule reads, reduces or picks them; points read away from the centre; where a value is 0
on a black background; poolings over whole grids; and that the verdict follows. Witnesses are executed again.

Trusted: that the graph is the module's (link 1 runs both), numbers given to equal weights, which axis is which after a
reshape or a moved index (sizes, and that no axis of space or scale is lost, are checked), and the weights of the steps
that the report lists.
"""

import hashlib
import json
import math
from collections.abc import Mapping
from fractions import Fraction
from itertools import pairwise
from typing import Any

from ..theory.check import Report
from ..theory.rules import ProofError
from .check_rules import ADMITTED, HOMOGENEOUS, WITNESSES
from .check_terms import (
    NEAR,
    Broken,
    Keys,
    Pool,
    Value,
    anchors_of,
    check_axes,
    check_black,
    derive,
    geometric,
    invented,
    pool_of,
    window_of,
)
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
    "split",
    "moved",
    "written",
}
FREE_WEIGHT = {"compare", "part", "window"}
WITH_INDEX = ("aten.max", "aten.min", "aten.median")
LINKS = ("leaf = operator", "operator = theory", "network", "exact run")
SCOPE = "scale factors in ratio^Z, all weights of this architecture"


def check_network(data: Mapping[str, Any]) -> Report:
    """Check the JSON of a verdict.

    Returns:
        What was established, and the steps whose weight is taken from the file.

    Raises:
        ProofError: Something does not follow.
    """
    try:
        if not finite(data):
            raise ProofError(None, "NaN or infinity is not a number")
        return _check(data)
    except RecursionError as error:
        raise ProofError(None, "nested too deep") from error
    except (
        OverflowError,
        SyntaxError,
        MemoryError,
        KeyError,
        IndexError,
        TypeError,
        ValueError,
        AttributeError,
        ZeroDivisionError,
    ) as error:
        raise ProofError(None, f"the file is malformed ({type(error).__name__}: {error})") from error


def _check(data: Mapping[str, Any]) -> Report:
    verdict, proof = data.get("verdict"), data.get("proof")
    if verdict == "refuted":
        witness, rule = data.get("witness"), (data.get("offender") or {}).get("rule")
        if not isinstance(witness, dict) or defect(witness) == 0:
            raise ProofError(None, "the witness of the refutation does not differ")
        if witness["kind"] not in WITNESSES.get(str(rule), ()):
            raise ProofError(None, f"a witness of kind {witness['kind']!r} does not refute by rule {rule!r}")
        return Report((), (str((data.get("offender") or {}).get("rule")),), 1)
    if verdict not in ("covariant", "invariant") or not isinstance(proof, dict):
        raise ProofError(None, f"nothing is claimed: verdict {verdict!r}")
    _about(data, proof)
    nodes = _graph(proof)
    known: dict[str, Mapping[str, Any]] = {}
    values: dict[str, Value] = {}
    pools: dict[str, Pool | None] = {}
    keys, trusted, place, filled = Keys(), [], -1, False
    for number, step in enumerate(proof["steps"]):
        node = nodes.get(step["node"])
        if node is None or node["op"] != step["op"]:
            raise ProofError(number, f"no operator {step['op']} named {step['node']!r} in the graph")
        if node["place"] <= place:
            raise ProofError(number, "steps are not in the order of the graph, or one operator has two")
        place = node["place"]
        if step["rule"] not in ADMITTED.get(step["op"], ()):
            raise ProofError(number, f"rule {step['rule']!r} is not admitted for {step['op']}")
        premises = []
        for name in step["from"]:
            if name not in known:
                raise ProofError(number, f"operand {name!r} has not been derived")
            if name not in node["operands"]:
                raise ProofError(number, f"{name!r} is no operand of {step['node']!r}")
            premises.append(known[name])
        moving = {n for n in node["operands"] if nodes[n]["moving"]}
        if not moving <= {*step["from"], *_idle(step, node)} and step["rule"] != "image":
            raise ProofError(number, "an operand that depends on the image is left out")
        if step["rule"] in FREE_WEIGHT:
            trusted.append(number)
        picked = node["op"] == "getitem" and nodes[node["operands"][0]]["op"] in WITH_INDEX and step["rule"] == "part"
        if picked and node["static"] != "(['*', 0], {})" and not step["type"]["index"]:
            raise ProofError(number, "an index of a scale channel is taken for a value")
        own = [values[name] for name in step["from"]]
        more = {invented(step["type"], p.kind, proof["input_shape"][2:]) for p in own} - {""}
        filled = filled or (bool(more) and step["op"] != "aten.roll")
        if "cut" in more or ("all" in more and filled):
            raise ProofError(number, "samples beyond the edge of a value that was cut")
        own_pools = [pools[name] for name in step["from"]]
        try:
            _value(keys, number, dict(step), node, own, own_pools, proof["canvas"], values, pools)
        except Broken as error:
            raise ProofError(number, str(error)) from error
        _step(number, step, premises, proof, values[step["node"]])
        known[step["node"]] = step["type"]
    missing = [name for name, n in nodes.items() if n["needed"] and n["moving"] and name not in known]
    if missing:
        raise ProofError(None, f"no step derives {missing[0]!r}")
    if set(proof["outputs"]) != {n for n, node in nodes.items() if node["output"]}:
        raise ProofError(None, "the outputs are not those of the graph")
    outputs = [known[name] for name in proof["outputs"] if name in known]
    if not outputs:
        raise ProofError(None, "no output is derived")
    for kind in outputs:
        _claim(kind, verdict)
    return Report((str(verdict),), (), len(proof["steps"]), tuple(trusted))


def _about(data: Mapping[str, Any], proof: Mapping[str, Any]) -> None:
    """What the verdict says it is about is what the derivation is about, and no link contradicts it."""
    claim = data["claim"]
    if proof["canvas"] not in ("fixed", "scales") or not proof["canvas"] == data["canvas"] == claim["canvas"]:
        raise ProofError(None, "the canvas of the claim is not that of the derivation")
    if proof["input_shape"] != claim["input_shape"]:
        raise ProofError(None, "the image shape of the claim is not that of the derivation")
    if claim["scope"] != SCOPE:
        raise ProofError(None, f"the scope of a derivation is {SCOPE!r}")
    if [link["name"] for link in data["links"]] != list(LINKS):
        raise ProofError(None, f"a certificate has the links {', '.join(LINKS)}")
    for link in data["links"]:
        if link["verdict"] not in ((data["verdict"],) if link["name"] == "network" else ("holds", "not decided")):
            raise ProofError(None, f"the link {link['name']!r} says {str(link['verdict'])[:40]!r}")


def finite(value: Any) -> bool:
    """Whether there is no NaN or infinity anywhere: no comparison with them fails, so they would stand for all."""
    parts = value.values() if isinstance(value, Mapping) else value if isinstance(value, (list, tuple)) else ()
    return all(map(finite, parts)) and not (isinstance(value, float) and not math.isfinite(value))


def graph_digest(nodes: Any) -> str:
    """Of a graph's nodes, as the file carries them."""
    return hashlib.sha256(json.dumps(nodes, sort_keys=True).encode()).hexdigest()


def _graph(proof: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The nodes by name, with their place, whether they depend on the image and whether an output depends on them."""
    rows = proof["graph"]["nodes"]
    if graph_digest(rows) != proof["graph"]["sha256"]:
        raise ProofError(None, "the graph is not the one that was read")
    nodes: dict[str, dict[str, Any]] = {}
    for place, row in enumerate(rows):
        if row["name"] in nodes or any(name not in nodes for name in row["operands"]):
            raise ProofError(None, f"the graph is no graph at {row['name']!r}")
        moving = row["op"] == "placeholder" or any(nodes[name]["moving"] for name in row["operands"])
        moving = moving and not row["op"].endswith(("_like", ".new_zeros", ".new_ones", ".new_full"))
        nodes[row["name"]] = {**row, "place": place, "moving": moving, "needed": row["output"]}
    for node in reversed(list(nodes.values())):
        for name in node["operands"] if node["needed"] else ():
            nodes[name]["needed"] = True
    return nodes


def _idle(step: Mapping[str, Any], node: Mapping[str, Any]) -> list[str]:
    """Operands of which only the shape is used."""
    first_only = step["op"] in (
        "aten.copy",
        "aten.type_as",
        "aten.index_put",
        "aten.select_scatter",
        "aten.slice_scatter",
    )
    return list(node["operands"]) if first_only and step["rule"] in ("identity",) else []


def _value(
    keys: Keys,
    number: int,
    step: dict[str, Any],
    node: Mapping[str, Any],
    premises: list[Value],
    own_pools: list[Pool | None],
    canvas: str,
    values: dict[str, Value],
    pools: dict[str, Pool | None],
) -> None:
    """What the step computes, its sigmas, and whether a pooled scale axis was a whole grid."""
    kind = step["type"]
    types = [p.kind for p in premises]
    if step["rule"] == "jet":
        spacing = [a for axis in types[0]["axes"] for a in axis if a[0] == "X"][-1][3]
        step["data"] = {**step["data"], "shift": math.log(abs(Fraction(spacing)))}
    step["premise_weights"] = [t["weight"] for t in types]
    check_axes(step, node, types)
    check_black(step, types)
    for claimed, derived in zip(kind["anchors"], anchors_of(step, types), strict=True):
        if (claimed is None) != (derived is None) or (claimed is not None and abs(claimed - derived) > NEAR):
            raise ProofError(number, "the sigmas of the scale channels are not those of the operands")
    found, gains, power = derive(keys, step, node, premises)
    values[step["node"]] = Value({**kind, "power": power}, found, gains)
    pool = pool_of(keys, step, node, premises, own_pools)
    pools[step["node"]] = pool
    window = window_of(step, types)
    if kind["free"]:
        passed = all(t["free"] or t["anchors"][0] is None for t in types) and any(t["free"] for t in types)
        reduced = step["rule"] in ("reduce", "mix") and any(len(t["anchors"]) > 1 for t in types)
        if pool and geometric(pool[2]) and step["rule"] == "same-weight":
            window = (pool[2][0], pool[2][-1])
        elif not passed and not reduced:
            raise ProofError(number, "scale channels are pooled by a rule that does not pool")
    if kind["window"] is not None and (window is None or not _inside(kind["window"], window)):
        raise ProofError(number, "a pooling is said to be over more scale channels than it is")
    if kind["window"] is None and window is not None:
        raise ProofError(number, "the scale channels that were pooled are left out")


def _inside(claimed: Any, derived: tuple[float, float]) -> bool:
    return bool(claimed[0] >= derived[0] - NEAR and claimed[1] <= derived[1] + NEAR)


def _step(
    number: int, step: Mapping[str, Any], premises: list[Mapping[str, Any]], proof: Mapping[str, Any], value: Value
) -> None:
    rule, kind, data, canvas = step["rule"], step["type"], step["data"], proof["canvas"]
    weights = [Fraction(p["weight"]) for p in premises]
    own = Fraction(kind["weight"])
    if rule == "image":
        expected: set[Fraction] = {Fraction(0)}
        if kind["at"] or kind["index"] or any(a is not None for a in kind["anchors"]):
            raise ProofError(number, "an image is read at no point and has no sigma")
        shape = proof["input_shape"]
        spatial = [[["X", n, i, "1", str(Fraction(1 - n, 2))]] for i, n in enumerate(shape[2:])]
        leading = [[[letter, n]] if n > 1 else [] for letter, n in zip("BC", shape, strict=False)]
        if kind["axes"] != [*leading, *spatial]:
            raise ProofError(number, "the axes are not those of an image of this shape, centred")
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
        name = step["op"].removeprefix("aten.")
        if degree is not None and name != "pow" and degree not in HOMOGENEOUS.get(name, ()):
            raise ProofError(number, f"{name} is not homogeneous of degree {degree}")
        expected = {Fraction(0)} if degree is None else {Fraction(degree) * weights[0]}
        if degree is None and any(w and p["free"] for w, p in zip(weights, premises, strict=True)):
            raise ProofError(number, "an arbitrary function of a value of nonzero weight, pooled over its sigmas")
        if degree is None and any(weights) and not any(a is not None for p in premises for a in p["anchors"]):
            raise ProofError(number, "an arbitrary function of a value of nonzero weight")
    elif rule == "product":
        expected = {weights[0] + (-1 if data["function"] == "div" else 1) * weights[1]}
    elif rule == "running-sum":
        expected = {weights[0] + 1}
    elif rule == "reduce":
        expected = _reduced(number, step, premises[0], proof)
    elif rule == "factor":
        expected = {weights[0]}
    elif rule == "compare":
        expected = {Fraction(0)}
    elif rule in FREE_WEIGHT:
        expected = {own}
    elif rule in SAME or rule == "read":
        expected = set(weights)
        if len(expected) != 1:
            raise ProofError(number, "values of different weights are combined")
    else:
        raise ProofError(number, f"unknown rule {rule!r}")
    power = value.kind["power"]
    expected = {w + power for w in expected}
    if own not in expected:
        raise ProofError(number, f"weight {own} does not follow, {next(iter(expected))} does")
    _geometric(number, kind["anchors"])
    _reads(number, rule, data, premises, kind)


def _reduced(
    number: int, step: Mapping[str, Any], premise: Mapping[str, Any], proof: Mapping[str, Any]
) -> set[Fraction]:
    """The weight after a reduction: sums over space count with the volume, on a black background of fixed size only."""
    kind, function = step["type"], step["data"]["function"]
    weight = Fraction(premise["weight"])
    before = [a for axis in premise["axes"] for a in axis if a[0] in "XP"]
    after = [a for axis in kind["axes"] for a in axis if a[0] in "XP"]
    gone = list(before)
    for atom in after:
        if atom not in gone:
            raise ProofError(number, "a reduction makes an axis of space")
        gone.remove(atom)
    sizes = proof["input_shape"][2:]
    for atom in gone:
        n, count = sizes[atom[2]], atom[1]
        places = [Fraction(p) for p in atom[3]] if atom[0] == "P" else None
        spacing = Fraction(1) if places else abs(Fraction(atom[3]))
        low = min(places) if places else min(Fraction(atom[4]), Fraction(atom[4]) + Fraction(atom[3]) * (count - 1))
        high = low + spacing * (count - 1)
        edge = Fraction(n - 1, 2)
        middle = count == 2 and function == "mean" and low == -high and n % 2 == 0
        if not (low - spacing < -edge <= low and high <= edge < high + spacing) and not middle:
            raise ProofError(number, "a reduction over part of the canvas")
        if function in ("mean", "sum", "norm") and not middle:
            if proof["canvas"] == "fixed" and not premise["black"]:
                raise ProofError(number, f"a {function} over a canvas of features that are not 0 on its background")
            power = Fraction(str(step["data"].get("power", 1)))
            weight += (
                (1 / power if function == "norm" else 1) if proof["canvas"] == "fixed" or function != "mean" else 0
            )
        elif function not in ("max", "min") and not middle:
            raise ProofError(number, f"{function} over space")
    if function in ("max", "min", "mean", "sum", "median", "std", "norm"):
        return {weight}
    if function == "var":
        return {2 * weight}
    if function == "prod":
        return {Fraction(kind["weight"])} if weight else {Fraction(0)}
    return {Fraction(0)}


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
        rearranged = atom[0] == "P"
        place = Fraction(atom[3][data["index"]] if rearranged else atom[4])
        place += 0 if rearranged else Fraction(atom[3]) * data["index"]
        if place:
            positions.add((atom[2], str(place)))
    missing = positions - claimed
    if rule == "same-weight" and data["function"] == "add" and len(premises) == 2:
        one, other = ({tuple(x) for x in p["at"]} for p in premises)
        halves = {(a, p) for a, p in one ^ other if abs(Fraction(p)) == Fraction(1, 2)}
        missing -= halves if len(halves) == 2 and sum(Fraction(p) for _, p in halves) == 0 else set()
    if missing or claimed - positions:
        raise ProofError(number, "a point read away from the centre is forgotten or invented")


def _claim(kind: Mapping[str, Any], verdict: str) -> None:
    atoms = [a[0] for axis in kind["axes"] for a in axis]
    if "P" in atoms or "W" in atoms:
        raise ProofError(None, "an output on rearranged points")
    if kind["window"] is not None and kind["window"][1] - kind["window"][0] <= NEAR:
        raise ProofError(None, "poolings over different parts of the scale channels are combined")
    if kind["at"]:
        raise ProofError(None, "an output is read away from the centre")
    if len(kind["anchors"]) == 1 and kind["anchors"][0] is not None and not kind["free"]:
        raise ProofError(None, "an output is that of one fixed sigma")
    if verdict == "invariant" and ("X" in atoms or "S" in atoms or Fraction(kind["weight"]) or kind["index"]):
        raise ProofError(None, "an output is covariant, not invariant")
