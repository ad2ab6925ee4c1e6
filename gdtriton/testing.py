"""Rounding bounds derived from the arithmetic, and the assertions that use them.

A result is compared with the reference in float64 on the same (already rounded) inputs. Elementwise, every route to a
layer is a chain of sums of products, so with u the unit roundoff of the arithmetic and k the longest chain,

    |computed - exact| <= gamma_k sum_a |w_a| / a! sigma^(p |a|) (A_{a_1} x ... x A_{a_N}) |f|,
    gamma_k = k u / (1 - k u),

plus one rounding of the output (N. Higham, "Accuracy and Stability of Numerical Algorithms", section 3.1). A_n is the
absolute value of the factors that the route multiplies: |P_n| (operators), |D_n| |P_0| (stencil) or
|B_n^T| |m_n| |C| (spectrum). The bound is independent of summation order and of fused multiply-add.

The bound grows with sigma^n where differences of a smoothed image are taken, so that it would accept a jet without a
correct digit. `assert_relative_to_jet` demands digits of the jet itself.
"""

import math
from typing import Literal

import torch
from torch import Tensor

from .operators import axis_operator, has_spectrum, inverse_factorials, jet_orders, spectral_basis, spectral_multiplier
from .reference import compute_dtype
from .taps import TRUNCATION, difference_radius, difference_taps, exact_radius

Route = Literal["operators", "stencil", "spectrum"]


def unit_roundoff(dtype: torch.dtype) -> float:
    """u: half the distance from 1 to the next number of a floating-point dtype."""
    return torch.finfo(dtype).eps / 2


def gamma(length: int, dtype: torch.dtype) -> float:
    """gamma_k = k u / (1 - k u), the relative error of a chain of k operations in `dtype`."""
    product = length * unit_roundoff(dtype)
    if product >= 0.5:
        raise ValueError(f"gamma: length must be below 1 / (2 u) of {dtype}, got {length}")
    return product / (1 - product)


def output_rounding(golden: Tensor, dtype: torch.dtype) -> Tensor:
    """Error of rounding `golden` once to `dtype`, subnormal numbers included."""
    info = torch.finfo(dtype)
    return unit_roundoff(dtype) * golden.abs() + info.smallest_normal * info.eps


def _absolute_operator(
    size: int, sigma: float, order: int, discretisation: str, border: str, route: Route, storage: float
) -> tuple[Tensor, Tensor]:
    """A_n of one axis, [N, N], and the absolute errors of its entries."""
    value = torch.tensor(sigma, dtype=torch.float64)
    options = {"discretisation": discretisation, "border": border}
    error = torch.zeros(size, size, dtype=torch.float64)
    direct = axis_operator(size, value, order, **options).abs()  # type: ignore[arg-type]
    if route == "spectrum":
        basis = spectral_basis(size, border)
        multiplier = spectral_multiplier(basis.frequency, value, order).abs()
        rows, columns = basis.synthesis(order).abs().T, basis.analysis.abs()
        absolute = (rows * multiplier) @ columns
        # Frequencies whose scale-normalised multiplier is below u / 4 of the stored dtype are left out.
        error = storage / (4 * sigma**order) * (rows @ columns)
    elif route == "stencil" and not discretisation.endswith("-derivative"):
        reach = difference_radius(order)
        smoothing = axis_operator(size, value, 0, margin=reach, **options).abs()  # type: ignore[arg-type]
        absolute = (smoothing.unfold(0, 2 * reach + 1, 1) * difference_taps(order).abs()).sum(-1)
    else:
        absolute = direct
    # The tables are float64 sums of cosines: every entry is off by a few u of the largest multiplier.
    peak = float(absolute.sum(1).amax())
    error = error + 16 * unit_roundoff(torch.float64) * peak
    if route != "spectrum":  # a kernel is cut where its relative L1 norm changes by TRUNCATION
        error = error + TRUNCATION * peak
    return absolute, error


