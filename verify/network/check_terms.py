"""Derived again for the checker: what is the same computation, which axes a value has, where it is black.

No torch, no module of the prover. A value keeps one key per scale channel, the number of everything that was computed
for it, up to a common factor of its sigmas; and one logarithm per scale channel of a constant factor.
"""

import ast
from collections.abc import Hashable, Mapping, Sequence
from fractions import Fraction
from itertools import pairwise
from typing import Any

NEAR = 1e-5
COPIES = {"identity", "reshape", "permute", "expand", "regrid", "flip", "roll", "pad", "moved", "read", "part"}
"""Rules that compute nothing: black stays black, weights and factors stay."""
KEEP_GRID = {
    *("same-weight", "product", "choose", "compare", "pointwise", "running-sum", "identity", "permute", "factor"),
    *("channel", "channels", "jet", "pick-scales", "expand", "mix", "reduce"),
}
"""Rules whose results lie on the grids of their operands."""
UNSIGNED = {
    "factor",
    "same-weight",
    "product",
    "choose",
    "join",
    "part",
    "jet",
    "mix",
    "pick-scales",
    "identity",
    "read",
}
"""Rules whose operator's own numbers are in the data, or say which scale channel is meant."""


class Broken(Exception):
    """The step does not follow."""


class Keys:
    """Numbers of computations; logarithms are equal within NEAR."""

    def __init__(self) -> None:
        self._known: dict[Hashable, int] = {}
        self._logs: list[float] = []

    def __call__(self, *parts: Hashable) -> int:
        """The number of a computation."""
        return self._known.setdefault(parts, len(self._known))

    def log(self, value: float) -> float:
        """The representative of a logarithm."""
        for known in self._logs:
            if abs(known - value) <= NEAR:
                return known
        self._logs.append(value)
        return value


class Value:
    """What the checker knows: the claimed type, keys and factors it derived itself."""

    def __init__(self, kind: Mapping[str, Any], keys: Sequence[int], gains: Sequence[float]) -> None:
        self.kind, self.keys, self.gains = kind, list(keys), list(gains)

    def at(self, i: int, n: int) -> tuple[int, float, Any]:
        """Key, factor and anchor of scale channel i of n; what was pooled over the scale axis has no sigma there."""
        k = i if len(self.keys) > 1 else 0
        pooled = self.kind["free"] and n > 1
        return self.keys[k], self.gains[k], None if pooled else self.kind["anchors"][k]


def derive(
    keys: Keys, step: Mapping[str, Any], node: Mapping[str, Any], premises: Sequence[Value]
) -> tuple[list[int], list[float], Fraction]:
    """Keys and factors of a step's scale channels, and the power of sigma that its factors add to the weight.

    Raises:
        Broken: Scale channels that are claimed to be one family differ.
    """
    rule, kind, data = step["rule"], step["type"], step["data"]
    n = len(kind["anchors"])
    signature = () if rule in UNSIGNED else (repr(node["static"]),)
    if rule == "image":
        return [keys("image")], [0.0], Fraction(0)
    if data.get("picked") is not None:
        found, gains = [premises[0].keys[i] for i in data["picked"]], [premises[0].gains[i] for i in data["picked"]]
        found = [keys(rule, *signature, k) for k in found] if signature else found
    elif rule == "join" and data.get("scales"):
        found, gains = [k for p in premises for k in p.keys], [g for p in premises for g in p.gains]
    elif "scale_window" in data or (len(premises[0].keys) > n and rule in ("reduce", "mix", "window")):
        first = _family(premises[0], rule)
        found = [keys(rule, *signature, first, repr(data))] * n
        gains = [premises[0].gains[0] if rule != "reduce" or data["function"] in LINEAR else 0.0] * n
    else:
        found, gains = [], []
        for i in range(n):
            key, gain = _one(keys, rule, (*signature, kind_of(step, i)), data, [p.at(i, n) for p in premises], i, step)
            found.append(key)
            gains.append(gain)
    power = Fraction(0)
    if n > 1 and any(a is not None for a in kind["anchors"]):
        if len(set(found)) > 1:
            raise Broken("scale channels compute different things")
        power = _power(gains, kind["anchors"])
        gains = [gains[0]] * n
    return found, gains, power


