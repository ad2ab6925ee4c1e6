"""The network's layers and nodes on polynomials, in rational arithmetic.

A polynomial image stays one under Gaussian smoothing (heat polynomials), so a jet layer with its real weights is
evaluated without any rounding, and covariance is equality of polynomials.
"""

import random
from collections.abc import Sequence
from fractions import Fraction
from itertools import product
from typing import Any

from ...operators import inverse_factorials, jet_orders

Polynomial = dict[tuple[int, ...], Fraction]
S = Fraction(3, 2)


def add(a: Polynomial, b: Polynomial, factor: Fraction = Fraction(1)) -> Polynomial:
    """A + factor * b."""
    result = dict(a)
    for key, value in b.items():
        result[key] = result.get(key, Fraction(0)) + factor * value
    return {k: v for k, v in result.items() if v}


def multiply(a: Polynomial, b: Polynomial) -> Polynomial:
    """A b."""
    result: Polynomial = {}
    for (i, x), (j, y) in product(a.items(), b.items()):
        key = tuple(p + q for p, q in zip(i, j, strict=True))
        result[key] = result.get(key, Fraction(0)) + x * y
    return {k: v for k, v in result.items() if v}


def derivative(a: Polynomial, orders: Sequence[int]) -> Polynomial:
    """Partial derivatives."""
    result = a
    for axis, n in enumerate(orders):
        for _ in range(n):
            result = {(*k[:axis], k[axis] - 1, *k[axis + 1 :]): v * k[axis] for k, v in result.items() if k[axis] > 0}
    return result


def smooth(a: Polynomial, variance: Fraction, ndim: int) -> Polynomial:
    """exp(variance / 2 Laplacian) a: a finite sum."""
    result, term, n = dict(a), dict(a), 0
    while term:
        n += 1
        laplacian: Polynomial = {}
        for axis in range(ndim):
            laplacian = add(laplacian, derivative(term, [2 if i == axis else 0 for i in range(ndim)]))
        term = {k: v * variance / (2 * n) for k, v in laplacian.items()}
        result = add(result, term)
    return result


def rescale(a: Polynomial, factor: Fraction) -> Polynomial:
    """a(x / factor)."""
    return {k: v / factor ** sum(k) for k, v in a.items()}


def layer(
    features: Sequence[Polynomial],
    weight: Sequence[Sequence[Fraction]],
    bias: Fraction,
    sigma: Sequence[Fraction],
    orders: Sequence[tuple[int, ...]],
    power: int,
    ndim: int,
) -> Polynomial:
    """One output channel of a jet layer, squared."""
    factors = [Fraction(f).limit_denominator(10**6) for f in inverse_factorials(tuple(orders))]
    total: Polynomial = {(0,) * ndim: bias} if bias else {}
    for f, w, s in zip(features, weight, sigma, strict=True):
        smoothed = smooth(f, s * s, ndim)
        for a, value, factor in zip(orders, w, factors, strict=True):
            total = add(total, derivative(smoothed, a), value * factor * s ** (power * sum(a)))
    return multiply(total, total)


def jet_is_covariant(jet: dict[str, Any], ndim: int) -> tuple[bool, int]:
    """Whether F'(S x; S sigma) = S^w F(x; sigma) on random polynomials; and how many monomials were compared."""
    rng = random.Random(7)
    orders = jet_orders(ndim, jet["order"], zero_order=jet["zero_order"])
    power = int(jet["norm_power"])
    n_in = min(int(jet["weight"].shape[1]), 2)
    degree = 3 if ndim < 3 else 2
    keys = [k for k in product(range(degree + 1), repeat=ndim) if sum(k) <= degree]
    features = [{k: Fraction(rng.randint(-9, 9), rng.randint(1, 5)) for k in keys} for _ in range(n_in)]
    sigma = jet["sigma"][0].flatten().tolist()
    sigmas = [Fraction(sigma[i % len(sigma)]).limit_denominator(1000) for i in range(n_in)]
    weight = [[Fraction(float(v)) for v in jet["weight"][0, i].tolist()] for i in range(n_in)]
    bias = Fraction(float(jet["bias"][0])) if jet["bias"] is not None else Fraction(0)
    base = layer(features, weight, bias, sigmas, orders, power, ndim)
    scaled = layer([rescale(f, S) for f in features], weight, bias, [s * S for s in sigmas], orders, power, ndim)
    moved = {k: v * S ** sum(k) for k, v in scaled.items()}
    weights = {(power - 1) * sum(a) for a in orders}
    if len(weights) > 1:
        return moved == base, len(base)
    factor = S ** (2 * weights.pop())
    return moved == {k: v * factor for k, v in base.items()}, len(base)