def layer_bound(
    features: Tensor,
    weight: Tensor,
    sigma: Tensor,
    bias: Tensor | None = None,
    *,
    golden: Tensor,
    order: int = 2,
    zero_order: bool = False,
    groups: int = 1,
    norm_power: float = 1.0,
    discretisation: str = "discrete",
    border: str = "symmetric",
    route: Route | None = None,
) -> Tensor:
    """Elementwise bound on the rounding error of `jet_conv`, [S, B, C_out, *spatial], float64.

    Args:
        features: [S, B, C_in, *spatial], the inputs as they were given to the function under test.
        weight: [C_out, C_in / groups, J].
        sigma: [S], [S, 1, C_in] or [S, C_out, 1].
        bias: [C_out] or None.
        golden: The exact result, float64.
        order: As in `jet_conv`, like all that follow.
        zero_order: See there.
        groups: See there.
        norm_power: See there.
        discretisation: See there.
        border: See there.
        route: Which factors are multiplied; by default the largest bound of the three.

    Raises:
        ValueError: If the chain of operations is too long for the dtype.
    """
    if route is None:
        routes: list[Route] = ["operators", "stencil"]
        routes += ["spectrum"] if has_spectrum(discretisation, border) else []
    else:
        routes = [route]
    ndim, spatial = features.ndim - 3, features.shape[3:]
    orders = jet_orders(ndim, order, zero_order=zero_order)
    arithmetic = compute_dtype(features.dtype)
    storage = unit_roundoff(features.dtype)
    c_out, per_group = weight.shape[0], weight.shape[1]
    out_per_group = c_out // groups
    image, mix = features.detach().double().abs(), weight.detach().double().abs()
    scales = sigma.detach().double().view(len(features), 1, 1) if sigma.ndim == 1 else sigma.detach().double()
    taps = max(len(orders), (2 * difference_radius(order) + 1) ** ndim)
    widest = max(min(n, 2 * exact_radius(float(scales.max()), order) + 1) for n in spatial)
    if "spectrum" in routes:
        widest = max(spatial)
    # Per axis a row of the matrix and its rounding, twice for the spectrum; mixing; weights; bias and assembly.
    length = 2 * ndim * (widest + 2) + per_group * taps + 12
    chain = gamma(length, arithmetic)
    total = torch.zeros_like(golden, dtype=torch.float64)
    for kind in routes:
        bound = torch.zeros_like(total)
        built: dict[tuple[int, float, int], tuple[Tensor, Tensor]] = {}
        products: dict[tuple[int, int, float, int], Tensor] = {}
        for s in range(len(features)):
            for o in range(c_out):
                for i in range(per_group):
                    channel = (o // out_per_group) * per_group + i
                    value = float(scales[s, min(o, scales.shape[1] - 1), min(channel, scales.shape[2] - 1)])
                    for j, (a, factor) in enumerate(zip(orders, inverse_factorials(orders), strict=True)):
                        place = (s, channel, value, j)
                        if place not in products:
                            exact = perturbed = image[s, :, channel]
                            for axis, n in enumerate(a):
                                key = (spatial[axis], value, n)
                                if key not in built:
                                    built[key] = _absolute_operator(*key, discretisation, border, kind, storage)
                                absolute, error = built[key]
                                exact = (exact.movedim(axis + 1, -1) @ absolute.T).movedim(-1, axis + 1)
                                perturbed = (perturbed.movedim(axis + 1, -1) @ (absolute + error).T).movedim(
                                    -1, axis + 1
                                )
                            products[place] = chain * perturbed + perturbed - exact
                        factors = mix[o, i, j] * factor * value ** (norm_power * sum(a))
                        bound[s, :, o] += factors * products[place]
        total = torch.maximum(total, bound)
    if bias is not None:
        total = total + chain * bias.detach().double().abs().view(-1, *(1,) * ndim)
    return total + output_rounding(golden.double(), features.dtype)


def assert_within_rounding(actual: Tensor, golden: Tensor, bound: Tensor | float, name: str = "result") -> None:
    """|actual - golden| <= bound, elementwise; NaN never passes.

    Raises:
        AssertionError: With the worst place, the error there and how many times the bound it is.
    """
    assert actual.shape == golden.shape, f"{name} has shape {list(actual.shape)}, not {list(golden.shape)}"
    error = (actual.detach().double() - golden.detach().double()).abs()
    limit = torch.as_tensor(bound, dtype=torch.float64).detach().expand_as(error)
    wrong = ~(error <= limit)
    if bool(wrong.any()):
        ratio = torch.where(wrong, error / limit, 0).nan_to_num(torch.inf, torch.inf)
        place = [int(k) for k in torch.unravel_index(ratio.argmax(), ratio.shape)]
        found, wanted = float(actual.detach()[tuple(place)]), float(golden.detach()[tuple(place)])
        raise AssertionError(
            f"{name} is outside its rounding bound at {int(wrong.sum())} of {wrong.numel()} places; worst at {place}: "
            f"{found:.9g} instead of {wanted:.9g}, {float(ratio.max()):.3g} times the bound"
        )


def relative_error(actual: Tensor, golden: Tensor, axes: tuple[int, ...]) -> Tensor:
    """||actual - golden|| / ||golden|| over `axes`, float64."""
    difference = actual.detach().double() - golden.detach().double()
    return difference.square().sum(axes).sqrt() / golden.detach().double().square().sum(axes).sqrt()


def assert_relative_to_jet(
    actual: Tensor, golden: Tensor, roundoff: float, amplification: float, axes: tuple[int, ...], name: str = "jet"
) -> None:
    """Every jet keeps its digits: ||actual - golden|| <= amplification * roundoff * ||golden|| over `axes`.

    Raises:
        AssertionError: With the largest relative error and what was allowed.
    """
    error = relative_error(actual, golden, axes)
    allowed = amplification * roundoff
    worst = float(error.nan_to_num(math.inf).max())
    assert worst <= allowed, f"{name} has relative error {worst:.3g}, allowed {allowed:.3g}"
