"""How far one jet layer may be from commuting with rescaling on the grid: bounds derived for the features it met.

Let g' be the features on the fine grid, R their restriction to every S-th pixel about the centre, T_sigma the layer at
sigma with symbol H_sigma(w) (T_sigma e^{iwk} = H_sigma(w) e^{iwk}). In the continuum R T_{S sigma} = T_sigma R. On the
grid, with g' extended by the border rule and ghat its discrete Fourier transform on M pixels an axis,

    (R T_{S sigma} g' - T_sigma R g')(k) = M^-N sum_w [H_{S sigma}(w) - H_sigma(S w)] ghat(w) exp(i S w k)

exactly: discretisation, aliasing and the kinks of an activation are all in ghat, so no smoothness is assumed and no
constant is chosen. The triangle inequality makes it a bound at all k. What the coarse layer sees outside its canvas is
R g' extended by the border rule, not the restriction of the extended g'; with d the difference of the two,

    |border term|(k) <= sum_a |w_a| / a! sigma^(p |a|) (|T_{a_1}| x ... x |T_{a_N}|) |d| (k).

Truncation and rounding are added (`arithmetic`).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..layers import _GaussianJetConv
from ..operators import fold, inverse_factorials
from ..taps import TRUNCATION, tap_radius
from .arithmetic import by_sigma, layer_norms, rounding_bound, taps_of

LARGEST = 2**24
"""Entries of an extended feature map beyond which the bound is not computed (128 MiB in float64)."""


@dataclass(frozen=True)
class Bound:
    """Parts of the bound on |R T_{S sigma} g' - T_sigma R g'|, each at every output point [B, C_out, *spatial].

    Attributes:
        discretisation: From the symbols and the spectrum of the features, [B, C_out, 1, ...].
        border: From what the two canvases show outside themselves.
        arithmetic: Truncation of kernels and rounding, a number.
        weight: w of R T_{S sigma} g' = S^w T_sigma R g': m (p - 1) of a layer of one order m without a bias, else 0.
    """

    discretisation: Tensor
    border: Tensor
    arithmetic: float
    weight: float = 0.0

    @property
    def total(self) -> Tensor:
        """Their sum."""
        return self.discretisation + self.border + self.arithmetic


def matched_index(coarse: int, fine: int, factor: int) -> Tensor | None:
    """Pixels of an axis of `fine` that are those of an axis of `coarse`, both about their middle pixels."""
    if coarse % 2 == 0 or fine % 2 == 0 or (fine - 1) // 2 < factor * ((coarse - 1) // 2):
        return None
    offsets = torch.arange(coarse) - (coarse - 1) // 2
    return offsets * factor + (fine - 1) // 2


def restrict(features: Tensor, spatial: Sequence[int], factor: int) -> Tensor | None:
    """R: every `factor`-th pixel about the centre, as many as `spatial` says; None where they do not match."""
    first = features.ndim - len(spatial)
    for axis, size in enumerate(spatial, start=first):
        index = matched_index(size, features.shape[axis], factor)
        if index is None:
            return None
        features = features.index_select(axis, index)
    return features


def layer_weight(layer: _GaussianJetConv) -> float:
    """The weight w of the layer: m (p - 1) where all derivatives have one order m and there is no bias, else 0."""
    totals = {sum(a) for a in layer.orders}
    return totals.pop() * (layer.norm_power - 1) if len(totals) == 1 and layer.bias is None else 0.0


def commutation_bound(
    layer: _GaussianJetConv, fine: Tensor, coarse_spatial: Sequence[int], sigma: Tensor, factor: int
) -> Bound | None:
    """Bound on how far the layer at S sigma, restricted, is from the layer at sigma on the restriction.

    Args:
        layer: The layer, float64.
        fine: Its features on the fine grid, [B, C_in, *spatial], float64.
        coarse_spatial: Spatial shape of the coarse grid.
        sigma: Of the layer on the coarse grid, [1 or C_out, 1 or C_in], pixels.
        factor: S, an integer.

    Returns:
        The parts, or None where the extended features are too many to transform.
    """
    ndim = layer.ndim
    reach = max(layer_reach(layer, factor * float(v)) for v in sigma.flatten()) // factor + 1
    spatial = fine.shape[-ndim:]
    if fine.shape[0] * fine.shape[1] * math.prod(n + 4 * factor * reach for n in spatial) > LARGEST:
        return None
    extended = _extend(fine, spatial, factor * reach, layer.border)
    restricted = restrict(fine, coarse_spatial, factor)
    if restricted is None:
        return None
    seen = restrict(extended, [n + 2 * reach for n in coarse_spatial], factor)
    own = _extend(restricted, coarse_spatial, reach, layer.border)
    assert seen is not None
    size = float(extended.abs().max())
    weight = layer_weight(layer)
    gain = factor**weight
    norms = layer_norms(layer, sigma, coarse_spatial)
    # The reach of the bound leaves out as much of the kernel of every axis as the band form does.
    cut = 2 * ndim * TRUNCATION * (1 + gain) * norms.kernel
    arithmetic = (
        gain * rounding_bound(layer, size, sigma, coarse_spatial)
        + rounding_bound(layer, size, factor * sigma, spatial)
        + size * cut
    )
    return Bound(
        _spectral(layer, _fade(extended, spatial, factor * reach), sigma, factor, weight),
        gain * _border(layer, (own - seen).abs(), coarse_spatial, sigma, reach),
        arithmetic,
        weight,
    )


def layer_reach(layer: _GaussianJetConv, sigma: float) -> int:
    """What is farther away than this changes the layer by TRUNCATION of its norm an axis at most."""
    return max(tap_radius(sigma, n, layer.discretisation) for n in range(layer.order + 1))


def _fade(extended: Tensor, spatial: Sequence[int], margin: int) -> Tensor:
    """The same features led smoothly to 0 beyond the reach: what lies there is free, a jump there would alias."""
    ramp = torch.cos(torch.linspace(0, math.pi / 2, margin + 2, dtype=torch.float64)[1:-1]) ** 2
    first = extended.ndim - len(spatial)
    for axis in range(first, extended.ndim):
        size = extended.shape[axis]
        index = torch.arange(-margin, size + margin)
        shape = [1] * extended.ndim
        shape[axis] = -1
        window = torch.cat([ramp.flip(0), torch.ones(size, dtype=torch.float64), ramp]).view(shape)
        extended = extended.index_select(axis, fold(index, size, "symmetric")[0]) * window
    return extended


def _extend(image: Tensor, spatial: Sequence[int], margin: int, border: str) -> Tensor:
    first = image.ndim - len(spatial)
    for axis, size in enumerate(spatial, start=first):
        index, weight = fold(torch.arange(-margin, size + margin), size, border)
        shape = [1] * image.ndim
        shape[axis] = -1
        image = image.index_select(axis, index) * weight.view(shape)
    return image


def _symbol(layer: _GaussianJetConv, value: float, order: int, frequency: Tensor) -> Tensor:
    """sum_k taps[k] e^{iwk}; real for even, imaginary for odd orders."""
    taps = taps_of(layer, value, order)
    half = len(taps) // 2
    middle, right, left = taps[half], taps[half + 1 :], taps[:half].flip(0)
    phase = frequency[:, None] * torch.arange(1, half + 1, dtype=torch.float64)
    even = middle + torch.cos(phase) @ (right + left)
    odd = torch.sin(phase) @ (right - left)
    return torch.complex(even, odd)


def _spectral(layer: _GaussianJetConv, extended: Tensor, sigma: Tensor, factor: int, weight: float) -> Tensor:
    """M^-N sum_w |sum_i [H_{S sigma}(w) - S^weight H_sigma(S w)] ghat_i(w)| per image and output channel."""
    ndim, mix = layer.ndim, layer.weight.detach().double()
    spatial = extended.shape[-ndim:]
    spectrum = torch.fft.fftn(extended, dim=list(range(-ndim, 0)))
    c_out, per_group = mix.shape[:2]
    batch = extended.shape[0]
    grouped = spectrum.view(batch, layer.groups, per_group, *spatial)
    error = torch.zeros(batch, c_out, *spatial, dtype=torch.complex128)
    for value, mask in by_sigma(layer, sigma):
        axes = []
        for n_pixels in spatial:
            w = 2 * math.pi * torch.fft.fftfreq(n_pixels, dtype=torch.float64)
            axes.append([(_symbol(layer, factor * value, n, w), _symbol(layer, value, n, factor * w))
                         for n in range(layer.order + 1)])  # fmt: skip
        for j, (a, inverse) in enumerate(zip(layer.orders, inverse_factorials(layer.orders), strict=True)):
            fine = _outer([axes[i][n][0] for i, n in enumerate(a)])
            coarse = _outer([axes[i][n][1] for i, n in enumerate(a)])
            power = layer.norm_power * sum(a)
            difference = inverse * ((factor * value) ** power * fine - factor**weight * value**power * coarse)
            weights = (mix[..., j] * mask).view(layer.groups, c_out // layer.groups, per_group)
            if bool((weights != 0).any()):
                mixed = torch.einsum("goi,bgi...->bgo...", weights.to(grouped.dtype), grouped)
                error += difference * mixed.reshape(error.shape)
    total = error.abs().sum(dim=list(range(-ndim, 0)), keepdim=True) / math.prod(spatial)
    return total


def _outer(factors: Sequence[Tensor]) -> Tensor:
    result = factors[0]
    for factor in factors[1:]:
        result = result[..., None] * factor
    return result


def _border(layer: _GaussianJetConv, difference: Tensor, spatial: Sequence[int], sigma: Tensor, reach: int) -> Tensor:
    """The layer of absolute kernels and weights on |d|, [B, C_out, *spatial]."""
    ndim, mix = layer.ndim, layer.weight.detach().double().abs()
    c_out, per_group = mix.shape[:2]
    batch = difference.shape[0]
    result = torch.zeros(batch, c_out, *spatial, dtype=torch.float64)
    if float(difference.max()) == 0:
        return result
    for value, mask in by_sigma(layer, sigma):
        taps = [taps_of(layer, value, n, reach).abs() for n in range(layer.order + 1)]
        for j, (a, inverse) in enumerate(zip(layer.orders, inverse_factorials(layer.orders), strict=True)):
            smooth = difference
            for axis, n in enumerate(a):
                place = smooth.ndim - ndim + axis
                smooth = (smooth.unfold(place, 2 * reach + 1, 1) * taps[n]).sum(-1)
            grouped = smooth.reshape(batch, layer.groups, per_group, *spatial)
            weights = (mix[..., j] * mask).view(layer.groups, c_out // layer.groups, per_group)
            mixed = torch.einsum("goi,bgi...->bgo...", weights, grouped).reshape(result.shape)
            result += inverse * value ** (layer.norm_power * sum(a)) * mixed
    return result
