"""The per-axis operators P_n(sigma) = restrict . difference_n . smoothing . extend, as exact matrices.

Two exact forms (`design`: every Gaussian derivative is a product of these matrices):

- band, for every discretisation and border: the taps of the n-th derivative kernel at indices folded by the border
  (modulo 2 N for symmetric, N for circular, dropped outside for zero), so that a kernel wider than the image is right;
- spectrum, for the discrete analogue with a symmetric or circular border: with the orthonormal DCT-II (or real
  DFT) rows C of frequency w_k, and B_n = C for even n, the matching sine rows for odd n,

      P_n(sigma) = B_n^T diag(lambda_n(w) exp(-s (1 - cos w))) C,   s = sigma^2.
"""

import itertools
import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Literal, NamedTuple, get_args

import torch
from torch import Tensor

from .taps import exact_radius, kernel_taps, smoothing_exponent, transfer_factor

Border = Literal["symmetric", "zero", "circular"]
BORDERS: tuple[str, ...] = get_args(Border)


@lru_cache(maxsize=128)
def jet_orders(ndim: int, order: int, *, zero_order: bool = True) -> tuple[tuple[int, ...], ...]:
    """Multi-indices of the jet of the given order, in array-axis order (..., y, x), sorted by (sum, tuple).

    `jet_orders(2, 2)` is L, Lx, Ly, Lxx, Lxy, Lyy as ((0, 0), (0, 1), (1, 0), (0, 2), (1, 1), (2, 0)).

    Args:
        ndim: Number of spatial axes, >= 1.
        order: Highest total order, >= 0; >= 1 without the zero order.
        zero_order: Whether the smoothed image itself is part of the jet.

    Raises:
        ValueError: If ndim or order is out of range.
    """
    for name, value, least in (("ndim", ndim, 1), ("order", order, 0 if zero_order else 1)):
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            raise ValueError(f"jet_orders: {name} must be an integer >= {least}, got {value!r}")
    every = itertools.product(range(order + 1), repeat=ndim)
    kept = (a for a in every if (0 if zero_order else 1) <= sum(a) <= order)
    return tuple(sorted(kept, key=lambda a: (sum(a), a)))


def inverse_factorials(orders: Sequence[tuple[int, ...]]) -> tuple[float, ...]:
    """1 / alpha! of each multi-index: the fixed factor of a layer coefficient."""
    return tuple(1.0 / math.prod(math.factorial(n) for n in a) for a in orders)


def fold(positions: Tensor, size: int, border: str) -> tuple[Tensor, Tensor]:
    """Source index and 0/1 weight of positions on the extended axis; the index repeats as often as needed."""
    if border == "symmetric":
        index = positions.remainder(2 * size)
        return torch.where(index < size, index, 2 * size - 1 - index), torch.ones_like(positions)
    if border == "circular":
        return positions.remainder(size), torch.ones_like(positions)
    inside = (positions >= 0) & (positions < size)
    return positions.clamp(0, size - 1), inside.to(positions.dtype)


class SpectralBasis(NamedTuple):
    """Orthonormal rows of one axis: frequency [K] in radians per pixel, cosine-like and sine-like rows [K, N]."""

    frequency: Tensor
    analysis: Tensor
    odd: Tensor

    def synthesis(self, order: int) -> Tensor:
        """B_n: the rows that the n-th difference maps the analysis rows to, [K, N]."""
        return self.odd if order % 2 else self.analysis


def has_spectrum(discretisation: str, border: str) -> bool:
    """Whether P_n has the spectral form: the discrete analogue, symmetric or circular border."""
    return discretisation == "discrete" and border != "zero"


