"""One-dimensional kernels of every discretisation, differentiable in sigma.

The taps of the n-th derivative kernel on -radius .. radius, without scale normalisation, as a correlation mask:
response[i] = sum_k taps[radius + k] f[i + k]. With s = sigma^2, g the Gaussian, Phi its integral and d_n the n-th
central difference (T. Lindeberg, "Discrete approximations of Gaussian smoothing and Gaussian derivatives", 2024):

    discrete              d_n exp(-s) I_k(s)             discrete analogue of the Gaussian
    sampled               d_n g(k)
    normalised-sampled    d_n g(k) / sum_j g(j)
    integrated            d_n (Phi(k + 1/2) - Phi(k - 1/2))
    linear-integrated     d_n (H(k + 1) - 2 H(k) + H(k - 1)),  H'' = g
    sampled-derivative    (-1)^n g^(n)(k)
    integrated-derivative (-1)^n (g^(n-1)(k + 1/2) - g^(n-1)(k - 1/2))

Everything here is float64 on the CPU: taps are a few hundred numbers, their rounding is everybody's rounding.
"""

import math
from functools import lru_cache
from typing import Literal, get_args

import torch
from torch import Tensor

Discretisation = Literal[
    "discrete",
    "sampled",
    "normalised-sampled",
    "integrated",
    "linear-integrated",
    "sampled-derivative",
    "integrated-derivative",
]
DISCRETISATIONS: tuple[str, ...] = get_args(Discretisation)

TRUNCATION = 1e-8
"""Relative L1 change of the highest derivative kernel in use that cutting its tails may cause."""


