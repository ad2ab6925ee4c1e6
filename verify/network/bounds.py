"""Derived bounds of a layer's jets against the continuous ones, for every discretisation, with border and rounding.

One axis, order n. Samples of an image f with spectrum fhat give

    R(m) - L(m) = (1 / 2 pi) int (H_per(w) - H(w)) fhat(w) e^(iwm) dw,   H(w) = (i sigma w)^n exp(-sigma^2 w^2 / 2),

H_per the symbol of the kernel's taps times sigma^n. For an image of height 1 (its spectrum is positive and integrates
to 2 pi) the error is at most the largest |H_per - H| over |w| <= pi, plus what lies above pi. The largest value is
found on a grid of frequencies; between two of them the difference moves by at most its slope times half their distance,
and the slope is at most sigma^n sum |k h_k| + sigma (n c_(n-1) + c_(n+1)), c_n = max |u|^n exp(-u^2 / 2) = (n/e)^(n/2).
"""

import math
from functools import lru_cache

import torch

from ...functional import gaussian_jet
from ...operators import jet_orders
from ...taps import exact_radius, kernel_taps, tap_radius

UNIT = 2.0**-53
FREQUENCIES = 1 << 17
BLOB = 2.0
"""Standard deviation of the blob that is measured; above pi its spectrum has erfc(2 pi / sqrt 2) of its integral."""


def peak(n: int) -> float:
    """c_n = max |u|^n exp(-u^2 / 2)."""
    return (n / math.e) ** (n / 2) if n > 0 else 1.0


@lru_cache(maxsize=512)
def symbol_error(sigma: float, n: int, discretisation: str) -> tuple[float, float]:
    """(bound of |H_per - H| over |w| <= pi, bound of |H_per|), order-n kernel times sigma^n, cut as it is used."""
    radius = tap_radius(sigma, n, discretisation)
    taps = kernel_taps(torch.tensor(sigma, dtype=torch.float64), n, radius, discretisation).reshape(-1) * sigma**n
    places = torch.arange(-radius, radius + 1, dtype=torch.float64)
    count = max(FREQUENCIES, 2 * (2 * radius + 1))
    wrapped = torch.zeros(count, dtype=torch.float64)
    wrapped.index_add_(0, places.long() % count, taps)
    step = 2 * math.pi / count
    w = step * torch.arange(count // 2 + 1, dtype=torch.float64)
    # A correlation with taps h has symbol sum_k h_k e^(iwk), the conjugate of the transform.
    transform = torch.fft.rfft(wrapped).conj()
    exact = (1j * sigma * w) ** n * torch.exp(-(sigma**2) * w**2 / 2)
    slope = float((places.abs() * taps.abs()).sum()) + sigma * (n * peak(n - 1) + peak(n + 1))
    rounding = 16 * UNIT * float(taps.abs().sum()) * math.log2(count)
    worst = float((transform - exact).abs().max())
    return worst + slope * step / 2 + rounding, float(transform.abs().max()) + slope * step / 2


def axis_bound(sigma: float, n: int, discretisation: str) -> float:
    """Largest error of a derivative of a blob of height 1 and standard deviation BLOB along one axis."""
    error, height = symbol_error(sigma, n, discretisation)
    above = math.erfc(math.pi * BLOB / math.sqrt(2)) * (height + peak(n))
    return error + above + 64 * UNIT * (2 * max(1.0, sigma)) ** n


def jet_bound(sigma: float, order: int, ndim: int, discretisation: str = "discrete") -> float:
    """Largest error of a scale-normalised jet of total order <= `order` of a blob of height 1.

    With one-axis symbols |h_n| <= c_n and errors E_n the product over the axes errs by at most
    prod(c + E) - prod c.
    """
    worst = 0.0
    for a in jet_orders(ndim, order, zero_order=True):
        clean = math.prod(peak(n) for n in a)
        worst = max(worst, math.prod(peak(n) + axis_bound(sigma, n, discretisation) for n in a) - clean)
    return worst


@lru_cache(maxsize=512)
def border_bound(sigma: float, order: int, n_pixels: int, discretisation: str) -> float:
    """What the border can change at the middle pixel, per axis, for features of height 1: twice the taps beyond it.

    The extension by the border rule and the true continuation are both at most 1 in size. The kernel is not cut: the
    spectral form does not cut it.
    """
    worst = 0.0
    half = (n_pixels - 1) // 2
    for n in range(order + 1):
        radius = exact_radius(sigma, n)
        taps = kernel_taps(torch.tensor(sigma, dtype=torch.float64), n, radius, discretisation).reshape(-1)
        beyond = torch.arange(-radius, radius + 1).abs() > half
        worst = max(worst, 2 * sigma**n * float(taps[beyond].abs().sum()))
    return worst


def blob_ratio(sigma: float, order: int, discretisation: str = "discrete") -> float:
    """Measured error over bound, one axis, the blob of height 1, orders 0 .. `order`."""
    total = math.hypot(BLOB, sigma)
    half = int(8 * total) + 8
    x = torch.arange(-half, half + 1, dtype=torch.float64)
    image = torch.exp(-(x**2) / (2 * BLOB**2))
    jets = gaussian_jet(image, sigma, order, ndim=1, discretisation=discretisation)  # type: ignore[arg-type]
    y = x / total
    smooth = BLOB / total * torch.exp(-(y**2) / 2)
    hermite = [torch.ones_like(y), y]
    for n in range(1, order):
        hermite.append(y * hermite[n] - n * hermite[n - 1])
    worst = 0.0
    for n in range(order + 1):
        exact = (-sigma / total) ** n * hermite[n] * smooth
        worst = max(worst, float((jets[n] - exact).abs().max()) / axis_bound(sigma, n, discretisation))
    return worst