def steps_are_covariant(run: Any) -> tuple[int, int, str | None]:
    """Every pointwise, mixing, adding, multiplying and reading node on random polynomials of its operands' weights.

    With operands P' = S^w P(x / S) the node must give S^v times its result, scaled, v the weight that was derived. What
    the node adds or multiplies is its own (the first output channel of a 1 x 1 convolution or linear layer, on at most
    three input channels). A function without a degree of homogeneity becomes u^2 + u + 1, one of degree d u^d.

    Returns:
        Nodes that were run, monomials that were compared, and the first node that fails.
    """
    kinds = {step["node"]: step["type"] for step in run.steps}
    nodes = {node.name: node for node in run.graph.nodes}
    ran, compared = 0, 0
    for number, step in enumerate(run.steps):
        weights = [Fraction(kinds[name]["weight"]) for name in step["from"] if name in kinds]
        own = Fraction(step["type"]["weight"])
        if not weights or any(w.denominator > 2 for w in (*weights, own)):
            continue
        function = _node(run, step, nodes[step["node"]], len(weights))
        if function is None:
            continue
        base = S**2  # a square: weights of halves stay rational
        rng = random.Random(number)
        operands = [
            [_random_polynomial(rng, run.ndim) for _ in range(3 if step["rule"] == "mix" else 1)] for _ in weights
        ]
        plain = function(operands)
        scaled = function(
            [
                [_times(rescale(p, base), _power_of(base, w)) for p in row]
                for row, w in zip(operands, weights, strict=True)
            ]
        )
        expected = _times(rescale(plain, base), _power_of(base, own))
        ran, compared = ran + 1, compared + len(plain)
        if scaled != expected:
            return ran, compared, f"{step['path'] or step['node']} ({step['op']})"
    return ran, compared, None


def _power_of(base: Fraction, weight: Fraction) -> Fraction:
    return S ** int(2 * weight) if base == S**2 else base ** int(weight)


def _times(a: Polynomial, factor: Fraction) -> Polynomial:
    return {k: v * factor for k, v in a.items()}


def _random_polynomial(rng: random.Random, ndim: int) -> Polynomial:
    keys = [k for k in product(range(3), repeat=ndim) if sum(k) <= 2]
    return {k: Fraction(rng.randint(1, 9), rng.randint(1, 5)) for k in keys}


def _node(run: Any, step: dict[str, Any], node: Any, operands: int) -> Any:
    """A function of the operands' polynomials, or None for nodes that are not run."""
    rule, data = step["rule"], step["data"]
    anchored = any(a is not None for a in step["type"]["anchors"])
    if rule == "pointwise" and operands == 1:
        degree = data["degree"]
        if degree is None:
            # Features of nonzero weight are brought to weight 0 by their sigmas before they are given to it.
            weights = {Fraction(s["type"]["weight"]) for s in run.steps if s["node"] == step["from"][0]}
            if weights != {Fraction(0)} and anchored:
                return None
            return lambda rows: add(add(multiply(rows[0][0], rows[0][0]), rows[0][0]), _one(run.ndim))
        d = Fraction(degree)
        if d.denominator != 1 or d < 1:
            return None
        return lambda rows: _to_the(rows[0][0], int(d), run.ndim)
    if rule == "same-weight" and operands == 2 and data["function"] in ("add", "sub"):
        sign = Fraction(-1 if data["function"] == "sub" else 1)
        return lambda rows: add(rows[0][0], rows[1][0], sign)
    if rule == "product" and data["function"] == "mul":
        return lambda rows: multiply(rows[0][0], rows[1][0])
    if rule == "read" or (rule in ("identity", "reshape", "permute") and operands == 1):
        centre = (0,) * run.ndim
        return lambda rows: {k: v for k, v in rows[0][0].items() if rule != "read" or k == centre}
    if rule == "mix" and node.op in ("aten.conv1d", "aten.conv2d", "aten.conv3d", "aten.linear"):
        weight = run.values[node.args[1]].real
        if weight[0, 0].numel() > 1:
            return None
        row = [Fraction(float(v)) for v in weight[0].flatten()[:3].tolist()]
        bias = run.values[node.args[2]].real if len(node.args) > 2 and node.args[2] is not None else None
        offset = Fraction(float(bias[0])) if bias is not None else Fraction(0)

        def mixed(rows: Any) -> Polynomial:
            total = _times(_one(run.ndim), offset) if offset else {}
            for w, p in zip(row, rows[0], strict=False):
                total = add(total, p, w)
            return total

        return mixed
    return None


def _one(ndim: int) -> Polynomial:
    return {(0,) * ndim: Fraction(1)}


def _to_the(a: Polynomial, degree: int, ndim: int) -> Polynomial:
    result = _one(ndim)
    for _ in range(degree):
        result = multiply(result, a)
    return result
