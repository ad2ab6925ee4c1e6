"""Norms of a jet layer and what one call of it in float64 may be off: truncation of kernels, rounding.

The routes of the fast path multiply different factors, so rounding is bounded with the largest absolute factors of the
three: the kernels themselves, differences of a smoothed image, or analysis, multiplier and synthesis of the spectrum
(N. Higham, "Accuracy and Stability of Numerical Algorithms", section 3.1).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..layers import _GaussianJetConv
from ..operators import has_spectrum, inverse_factorials, spectral_basis, spectral_multiplier
from ..taps import TRUNCATION, difference_radius, exact_radius, kernel_taps
from ..testing import gamma


@dataclass(frozen=True)
class Norms:
    """Norms of a layer, from the largest value of the features to the largest value of the output.

    Attributes:
        kernel: Largest sum over inputs of |w_a| / a! sigma^(p |a|) prod ||T_{a_i}||_1.
        stencil: The same with 2^n where that is more, the n-th difference of a cut smoothing kernel.
        factors: The same with the largest absolute factors that any route multiplies.
        bias: Largest absolute bias.
    """

    kernel: float
    stencil: float
    factors: float
    bias: float


def layer_norms(layer: _GaussianJetConv, sigma: Tensor, spatial: Sequence[int]) -> Norms:
    """Norms of the layer on images of a size.

    Args:
        layer: The layer.
        sigma: [1 or C_out, 1 or C_in], pixels.
        spatial: Spatial shape of the features.
    """
    mix = layer.weight.detach().double().abs()
    kernel, stencil, factors = torch.zeros(3, mix.shape[0], dtype=torch.float64)
    for value, mask in by_sigma(layer, sigma):
        norms = [float(taps_of(layer, value, n).abs().sum()) for n in range(layer.order + 1)]
        cut = [max(2.0**n, norm) for n, norm in enumerate(norms)]
        largest = [max(norm, _spectral_norm(layer, value, n, spatial)) for n, norm in enumerate(cut)]
        for j, (a, inverse) in enumerate(zip(layer.orders, inverse_factorials(layer.orders), strict=True)):
            size = inverse * value ** (layer.norm_power * sum(a)) * (mix[..., j] * mask).sum(1)
            kernel += size * math.prod(norms[n] for n in a)
            stencil += size * math.prod(cut[n] for n in a)
            factors += size * math.prod(largest[n] for n in a)
    bias = 0.0 if layer.bias is None else float(layer.bias.detach().abs().max())
    return Norms(float(kernel.max()), float(stencil.max()), float(factors.max()), bias)


def rounding_bound(
    layer: _GaussianJetConv, size: float, sigma: Tensor, spatial: Sequence[int], *, truncation: bool = True
) -> float:
    """Bound on the float64 error of one call of the layer.

    Args:
        layer: The layer.
        size: Largest absolute value of the features.
        sigma: As in `layer_norms`.
        spatial: As in `layer_norms`.
        truncation: Whether the cut of the kernels counts; it does not where both sides are cut alike.
    """
    norms = layer_norms(layer, sigma, spatial)
    chain = gamma(chain_length(layer, sigma, spatial), torch.float64)
    cut = 2 * layer.ndim * TRUNCATION * norms.stencil if truncation else 0.0
    return size * (chain * norms.factors + cut) + 4 * torch.finfo(torch.float64).eps * norms.bias


def chain_length(layer: _GaussianJetConv, sigma: Tensor, spatial: Sequence[int]) -> int:
    """Operations behind one output: a row of every axis, forth and back for the spectrum, the mixing, assembly."""
    reach = max(radius(layer, float(v)) for v in sigma.flatten())
    row = max(2 * reach + 2, *spatial)
    return 2 * layer.ndim * row + layer.weight.shape[1] * layer.weight.shape[2] * 9 + 12


def by_sigma(layer: _GaussianJetConv, sigma: Tensor) -> list[tuple[float, Tensor]]:
    """Distinct sigmas with the 0/1 mask [C_out, C_in / groups] of the weights that they belong to."""
    c_out, per_group = layer.weight.shape[:2]
    full = sigma.detach().double().expand(sigma.shape[0], sigma.shape[1])
    rows = torch.arange(c_out).clamp(max=full.shape[0] - 1)
    group = torch.arange(c_out) // (c_out // layer.groups)
    columns = (group[:, None] * per_group + torch.arange(per_group)).clamp(max=full.shape[1] - 1)
    values = full[rows[:, None], columns]
    return [(float(v), (values == v).double()) for v in values.unique()]


def radius(layer: _GaussianJetConv, sigma: float) -> int:
    """Beyond it every kernel of the layer is below float64 rounding."""
    return exact_radius(sigma, layer.order) + difference_radius(layer.order)


def taps_of(layer: _GaussianJetConv, sigma: float, order: int, reach: int | None = None) -> Tensor:
    """Taps of the layer's kernel of one order and axis, without scale normalisation, whole unless cut at `reach`."""
    value = torch.tensor(sigma, dtype=torch.float64)
    return kernel_taps(value, order, radius(layer, sigma) if reach is None else reach, layer.discretisation)


def _spectral_norm(layer: _GaussianJetConv, sigma: float, order: int, spatial: Sequence[int]) -> float:
    """Largest row sum of |B_n^T| |m_n| |C| over the axes, 0 where the layer has no spectral form."""
    if not has_spectrum(layer.discretisation, layer.border):
        return 0.0
    value, worst = torch.tensor(sigma, dtype=torch.float64), 0.0
    for size in set(spatial):
        basis = spectral_basis(size, layer.border)
        multiplier = spectral_multiplier(basis.frequency, value, order).abs()
        columns = multiplier * basis.analysis.abs().sum(1)
        worst = max(worst, float((basis.synthesis(order).abs().T @ columns).max()))
    return worst
