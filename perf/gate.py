"""The gate: no time without a result within the rounding bound of a float64 oracle.

The bound is gamma_n times the same sums with absolute values, n the longest chain of operations; for the jets the
chain smooth, difference, mix (the loosest of the methods compared) plus the truncation of taps. Output, gradients of
features and weight are held element by element, the gradient of sigma as a whole. The relative error is recorded too.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from gdtriton import jet_orders, reference
from gdtriton.operators import axis_operator, fold, inverse_factorials
from gdtriton.taps import TRUNCATION, difference_taps
from perf.cases import BenchCase
from perf.providers import dense_taps

Results = dict[str, Tensor]


class Inputs(NamedTuple):
    """Tensors of one case for one oracle; weight [O, I, J] for jets, [O, I, 3, 3] for the twin."""

    features: Tensor
    weight: Tensor
    sigma: Tensor
    grad: Tensor


def _run(function: Callable[[Tensor, Tensor, Tensor], Tensor], inputs: Inputs) -> Results:
    leaves = [x.detach().clone().requires_grad_() for x in inputs[:3]]
    output = function(*leaves)
    grads = torch.autograd.grad(output, leaves, inputs.grad, allow_unused=True)
    named = zip(("features", "weight", "sigma"), grads, strict=True)
    return {"output": output.detach()} | {name: grad for name, grad in named if grad is not None}


def _double(inputs: Inputs) -> Inputs:
    return Inputs(*(x.double().contiguous() for x in inputs))


def _axis_magnitudes(case: BenchCase, sigma: float, order: int) -> tuple[Tensor, Tensor]:
    """|difference| |smoothing| of one axis, and the same for the derivative in sigma, [N, N] float64."""
    value = torch.tensor(sigma, dtype=torch.float64)
    options = {"discretisation": case.discretisation}
    if case.discretisation.endswith("-derivative"):
        plain = axis_operator(case.size, value, order, **options)  # type: ignore[arg-type]
        change = axis_operator(case.size, value, order, sigma_derivative=True, **options)  # type: ignore[arg-type]
        return plain.abs(), change.abs()
    smoothing = axis_operator(case.size, value, 0, **options).abs()  # type: ignore[arg-type]
    difference, laplacian = _difference(case.size, order), _difference(case.size, 2)
    return difference @ smoothing, sigma * (difference @ laplacian @ smoothing)


def _difference(size: int, order: int) -> Tensor:
    taps = difference_taps(order).abs()
    index, _ = fold(torch.arange(size)[:, None] + torch.arange(len(taps)) - len(taps) // 2, size, "symmetric")
    return torch.zeros(size, size, dtype=torch.float64).scatter_add(1, index, taps.expand(size, -1))


def _jet_magnitude(case: BenchCase, features: Tensor, weight: Tensor, sigma: float, changed: bool) -> Tensor:
    """sum_a |w_a| / a! sigma^|a| |M_y| |M_x| |f|, or the bound of its change with sigma."""
    total = features.new_zeros(features.shape[0], weight.shape[0], case.size, case.size)
    orders = jet_orders(2, 2, zero_order=False)
    for j, (a, factor) in enumerate(zip(orders, inverse_factorials(orders), strict=True)):
        (y, dy), (x, dx) = (_axis_magnitudes(case, sigma, n) for n in a)
        jet = y @ features @ x.T
        if changed:
            jet = dy @ features @ x.T + y @ features @ dx.T + sum(a) / sigma * jet
        total = total + factor * sigma ** sum(a) * torch.einsum("bihw,oi->bohw", jet, weight[..., j])
    return total


def _jets(case: BenchCase, inputs: Inputs) -> tuple[Results, Results]:
    exact = _double(inputs)
    positive = Inputs(*(x.abs() for x in exact))
    options = {"order": 2, "zero_order": False, "groups": 1, "norm_power": 1.0, "border": "symmetric"}
    filters = [slice(None)] if exact.sigma.ndim == 1 else [slice(o, o + 1) for o in range(case.out_channels)]

    def golden(features: Tensor, weight: Tensor, sigma: Tensor) -> Tensor:
        parts = [
            reference.jet_conv(
                features[None], weight[own], sigma if sigma.ndim == 1 else sigma[:, own, 0].flatten(), None,
                discretisation=case.discretisation, **options,
            )[0] for own in filters
        ]  # fmt: skip
        return torch.cat(parts, 1)

    def magnitude(changed: bool) -> Callable[[Tensor, Tensor, Tensor], Tensor]:
        def total(features: Tensor, weight: Tensor, sigma: Tensor) -> Tensor:
            each = sigma.detach().flatten().tolist()
            parts = [
                _jet_magnitude(case, features, weight[own], s, changed) for own, s in zip(filters, each, strict=True)
            ]
            return torch.cat(parts, 1)

        return total

    bound = _run(magnitude(False), positive)
    change = magnitude(True)(positive.features, positive.weight, exact.sigma)
    sums = (change * positive.grad).sum((0, 2, 3))
    bound["sigma"] = sums.sum()[None] if exact.sigma.ndim == 1 else sums.view(1, -1, 1)
    return _run(golden, exact), bound


def _truncated(case: BenchCase, inputs: Inputs) -> tuple[Results, Results]:
    """What a dense filter cut at 2 sigma claims to compute, by separable products."""

    def layer(features: Tensor, weight: Tensor, sigma: Tensor, sign: bool = True) -> Tensor:
        taps = dense_taps(sigma[0])
        radius = len(taps[0]) // 2
        offsets = torch.arange(-radius, radius + 1)
        index, _ = fold(torch.arange(case.size)[:, None] + offsets, case.size, "symmetric")
        matrices = [
            torch.zeros(case.size, case.size, dtype=torch.float64).scatter_add(1, index, t.expand(case.size, -1))
            for t in (taps if sign else [t.abs() for t in taps])
        ]
        orders = jet_orders(2, 2, zero_order=False)
        pairs = zip(orders, inverse_factorials(orders), strict=True)
        jets = [f * sigma[0] ** sum(a) * (matrices[a[0]] @ features @ matrices[a[1]].T) for a, f in pairs]
        return torch.einsum("jbihw,oij->bohw", torch.stack(jets), weight)

    exact = _double(inputs)
    bound = _run(lambda f, w, s: layer(f, w, s, sign=False), Inputs(*(x.abs() for x in exact)))
    # d/dsigma of the taps has both signs: |t'| <= (x^2 / sigma^3 + 1 / sigma) |t| on |x| <= 2 sigma + 1, in two axes.
    sigma = float(exact.sigma[0])
    growth = 2 * (((2 * sigma + 2) ** 2) / sigma**3 + 1 / sigma) + 2 / sigma
    bound["sigma"] = growth * (bound["output"] * exact.grad.abs()).sum()[None]
    return _run(layer, exact), bound


def _twin(case: BenchCase, inputs: Inputs) -> tuple[Results, Results]:
    exact = _double(inputs)

    def layer(features: Tensor, weight: Tensor, sigma: Tensor) -> Tensor:
        return F.conv2d(features, weight, padding=1)

    return _run(layer, exact), _run(layer, Inputs(*(x.abs() for x in exact)))


ORACLES = {"jet": _jets, "truncated jet": _truncated, "conv2d": _twin}


def chain_length(case: BenchCase, quantity: str) -> int:
    """Longest chain of rounded operations behind one element."""
    pixels = case.batch * case.size**2
    layer = 4 * case.size + 9 * max(case.in_channels, case.out_channels) + 16
    if quantity == "weight":
        return layer + pixels
    # One total over everything: sums of that length run in blocks or many lanes.
    return layer + (math.isqrt(pixels * case.in_channels) + 9 * case.in_channels if quantity == "sigma" else 0)


def judge(case: BenchCase, actual: Results, golden: Results, bound: Results) -> tuple[bool, dict[str, float], str]:
    """Whether every quantity is within its bound; relative L2 errors; the reason of a failure."""
    unit = torch.finfo(torch.float32).eps / 2
    errors, reason = {}, ""
    for name, wanted in golden.items():
        got = actual[name].double().reshape(wanted.shape)
        n = chain_length(case, name)
        gamma = n * unit / (1 - n * unit) + TRUNCATION
        errors[name] = float((got - wanted).norm() / wanted.norm())
        excess = float(((got - wanted).abs() / (gamma * bound[name].reshape(wanted.shape) + 1e-300)).max())
        if not excess <= 1:
            reason = f"{name} misses its rounding bound by a factor {excess:.3g}"
    return not reason, errors, reason