LINEAR = ("max", "min", "mean", "sum", "norm", "std", "median", "argmax")


def kind_of(step: Mapping[str, Any], i: int) -> Hashable:
    """The data of a step for scale channel i: lists with one entry per scale channel are taken at i."""
    data = dict(step["data"])
    n = len(step["type"]["anchors"])
    for name in ("constants", "code"):
        row = data.get(name)
        if isinstance(row, list) and len(row) == n and n > 1:
            data[name] = [row[i]]
    for name in ("logs", "index", "indices", "keep", "picked"):
        data.pop(name, None)
    return (step["rule"], step["op"], repr(sorted(data.items())))


def _one(
    keys: Keys,
    rule: str,
    signature: Hashable,
    data: Mapping[str, Any],
    operands: Sequence[tuple[int, float, Any]],
    i: int,
    step: Mapping[str, Any],
) -> tuple[int, float]:
    anchor = next((a for _, _, a in operands if a is not None), None)
    offsets = tuple(None if a is None or anchor is None else keys.log(a - anchor) for _, _, a in operands)
    weight = Fraction(step["premise_weights"][0]) if step.get("premise_weights") else Fraction(0)
    gain = operands[0][1]
    if rule == "factor":
        logs = data["logs"]
        gain += logs[i if len(logs) > 1 else 0][0]
        rest = tuple(data["constants"])
        return (keys("rest", operands[0][0], rest) if rest else operands[0][0]), gain
    if rule == "jet":
        logs = data["logs"]
        own = [row[0] for row in logs[i if len(logs) > 1 else 0]]
        shift = data.get("shift", 0.0)
        relative = tuple(keys.log(x - own[0]) for x in own)
        start = own[0] + shift if anchor is None else anchor
        offset = _folded(keys, gain, weight, anchor) if data["bias"] else None
        key = keys(signature, operands[0][0], keys.log(own[0] + shift - start), relative, offset)
        return key, 0.0 if data["bias"] else gain
    if rule == "pointwise":
        if data["degree"] is not None and len(operands) == 1:
            return keys(signature, operands[0][0]), float(Fraction(data["degree"])) * gain
        folded = tuple((k, _folded(keys, g, weight, a)) for k, g, a in operands)
        return keys(signature, folded, offsets), 0.0
    if rule == "mix" and data["bias"]:
        return keys(signature, operands[0][0], _folded(keys, gain, weight, anchor)), 0.0
    if (
        rule in COPIES
        or rule in ("channel", "channels", "window", "reduce", "mix", "running-sum")
        or len(operands) == 1
    ):
        return (operands[0][0] if rule == "identity" else keys(signature, operands[0][0])), gain
    same = all(abs(g - gain) <= NEAR for _, g, _ in operands)
    combined = tuple((k, None if same and rule != "product" else keys.log(g)) for k, g, _ in operands)
    return keys(signature, combined, offsets), gain if same and rule != "product" else 0.0


def _folded(keys: Keys, gain: float, weight: Fraction, anchor: float | None) -> float | None:
    """The factor that brings a value of this weight to weight 0: it becomes part of what is computed."""
    if weight and anchor is None:
        raise Broken("a value of nonzero weight that no sigma entered is given to a function")
    return keys.log(gain + float(weight) * (anchor or 0.0)) if gain or weight else None


def _family(value: Value, rule: str) -> int:
    if any(a is not None for a in value.kind["anchors"]) and len(set(value.keys)) > 1:
        raise Broken(f"{rule} over scale channels that compute different things")
    return value.keys[0]


