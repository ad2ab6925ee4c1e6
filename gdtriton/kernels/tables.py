"""What the other kernels read instead of the host reading sigma: routes, radii, ranks, taps and multipliers.

For every scale channel, on the device and in float64, rounded to float32 once:

    plan     [S, 1 + 2 A]  route (0 stencil, 1 spectrum), then per axis the rank r and the radius of the band
    factors  [Q, J]        sigma^(p |a|) / a!
    taps     [S, T, D]     taps of the n-th derivative kernel, periodised by the border, from d = `TapTable.first` on
    decay    [Q, N]        exp(-s (1 - cos w_k)), the smoothing of frequency k
    cosines  [4 N]         cos(pi j / (2 N)): every entry of a cosine or sine basis by an integer index

Q is S, or S times the channels that have a sigma of their own. A sigma that is not a positive finite number becomes
NaN, and so does everything computed from it.
"""

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
import triton
import triton.language as tl
from torch import Tensor

from ..axes import Layer
from ..operators import inverse_factorials, jet_orders
from ..taps import DISCRETISATIONS, _difference
from .configuration import Configuration

SPECTRUM_FROM_SIGMA = 4.0
"""Sigma in pixels from which a scale channel takes the spectral route; from the cost model, not measured yet."""

AMPLIFICATION = 300.0
"""Largest (2 sigma)^order at which differences of a smoothed image are taken where there is a choice."""

_HALF_PI = tl.constexpr(0.5 * math.pi)
_PI = tl.constexpr(math.pi)
_TWO_PI = tl.constexpr(2 * math.pi)
_ROOT_TWO_PI = tl.constexpr(math.sqrt(2 * math.pi))
_ROOT_HALF = tl.constexpr(math.sqrt(0.5))
_MAX_WRAPS = tl.constexpr(4096)
_LARGEST = tl.constexpr(float(torch.finfo(torch.float32).max))
_BLOCK = 128


@triton.jit
def _valid_sigma(sigma_ptr, index):
    sigma = tl.load(sigma_ptr + index).to(tl.float64)
    return tl.where((sigma > 0) & (sigma < 1e30), sigma, float("nan"))


@triton.jit
def _band_radius(sigma, ORDER: tl.constexpr):
    """Offsets beyond which the taps of order ORDER and below are less than 1e-8 of their L1 norm."""
    bounded = tl.where(sigma < 1e6, sigma, 1e6)  # also for NaN
    return tl.ceil(7 * bounded).to(tl.int32) + 4 + ORDER


@triton.jit
def _power(value, EXPONENT: tl.constexpr):
    result = value * 0 + 1.0
    for _ in tl.static_range(EXPONENT):
        result = result * value
    return result


