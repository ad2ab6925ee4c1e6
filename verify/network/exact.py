"""The network's layers on polynomials, in rational arithmetic.

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