def _power(gains: Sequence[float], anchors: Sequence[float]) -> Fraction:
    """P where the factors of the scale channels are constant * sigma^p."""
    steps = [b - a for a, b in pairwise(gains)]
    ratio = anchors[1] - anchors[0]
    if max(steps) - min(steps) > NEAR:
        raise Broken("the factors of the scale channels are no power of their sigmas")
    power = steps[0] / ratio if ratio else 0.0
    return Fraction(power).limit_denominator(24) if abs(power) > NEAR else Fraction(0)


def atoms(kind: Mapping[str, Any], letters: str) -> list[tuple[Any, ...]]:
    """The factors of some kinds in the axes of a type, without their sizes' order."""
    return sorted(tuple(map(str, a)) for axis in kind["axes"] for a in axis if a[0] in letters)


def check_axes(step: Mapping[str, Any], node: Mapping[str, Any], premises: Sequence[Mapping[str, Any]]) -> None:
    """Space and scale do not get lost: only reads, reductions and picked scale channels take them away.

    Raises:
        Broken: They did, or the sizes are not those of the graph.
    """
    rule, kind = step["rule"], step["type"]
    sizes = [_product(a[1] for a in axis) for axis in kind["axes"]]
    if node["shape"] is not None and rule not in ("part", "split", "reduce") and sizes != list(node["shape"]):
        raise Broken(f"axes of sizes {sizes}, the graph has {list(node['shape'])}")
    found = {a[0] for axis in kind["axes"] for a in axis}
    if not found <= set("BCRSXPW"):
        raise Broken(f"an axis of unknown kind {sorted(found, key=str)[-1]!r}")
    if any(p["index"] for p in premises) and not kind["index"]:
        raise Broken("an index of a scale channel is taken for a value")
    if rule in KEEP_GRID:
        known = {a for p in premises for a in atoms(p, "XPW")}
        if any(a not in known for a in atoms(kind, "XPW")):
            raise Broken("a grid map is none of those of the operands")
    if rule == "regrid" and step["op"] == "aten.slice":
        check_slice(step, node, premises[0])
    if rule == "read":
        left = [list(axis) for axis in premises[0]["axes"]]
        left[step["data"]["axis"]] = []
        if not step["data"]["keep"]:
            del left[step["data"]["axis"]]
        if kind["axes"] != left:
            raise Broken("a read-out changes the axes that it does not read")
    if rule in ("image", "read", "reduce", "window", "part", "moved"):
        if rule in ("read", "part", "window") and len(atoms(kind, "XPW")) < len(atoms(premises[0], "XPW")) - 3:
            raise Broken("space disappears")
        return
    most = max((sum(a[0] == "X" for axis in p["axes"] for a in axis) for p in premises), default=0)
    own = sum(a[0] == "X" for axis in kind["axes"] for a in axis)
    if own < most:
        raise Broken("space disappears by a rule that does not read it")
    scales = max((len(p["anchors"]) for p in premises), default=1)
    if len(kind["anchors"]) < scales and rule not in ("pick-scales", "mix"):
        raise Broken("the scale axis disappears")
    if any(a[0] == "S" for axis in kind["axes"] for a in axis) != (len(kind["anchors"]) > 1):
        raise Broken("a scale axis and its scale channels do not agree")
    if rule in ("identity", "pointwise", "factor", "channel", "channels", "jet", "permute") and len(premises) == 1:
        for letters in "XPW":
            before, after = atoms(premises[0], letters), atoms(kind, letters)
            if before != after:
                raise Broken("grid maps change by a rule that moves nothing")