@triton.jit
def _transfer(half_sine_squared, sine, ORDER: tl.constexpr):
    """lambda_n of a frequency from sin^2(w / 2) and sin w."""
    even = _power(-4.0 * half_sine_squared, ORDER // 2)
    return -sine * even if ORDER % 2 == 1 else even


@triton.jit
def _frequency_index(k, CIRCULAR: tl.constexpr):
    """w_k N / pi: k for cosines of half-sample symmetry, 0, 2, 2, 4, 4, ... for the real DFT."""
    return 2 * ((k + 1) // 2) if CIRCULAR else k


@triton.jit
def _rank(sigma, size, unit, CIRCULAR: tl.constexpr, ORDER: tl.constexpr, BLOCK: tl.constexpr):
    """How many frequencies matter: beyond it every scale-normalised multiplier is below unit / 4."""
    count = tl.where(sigma == sigma, 1, size)
    for start in range(0, size, BLOCK):
        k = start + tl.arange(0, BLOCK)
        w = _frequency_index(k, CIRCULAR).to(tl.float64) * _PI / size
        half = tl.sin(0.5 * w)
        decay = tl.exp(-2.0 * sigma * sigma * half * half)
        largest = decay
        for n in tl.static_range(1, ORDER + 1):
            largest = tl.maximum(largest, _power(sigma, n) * tl.abs(_transfer(half * half, tl.sin(w), n)) * decay)
        count = tl.maximum(count, tl.max(tl.where((k < size) & (largest > 0.25 * unit), k + 1, 0), 0))
    if CIRCULAR:  # a cosine and its sine belong together
        count = tl.where(count % 2 == 0, count + 1, count)
    return tl.minimum(size, count)


@triton.jit
def _plan_kernel(
    sigma_ptr, plan_ptr, factors_ptr, n_channels, size_0, size_1, size_2,
    spectrum_from, amplification, unit, norm_power,
    AXES: tl.constexpr, ORDER: tl.constexpr, TOTALS: tl.constexpr, INVERSE: tl.constexpr, CIRCULAR: tl.constexpr,
    BLOCK: tl.constexpr,
):  # fmt: skip
    s = tl.program_id(0)
    finest = _valid_sigma(sigma_ptr, s * n_channels)
    for c in range(n_channels):
        index = s * n_channels + c
        sigma = _valid_sigma(sigma_ptr, index)
        finest = tl.where((sigma >= finest) | (finest != finest), finest, sigma)  # NaN if one of them is
        logarithm = tl.log(sigma) * norm_power
        for j in tl.static_range(len(TOTALS)):
            value = tl.exp(logarithm * TOTALS[j]) * INVERSE[j]
            value = tl.where(value > _LARGEST, _LARGEST, value)  # infinity would make NaN of a jet that vanishes
            tl.store(factors_ptr + index * len(TOTALS) + j, value.to(tl.float32))
    plan = plan_ptr + s * (1 + 2 * AXES)
    spectral = (finest >= spectrum_from) | (_power(2 * finest, ORDER) > amplification) | (spectrum_from <= 0)
    tl.store(plan, spectral.to(tl.int32))
    for axis in tl.static_range(AXES):
        size = size_0 if axis == 0 else (size_1 if axis == 1 else size_2)
        tl.store(plan + 1 + 2 * axis, _rank(finest, size, unit, CIRCULAR, ORDER, BLOCK))
        tl.store(plan + 2 + 2 * axis, _band_radius(finest, ORDER + 2))


@triton.jit
def _gaussian_derivative(x, sigma, ORDER: tl.constexpr):
    """d^n g / dx^n; ORDER -1 and -2 are the first and second integral, up to an affine function."""
    u = x / sigma
    gaussian = tl.exp(-0.5 * u * u) / (sigma * _ROOT_TWO_PI)
    if ORDER == -1:
        result = 0.5 * tl.erf(u * _ROOT_HALF)
    elif ORDER == -2:
        result = x * (0.5 * tl.erf(u * _ROOT_HALF)) + sigma * sigma * gaussian
    else:
        previous, hermite = u * 0, u * 0 + 1.0
        for n in tl.static_range(ORDER):
            following = u * hermite - n * previous
            previous = hermite
            hermite = following
        result = _power(-1 / sigma, ORDER) * hermite * gaussian
    return result


@triton.jit
def _gaussian_total(sigma, ORDER: tl.constexpr):
    """Sum over the integers of g (ORDER 0) or of its second derivative (ORDER 2): directly, or by Poisson's sum."""
    near = sigma * 0
    for k in range(-12, 13):
        near += _gaussian_derivative(sigma * 0 + k, sigma, ORDER)
    far = sigma * 0 + (1.0 if ORDER == 0 else 0.0)
    for j in tl.static_range(1, 4):
        w = (sigma * 0 + j) * _TWO_PI
        term = 2 * tl.exp(-0.5 * sigma * sigma * w * w)
        far += term if ORDER == 0 else -w * w * term
    return tl.where(sigma < 1, near, far)


@triton.jit
def _base(x, sigma, KIND: tl.constexpr, LIFT: tl.constexpr):
    """The smoothing kernel of a discretisation at x (LIFT 0), or its derivative in s times two (LIFT 2)."""
    if KIND == "integrated":
        result = _gaussian_derivative(x + 0.5, sigma, LIFT - 1) - _gaussian_derivative(x - 0.5, sigma, LIFT - 1)
    elif KIND == "linear-integrated":
        outer = _gaussian_derivative(x + 1, sigma, LIFT - 2) + _gaussian_derivative(x - 1, sigma, LIFT - 2)
        result = outer - 2 * _gaussian_derivative(x, sigma, LIFT - 2)
    elif KIND == "normalised-sampled":
        total = _gaussian_total(sigma, 0)
        result = _gaussian_derivative(x, sigma, LIFT) / total
        if LIFT == 2:
            result -= _gaussian_derivative(x, sigma, 0) * _gaussian_total(sigma, 2) / (total * total)
    else:
        result = _gaussian_derivative(x, sigma, LIFT)
    return result


@triton.jit
def _tap(x, sigma, KIND: tl.constexpr, ORDER: tl.constexpr, LIFT: tl.constexpr, DIFFERENCE: tl.constexpr):
    """The n-th derivative kernel at integer x as a correlation mask, or its derivative in s times two (LIFT 2)."""
    SIGN: tl.constexpr = -1.0 if ORDER % 2 == 1 else 1.0
    if KIND == "sampled-derivative":
        result = SIGN * _gaussian_derivative(x, sigma, ORDER + LIFT)
    elif KIND == "integrated-derivative":
        upper = _gaussian_derivative(x + 0.5, sigma, ORDER - 1 + LIFT)
        result = SIGN * (upper - _gaussian_derivative(x - 0.5, sigma, ORDER - 1 + LIFT))
    else:
        result = x * 0
        for k in tl.static_range(len(DIFFERENCE)):
            if DIFFERENCE[k] != 0:
                result += DIFFERENCE[k] * _base(x - (k - len(DIFFERENCE) // 2), sigma, KIND, LIFT)
    return result


@triton.jit
def _taps_kernel(
    sigma_ptr, taps_ptr, size, period, first, length, stride_s,
    KIND: tl.constexpr, ORDER: tl.constexpr, LIFT: tl.constexpr, DIFFERENCE: tl.constexpr, PERIODIC: tl.constexpr,
    BLOCK: tl.constexpr,
):  # fmt: skip
    s = tl.program_id(1)
    sigma = _valid_sigma(sigma_ptr, s)
    index = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    offset = first + index
    radius = 2 * _band_radius(sigma, ORDER + 2)
    total = index.to(tl.float64) * 0
    if KIND == "discrete":
        # Inverse DFT of the transfer function: of the border's period, or without images inside the axis.
        span = period if PERIODIC else 2 * size + radius
        place = (((offset % span) + span) % span).to(tl.int64)
        last = tl.minimum(span // 2, tl.ceil(2.4 * span / tl.where(sigma > 0.1, sigma, 0.1)).to(tl.int32))
        for k in range(0, last + 1):
            w = (sigma * 0 + k) * _TWO_PI / span
            half = tl.sin(0.5 * w)
            value = _transfer(half * half, tl.sin(w), ORDER) * tl.exp(-2 * sigma * sigma * half * half)
            if LIFT == 2:
                value *= -4 * half * half
            weight = tl.where((k == 0) | (2 * k == span), 1.0, 2.0)
            angle = ((place * k) % span).to(tl.float64) * _TWO_PI / span
            wave = -tl.sin(angle) if ORDER % 2 == 1 else tl.cos(angle)
            total += weight * value * wave / span
    elif PERIODIC:
        wraps = tl.minimum(_MAX_WRAPS, radius // period + 1)
        place = ((offset % period) + period) % period
        for k in range(-wraps, wraps + 1):
            total += _tap((place + k * period).to(tl.float64), sigma, KIND, ORDER, LIFT, DIFFERENCE)
    else:
        total = _tap(offset.to(tl.float64), sigma, KIND, ORDER, LIFT, DIFFERENCE)
    if LIFT == 2:  # d/dsigma = 2 sigma d/ds
        total *= sigma
    tl.store(taps_ptr + s * stride_s.to(tl.int64) + index, total.to(tl.float32), mask=index < length)


@triton.jit
def _spectrum_kernel(sigma_ptr, decay_ptr, cosines_ptr, size, n_sigma, CIRCULAR: tl.constexpr, BLOCK: tl.constexpr):
    q = tl.program_id(1)
    k = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    if q < n_sigma:
        sigma = _valid_sigma(sigma_ptr, q)
        half = tl.sin(_frequency_index(k, CIRCULAR).to(tl.float64) * _HALF_PI / size)
        decay = tl.exp(-2.0 * sigma * sigma * half * half)
        tl.store(decay_ptr + q.to(tl.int64) * size + k, decay.to(tl.float32), mask=k < size)
    else:
        angle = k.to(tl.float64) * _HALF_PI / size
        tl.store(cosines_ptr + k, tl.cos(angle).to(tl.float32), mask=k < 4 * size)


class Plan(NamedTuple):
    """Route, ranks and radii [S, 1 + 2 A] int32, and factors [Q, J] float32."""

    values: Tensor
    factors: Tensor


def launch_plan(sigma: Tensor, spatial: tuple[int, ...], layer: Layer, dtype: torch.dtype) -> Plan:
    """Decide on the device which route every scale channel takes.

    Args:
        sigma: [S] or [S, C] pixels, on the device.
        spatial: Axis lengths.
        layer: The static arguments.
        dtype: That of the features.
    """
    n_scales, n_channels, axes = sigma.shape[0], sigma[0].numel(), len(spatial)
    orders = layer.orders(axes)
    plan = torch.empty(n_scales, 1 + 2 * axes, dtype=torch.int32, device=sigma.device)
    factors = torch.empty(n_scales * n_channels, len(orders), dtype=torch.float32, device=sigma.device)
    spectrum_from, amplification = SPECTRUM_FROM_SIGMA, AMPLIFICATION
    if not layer.has_spectrum:
        spectrum_from = amplification = math.inf
    elif n_channels > 1:
        spectrum_from = amplification = 0.0
    sizes = (*spatial, 1, 1)[:3]
    _plan_kernel[(n_scales,)](
        sigma.contiguous(), plan, factors, n_channels, *sizes,
        spectrum_from, amplification, 0.5 * torch.finfo(dtype).eps, layer.norm_power,
        AXES=axes, ORDER=layer.order, TOTALS=tuple(float(sum(a)) for a in orders), INVERSE=inverse_factorials(orders),
        CIRCULAR=layer.border == "circular", BLOCK=_BLOCK, enable_fp_fusion=True,
    )  # fmt: skip
    return Plan(plan, factors)


class TapTable(NamedTuple):
    """Periodised taps [S, D] float32 of one order; column `offset - first` holds the tap at `offset`."""

    taps: Tensor
    first: int


def launch_taps(
    sigma: Tensor, size: int, margin: int, order: int, discretisation: str, border: str, *, changed: bool = False
) -> TapTable:
    """Taps of the n-th derivative kernel, or of its derivative in sigma, for an axis of `size` pixels."""
    # Row m, column n of P_n reads the taps at n - m and, mirrored, at -1 - n - m, with m in -margin .. size + margin.
    first, length = -(2 * size + margin), 3 * size + 2 * margin + 1
    taps = torch.empty(len(sigma), length, dtype=torch.float32, device=sigma.device)
    grid = (triton.cdiv(length, _BLOCK), len(sigma))
    period = 2 * size if border == "symmetric" else size
    _taps_kernel[grid](
        sigma, taps, size + margin, period, first, length, taps.stride(0),
        KIND=discretisation, ORDER=order, LIFT=2 if changed else 0, DIFFERENCE=_difference(order),
        PERIODIC=border != "zero", BLOCK=_BLOCK, enable_fp_fusion=True,
    )  # fmt: skip
    return TapTable(taps, first)


class SpectrumTable(NamedTuple):
    """Smoothing of every frequency [Q, N] and cosines [4 N], float32."""

    decay: Tensor
    cosines: Tensor


def launch_spectrum(sigma: Tensor, size: int, border: str) -> SpectrumTable:
    """What the spectral kernels read about an axis of `size` pixels; sigma flat, [Q]."""
    decay = torch.empty(len(sigma), size, dtype=torch.float32, device=sigma.device)
    cosines = torch.empty(4 * size, dtype=torch.float32, device=sigma.device)
    grid = (triton.cdiv(4 * size, _BLOCK), len(sigma) + 1)
    _spectrum_kernel[grid](
        sigma, decay, cosines, size, len(sigma), CIRCULAR=border == "circular", BLOCK=_BLOCK, enable_fp_fusion=True
    )  # fmt: skip
    return SpectrumTable(decay, cosines)


def configurations(target: str) -> Iterator[Configuration]:
    """What is compiled ahead of time: every discretisation to order 2, and the plans and spectra of both borders."""
    types: dict[str, Any] = {"sigma_ptr": "*fp32", "taps_ptr": "*fp32", "stride_s": "i32"}
    for kind in DISCRETISATIONS:
        for order, lift in ((2, 0), (0, 2)):
            constants = {"KIND": kind, "ORDER": order, "LIFT": lift, "DIFFERENCE": _difference(order)}
            yield Configuration(
                f"{kind}-order{order}{'-changed' if lift else ''}", _taps_kernel, types,
                constants | {"PERIODIC": True, "BLOCK": _BLOCK},
            )  # fmt: skip
    for circular in (False, True):
        name = "circular" if circular else "symmetric"
        types = {"sigma_ptr": "*fp32", "plan_ptr": "*i32", "factors_ptr": "*fp32"}
        types |= dict.fromkeys(("spectrum_from", "amplification", "unit", "norm_power"), "fp32")
        for ndim, order in ((2, 2), (3, 4)):
            orders = jet_orders(ndim, order)
            totals = tuple(float(sum(a)) for a in orders)
            constants = {"AXES": ndim, "ORDER": order, "TOTALS": totals, "INVERSE": inverse_factorials(orders)}
            yield Configuration(
                f"{name}-{ndim}d-order{order}", _plan_kernel, types, constants | {"CIRCULAR": circular, "BLOCK": _BLOCK}
            )
        types = {"sigma_ptr": "*fp32", "decay_ptr": "*fp32", "cosines_ptr": "*fp32"}
        yield Configuration(name, _spectrum_kernel, types, {"CIRCULAR": circular, "BLOCK": _BLOCK})