@lru_cache(maxsize=16)
def _difference(order: int) -> tuple[float, ...]:
    taps = [1.0] if order % 2 == 0 else [-0.5, 0.0, 0.5]
    for _ in range(order // 2):
        padded = [0.0, 0.0, *taps, 0.0, 0.0]
        taps = [padded[i] - 2 * padded[i + 1] + padded[i + 2] for i in range(len(padded) - 2)]
    return tuple(taps)


def difference_taps(order: int) -> Tensor:
    """Central difference of the given order, [2 * ceil(order / 2) + 1], as a correlation mask."""
    return torch.tensor(_difference(order), dtype=torch.float64)


def difference_radius(order: int) -> int:
    """Half width of `difference_taps(order)`: ceil(order / 2)."""
    return (order + 1) // 2


def exact_radius(sigma: float, order: int) -> int:
    """A radius beyond which every kernel is below float64 rounding (9 sigma plus the discrete tail)."""
    return math.ceil(9 * sigma) + 12 + order


def transfer_factor(frequency: Tensor, order: int) -> Tensor:
    """lambda_n(w): (2 cos w - 2)^(n/2) for even n, -sin w (2 cos w - 2)^((n-1)/2) for odd n."""
    negative_laplacian = 4 * torch.sin(frequency / 2) ** 2
    power: Tensor = (-negative_laplacian) ** (order // 2)
    return power if order % 2 == 0 else -torch.sin(frequency) * power


def smoothing_exponent(frequency: Tensor) -> Tensor:
    """1 - cos w, without cancellation: the discrete analogue has transfer function exp(-s (1 - cos w))."""
    return 2 * torch.sin(frequency / 2) ** 2


def _gaussian_derivative(x: Tensor, sigma: Tensor, order: int) -> Tensor:
    """d^n/dx^n g(x; sigma); order -1 and -2 are the first and second integral, up to an affine function."""
    u = x / sigma
    if order == -1:
        return 0.5 * torch.erf(u / math.sqrt(2))
    if order == -2:
        return x * _gaussian_derivative(x, sigma, -1) + sigma**2 * _gaussian_derivative(x, sigma, 0)
    previous, hermite = torch.zeros_like(u), torch.ones_like(u)
    for n in range(order):
        previous, hermite = hermite, u * hermite - n * previous
    gaussian = torch.exp(-0.5 * u**2) / (math.sqrt(2 * math.pi) * sigma)
    return (-1 / sigma) ** order * hermite * gaussian


def _discrete_taps(sigma: Tensor, order: int, radius: int, sigma_derivative: bool) -> Tensor:
    """Inverse DFT of the transfer function, long enough that its periodic copies are below rounding."""
    length = radius + exact_radius(float(sigma.detach().max()), order) + 1
    frequency = 2 * math.pi * torch.arange(length // 2 + 1, dtype=torch.float64) / length
    exponent = smoothing_exponent(frequency)
    transfer = transfer_factor(frequency, order) * torch.exp(-(sigma[..., None] ** 2) * exponent)
    if sigma_derivative:
        transfer = -2 * sigma[..., None] * exponent * transfer
    # The mask of an odd difference has transfer function i sin w (...): as a sequence it is odd.
    spectrum = torch.complex(transfer, torch.zeros_like(transfer))
    if order % 2:
        spectrum = spectrum * 1j
    periodic: Tensor = torch.fft.irfft(spectrum, n=length)
    return periodic[..., torch.arange(-radius, radius + 1) % length]


def _smoothing_taps(sigma: Tensor, radius: int, discretisation: str, sigma_derivative: bool) -> Tensor:
    # Every base function obeys the diffusion equation: d/dsigma is sigma times the second derivative.
    lift, factor = (2, sigma[..., None]) if sigma_derivative else (0, 1.0)
    sigma = sigma[..., None]
    x = torch.arange(-radius, radius + 1, dtype=torch.float64)

    def base(shift: float, order: int) -> Tensor:
        return _gaussian_derivative(x + shift, sigma, order + lift)

    if discretisation == "sampled":
        return factor * base(0, 0)
    if discretisation == "integrated":
        return factor * (base(0.5, -1) - base(-0.5, -1))
    if discretisation == "linear-integrated":
        return factor * (base(1, -2) - 2 * base(0, -2) + base(-1, -2))
    far = max(radius, exact_radius(float(sigma.detach().max()), 0))
    every = torch.arange(-far, far + 1, dtype=torch.float64)
    gaussian, total = (
        _gaussian_derivative(x, sigma, 0),
        _gaussian_derivative(every, sigma, 0).sum(-1, keepdim=True),
    )
    if not sigma_derivative:
        return gaussian / total
    change = _gaussian_derivative(every, sigma, 2).sum(-1, keepdim=True)
    return factor * (base(0, 0) / total - gaussian * change / total**2)


def kernel_taps(
    sigma: Tensor,
    order: int,
    radius: int,
    discretisation: str = "discrete",
    *,
    sigma_derivative: bool = False,
) -> Tensor:
    """Taps of the n-th derivative kernel at each sigma, or their derivative with respect to sigma.

    Args:
        sigma: Standard deviations in pixels, any shape [...], float64 on the CPU.
        order: Order n of the derivative, >= 0.
        radius: Half width; nothing beyond it is returned, nothing inside is approximated.
        discretisation: One of `DISCRETISATIONS`.
        sigma_derivative: Return d taps / d sigma, in closed form.

    Returns:
        [..., 2 * radius + 1], float64, differentiable in sigma.
    """
    if discretisation == "discrete":
        return _discrete_taps(sigma, order, radius, sigma_derivative)
    # A correlation mask is the kernel mirrored: odd derivatives change sign.
    if discretisation.endswith("-derivative"):
        lift, factor = (2, sigma[..., None]) if sigma_derivative else (0, 1.0)
        x = torch.arange(-radius, radius + 1, dtype=torch.float64)
        sign = -1.0 if order % 2 else 1.0
        scale = sigma[..., None]
        if discretisation == "sampled-derivative":
            return sign * factor * _gaussian_derivative(x, scale, order + lift)
        upper = _gaussian_derivative(x + 0.5, scale, order - 1 + lift)
        lower = _gaussian_derivative(x - 0.5, scale, order - 1 + lift)
        return sign * factor * (upper - lower)
    reach = difference_radius(order)
    smoothing = _smoothing_taps(sigma, radius + reach, discretisation, sigma_derivative)
    difference = difference_taps(order).flip(0)
    return (smoothing.unfold(-1, 2 * reach + 1, 1) * difference).sum(-1)


@lru_cache(maxsize=4096)
def tap_radius(sigma: float, order: int, discretisation: str = "discrete") -> int:
    """The smallest radius whose cut changes the order-n kernel by at most `TRUNCATION` in relative L1 norm."""
    far = exact_radius(sigma, order)
    taps = kernel_taps(torch.tensor(sigma, dtype=torch.float64), order, far, discretisation).abs()
    one_side = taps[far:].flip(0).cumsum(0).flip(0)  # one_side[r]: L1 norm of taps r .. far
    kept = torch.nonzero(one_side > 0.5 * TRUNCATION * taps.sum())
    return max(int(kept[-1]) if len(kept) else 0, difference_radius(order), 1)