def check_slice(step: Mapping[str, Any], node: Mapping[str, Any], premise: Mapping[str, Any]) -> None:
    """A crop or stride keeps the samples that the graph's own numbers say.

    Raises:
        Broken: Its grid map says others.
    """
    (_, *given), named = ast.literal_eval(node["static"])
    names = ("dim", "start", "end", "step")
    taken = {**dict(zip(names, given, strict=False)), **named}
    axis = taken.get("dim", 0) % len(premise["axes"])
    (atom,) = premise["axes"][axis]
    kept = range(atom[1])[slice(taken.get("start"), taken.get("end"), taken.get("step"))]
    spacing, offset = Fraction(atom[3]), Fraction(atom[4])
    expected = ["X", len(kept), atom[2], str(spacing * kept.step), str(offset + spacing * kept.start)]
    if step["type"]["axes"] != [*premise["axes"][:axis], [expected], *premise["axes"][axis + 1 :]]:
        raise Broken("a crop or stride does not keep the samples that the graph says")


def invented(result: Mapping[str, Any], operand: Mapping[str, Any], canvas: Sequence[int]) -> str:
    """Samples beyond those of an operand: "beyond" a canvas it spans, "all" if it has as many pixels, else "cut"."""
    found = set()
    for axis, n in enumerate(canvas):
        new, old = (_extent(kind, axis) for kind in (result, operand))
        if new and old and not (old[0] <= new[0] and new[1] <= old[1]):
            edge = Fraction(n - 1, 2)
            spans = old[0] - old[2] < -edge and old[1] + old[2] > edge
            found.add("beyond" if spans else "all" if old[2] == 1 and old[1] - old[0] == n - 1 else "cut")
    return next((word for word in ("cut", "all", "beyond") if word in found), "")


def _extent(kind: Mapping[str, Any], axis: int) -> tuple[Fraction, Fraction, Fraction] | None:
    low = high = Fraction(0)
    step = Fraction(0)
    for atom in (a for one in kind["axes"] for a in one):
        if atom[0] not in "XPW" or atom[2] != axis:
            continue
        if atom[0] == "X":
            ends = Fraction(atom[4]), Fraction(atom[4]) + Fraction(atom[3]) * (atom[1] - 1)
            step = max(abs(Fraction(atom[3])), step)
        else:
            places = [Fraction(p) for p in atom[3]]
            ends, step = (min(places), max(places)), max(Fraction(1), step)
        low, high = low + min(ends), high + max(ends)
    return (low, high, step) if step else None


def _product(values: Any) -> int:
    total = 1
    for v in values:
        total *= int(v)
    return total


def _space(kind: Mapping[str, Any]) -> set[int]:
    """The spatial axes of the image that a value has."""
    return {atom[2] for axis in kind["axes"] for atom in axis if atom[0] == "X"}


def check_black(step: Mapping[str, Any], premises: Sequence[Mapping[str, Any]]) -> None:
    """A value is 0 on a black background only if its rule makes it so.

    Raises:
        Broken: It is claimed to be, and the rule does not.
    """
    rule, data = step["rule"], step["data"]
    if step["type"]["flat"] and not step["type"]["black"]:
        check_flat(step, premises)
    if not step["type"]["black"]:
        return
    space = _space(step["type"])
    dark = [bool(p["black"]) and space <= _space(p) for p in premises]  # read out of space, then broadcast: not beside
    if rule == "jet":
        holds = not data["bias"] and (
            all(dark) or (0 not in data["orders"] and data["border"] != "zero" and _flat(premises[0]))
        )
    elif rule == "mix":
        holds = not data["bias"] and all(dark)
    elif rule == "pointwise":
        holds = bool(data["zero"]) and all(dark)
    elif rule == "product":
        holds = data["function"] == "mul" and any(dark)
    elif rule == "choose":
        holds = bool(data["black"])
    elif rule in ("compare", "running-sum"):
        holds = False
    else:
        holds = all(dark)
    if not holds:
        raise Broken("a value is said to be 0 on a black background, its rule does not make it so")


def check_flat(step: Mapping[str, Any], premises: Sequence[Mapping[str, Any]]) -> None:
    """A value is the same all over the background: so are its operands, each along all of its axes or none.

    Raises:
        Broken: One of them is not.
    """
    space = _space(step["type"])
    if step["rule"] == "running-sum" or not all(not _space(p) or (_flat(p) and space <= _space(p)) for p in premises):
        raise Broken("a value is said to be the same all over the background, an operand is not")