@lru_cache(maxsize=64)
def spectral_basis(size: int, border: str, margin: int = 0) -> SpectralBasis:
    """The rows C and B_1 of an axis of `size` pixels, float64, frequencies ascending.

    Args:
        size: Number of pixels N.
        border: "symmetric" (DCT-II rows) or "circular" (real DFT rows).
        margin: Pixels of the extended axis on either side at which the rows are evaluated as well.

    Returns:
        K = N rows, each with N + 2 * margin columns.
    """
    x = torch.arange(-margin, size + margin, dtype=torch.float64)
    if border == "symmetric":
        frequency = math.pi * torch.arange(size, dtype=torch.float64) / size
        phase = frequency[:, None] * (x + 0.5)
        norm = torch.full((size, 1), math.sqrt(2 / size), dtype=torch.float64)
        norm[0] = math.sqrt(1 / size)
        return SpectralBasis(frequency, norm * torch.cos(phase), norm * torch.sin(phase))
    index = (torch.arange(size) + 1) // 2  # 0, 1, 1, 2, 2, ...
    frequency = 2 * math.pi * index.to(torch.float64) / size
    phase = frequency[:, None] * x
    single = (index == 0) | (2 * index == size)
    norm = torch.sqrt(torch.where(single, 1.0, 2.0).to(torch.float64) / size)[:, None]
    cosine, sine = norm * torch.cos(phase), norm * torch.sin(phase)
    is_cosine = ((torch.arange(size) % 2 == 1) | (index == 0))[:, None]
    # d cos = lambda_1 sin and d sin = -lambda_1 cos, with lambda_1 = -sin w.
    return SpectralBasis(frequency, torch.where(is_cosine, cosine, sine), torch.where(is_cosine, sine, -cosine))


def spectral_multiplier(frequency: Tensor, sigma: Tensor, order: int, *, sigma_derivative: bool = False) -> Tensor:
    """lambda_n(w) exp(-s (1 - cos w)) or its derivative in sigma: sigma [...], w [K] -> [..., K]."""
    exponent = smoothing_exponent(frequency)
    sigma = sigma[..., None]
    multiplier = transfer_factor(frequency, order) * torch.exp(-(sigma**2) * exponent)
    return -2 * sigma * exponent * multiplier if sigma_derivative else multiplier


def band_operator(taps: Tensor, size: int, border: str, margin: int = 0) -> Tensor:
    """The matrix of taps [..., 2 R + 1] folded by the border, [..., size + 2 margin, size]."""
    radius = taps.shape[-1] // 2
    offsets = torch.arange(-radius, radius + 1)
    period = {"symmetric": 2 * size, "circular": size}.get(border)
    if period is not None and len(offsets) > period:  # far wider than the axis: wrap the taps first
        taps = taps.new_zeros(*taps.shape[:-1], period).index_add(-1, offsets % period, taps)
        offsets = torch.arange(period)
    rows = torch.arange(-margin, size + margin)
    index, inside = fold(rows[:, None] + offsets, size, border)
    values = taps[..., None, :] * inside.to(taps.dtype)
    operator = taps.new_zeros(*taps.shape[:-1], len(rows), size)
    return operator.scatter_add(-1, index.expand(values.shape), values)


def axis_operator(
    size: int,
    sigma: Tensor,
    order: int,
    *,
    discretisation: str = "discrete",
    border: str = "symmetric",
    margin: int = 0,
    form: Literal["band", "spectrum"] | None = None,
    sigma_derivative: bool = False,
) -> Tensor:
    """P_n(sigma) of one axis as dense matrices, untruncated, without scale normalisation.

    Args:
        size: Number of pixels N of the axis.
        sigma: Standard deviations in pixels [...], float64 on the CPU.
        order: Order n of the derivative.
        discretisation: One of `taps.DISCRETISATIONS`.
        border: One of `BORDERS`.
        margin: Rows also for this many positions of the extended axis on either side.
        form: Force one of the two exact forms; by default the spectrum where the kernel is wider than the axis.
        sigma_derivative: dP_n / dsigma instead.

    Returns:
        [..., N + 2 * margin, N], float64, differentiable in sigma.
    """
    far = exact_radius(float(sigma.detach().max()), order)
    if form is None:  # equal to rounding; take the one with fewer operations
        wide = 2 * far + 1 > size
        form = "spectrum" if wide and has_spectrum(discretisation, border) else "band"
    if form == "spectrum":
        if not has_spectrum(discretisation, border):
            raise ValueError(f"axis_operator: form must be 'band' for {discretisation!r} with border {border!r}")
        frequency, analysis, _ = spectral_basis(size, border)
        synthesis = spectral_basis(size, border, margin).synthesis(order)
        multiplier = spectral_multiplier(frequency, sigma, order, sigma_derivative=sigma_derivative)
        return (synthesis.T * multiplier[..., None, :]) @ analysis
    radius = min(far, size + margin) if border == "zero" else far
    taps = kernel_taps(sigma, order, radius, discretisation, sigma_derivative=sigma_derivative)
    return band_operator(taps, size, border, margin)