def _flat(kind: Mapping[str, Any]) -> bool:
    return bool(kind["flat"]) or bool(kind["black"])


def window_of(step: Mapping[str, Any], premises: Sequence[Mapping[str, Any]]) -> tuple[float, float] | None:
    """What the pooled scale axes in a value share, derived from its operands and, for a pooling, its own anchors."""
    found = [tuple(p["window"]) for p in premises if p["window"] is not None]
    pools = len(step["type"]["anchors"]) == 1 and step["rule"] in ("reduce", "mix")
    for p in premises if pools else ():
        own = [a for a in p["anchors"] if a is not None]
        if len(own) > 1 and step["type"]["free"]:
            found.append((min(own), max(own)))
    return (max(w[0] for w in found), min(w[1] for w in found)) if found else None


def anchors_of(step: Mapping[str, Any], premises: Sequence[Mapping[str, Any]]) -> list[float | None]:
    """Logarithms of the sigmas of a step's scale channels, from those of its operands or, for a jet layer, its own."""
    rule, kind, data = step["rule"], step["type"], step["data"]
    n = len(kind["anchors"])
    if rule == "image":
        return [None]
    if data.get("picked") is not None:
        return [premises[0]["anchors"][i] for i in data["picked"]]
    if rule == "join" and data.get("scales"):
        return [a for p in premises for a in p["anchors"]]
    if "scale_window" in data:
        size, padding = data["scale_window"]
        first, second = premises[0]["anchors"][:2]
        return [first + (second - first) * (i + (size - 1) / 2 - padding) for i in range(n)]
    own: list[float | None] = []
    for i in range(n):
        rows = [p["anchors"][i if len(p["anchors"]) == n else 0] for p in premises if not (p["free"] and n > 1)]
        own.append(next((a for a in rows if a is not None), None))
        if rule == "jet" and own[-1] is None:
            logs = data["logs"]
            own[-1] = logs[i if len(logs) > 1 else 0][0][0] + data["shift"]
    return own


Pool = tuple[str, int, tuple[float, ...]]


def pool_of(
    keys: Keys,
    step: Mapping[str, Any],
    node: Mapping[str, Any],
    premises: Sequence[Value],
    pools: Sequence[Pool | None],
) -> Pool | None:
    """Single scale channels merged one by one so far: (function, what each computes, their sigmas)."""
    rule, data = step["rule"], step["data"]
    if len(step["type"]["anchors"]) > 1 or any(len(p.keys) > 1 for p in premises):
        return None
    if rule in COPIES and pools and pools[0]:
        function, key, own = pools[0]
        return function, key if rule in UNSIGNED else keys("pooled", repr(node["static"]), key), own
    if rule == "factor" and pools[0]:
        return pools[0]
    if (
        rule != "same-weight"
        or len(premises) != 2
        or data["constants"]
        or data["function"] not in ("add", "max", "min")
    ):
        return None
    found: list[tuple[int, tuple[float, ...]]] = []
    for p, pool in zip(premises, pools, strict=True):
        if pool and pool[0] == data["function"]:
            found.append((pool[1], pool[2]))
        elif p.kind["anchors"][0] is not None and not p.kind["free"]:
            found.append((p.keys[0], (p.kind["anchors"][0],)))
    if len(found) < 2 or found[0][0] != found[1][0] or abs(premises[0].gains[0] - premises[1].gains[0]) > NEAR:
        return None
    return data["function"], found[0][0], tuple(sorted(found[0][1] + found[1][1]))


def geometric(anchors: Sequence[float]) -> bool:
    """Whether logarithms of sigmas are equidistant and different."""
    steps = [b - a for a, b in pairwise(anchors)]
    return bool(steps) and max(steps) - min(steps) <= NEAR and abs(steps[0]) > NEAR
