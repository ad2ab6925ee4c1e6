"""The public functions: arguments are checked, then one implementation runs.

`impl=None` takes "triton" for float32, bfloat16 and float16 on a GPU where triton is installed, and "torch" for the
rest; a name forces one, and "triton" raises where it cannot run: it never falls back.
"""

from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import Tensor

from . import ops, reference
from .checks import (
    check_integer,
    check_layer,
    check_options,
    check_spatial,
    check_tensor,
    resolve_implementation,
    sigma_tensor,
    spectral_sigma,
)
from .operators import Border
from .taps import Discretisation

Sigma = float | Sequence[float] | Tensor
Implementation = Literal["reference", "torch", "triton"]

assert ops  # importing it registers the operators


def gaussian_smooth(
    image: Tensor,
    sigma: Sigma,
    *,
    ndim: int = 2,
    discretisation: Discretisation = "discrete",
    border: Border = "symmetric",
    impl: Implementation | None = None,
) -> Tensor:
    """Gaussian smoothing L(.; sigma) = P_0(sigma) ... P_0(sigma) f along the last ndim axes.

    Args:
        image: [..., *spatial], a floating-point tensor.
        sigma: Standard deviation in pixels: a number or 0-d tensor, or [S] for S of them.
        ndim: Number of spatial axes, >= 1.
        discretisation: One of `taps.DISCRETISATIONS`; "discrete" is the discrete analogue of the Gaussian.
        border: "symmetric" (edge pixel repeated), "zero" or "circular".
        impl: Force an implementation.

    Returns:
        [..., *spatial], or [S, ..., *spatial] for [S] sigmas; dtype of the image. Differentiable in both, twice.

    Raises:
        TypeError: On an argument of the wrong kind or dtype.
        ValueError: On a wrong shape, device or value.

    Source: T. Lindeberg, "Scale-space for discrete signals", 1990.
    """
    jets = _jet("gaussian_smooth", image, sigma, 0, ndim, True, 1.0, discretisation, border, impl)
    return jets.squeeze(-ndim - 1)


def gaussian_jet(
    image: Tensor,
    sigma: Sigma,
    order: int = 2,
    *,
    ndim: int = 2,
    zero_order: bool = True,
    norm_power: float = 1.0,
    discretisation: Discretisation = "discrete",
    border: Border = "symmetric",
    impl: Implementation | None = None,
) -> Tensor:
    """Scale-normalised Gaussian derivatives sigma^(norm_power |a|) d_a L of every multi-index a up to `order`.

    Along axis J stand the multi-indices of `jet_orders(ndim, order)`; in 2-D L, Lx, Ly, Lxx, Lxy, Lyy. Derivatives are
    along increasing index (y points down in an image).

    Args:
        image: [..., *spatial], a floating-point tensor.
        sigma: Standard deviation in pixels: a number or 0-d tensor, or [S] for S of them.
        order: Highest total order, 0 .. 6.
        ndim: Number of spatial axes, >= 1.
        zero_order: Whether L itself is part of the jet.
        norm_power: Exponent of the scale normalisation.
        discretisation: One of `taps.DISCRETISATIONS`.
        border: "symmetric" (edge pixel repeated), "zero" or "circular".
        impl: Force an implementation.

    Returns:
        [..., J, *spatial], or [S, ..., J, *spatial] for [S] sigmas; dtype of the image. Differentiable in both, twice.

    Raises:
        TypeError: On an argument of the wrong kind or dtype.
        ValueError: On a wrong shape, device or value.

    Source: T. Lindeberg, "Scale-covariant and scale-invariant Gaussian derivative networks", 2022, section 3.
    """
    return _jet(
        "gaussian_jet", image, sigma, order, ndim, zero_order, norm_power, discretisation, border, impl
    )  # fmt: skip


def _jet(
    function: str,
    image: Tensor,
    sigma: Sigma,
    order: int,
    ndim: int,
    zero_order: bool,
    norm_power: float,
    discretisation: str,
    border: str,
    impl: str | None,
) -> Tensor:
    check_tensor(function, "image", image)
    check_integer(function, "ndim", ndim, 1)
    check_options(function, order, zero_order, norm_power, discretisation, border, impl)
    check_spatial(function, "image", image.shape, ndim)
    sigmas = sigma_tensor(function, sigma, image.device)
    if sigmas.ndim > 1:
        raise ValueError(f"{function}: sigma must be a number or have shape [S], got {list(sigmas.shape)}")
    single = sigmas.ndim == 0
    chosen = resolve_implementation(function, impl, image, ndim)
    if chosen == "reference":
        with reference.without_autocast(image.device):
            return reference.jet(
                image, sigmas, order, ndim=ndim, zero_order=zero_order, norm_power=float(norm_power),
                discretisation=discretisation, border=border,
            )  # fmt: skip
    jets: Tensor = torch.ops.gdtriton.gaussian_jet(
        image, sigmas.reshape(-1), ndim, order, zero_order, float(norm_power), discretisation, border, chosen
    )  # fmt: skip
    return jets.squeeze(0) if single else jets


def jet_conv(
    features: Tensor,
    weight: Tensor,
    sigma: Sigma,
    bias: Tensor | None = None,
    *,
    order: int = 2,
    zero_order: bool = False,
    groups: int = 1,
    norm_power: float = 1.0,
    discretisation: Discretisation = "discrete",
    border: Border = "symmetric",
    impl: Implementation | None = None,
) -> Tensor:
    """Gaussian derivative layer: every output channel a linear combination of the jets of the input channels.

        output[s, b, o] = bias[o] + sum_i sum_a weight[o, i, a] / a! sigma^(norm_power |a|) d_a L(features[s, b, i])

    Args:
        features: [S, B, C_in, *spatial].
        weight: [C_out, C_in / groups, J], J the multi-indices of `jet_orders(ndim, order, zero_order=zero_order)`.
        sigma: Pixels. [S] per scale channel, [S, 1, C_in] per input channel or [S, C_out, 1] per output filter. The
            last two are one call of the spectral form with the discrete analogue and a symmetric or circular border,
            and C_in or C_out separate calls otherwise.
        bias: [C_out] or None.
        order: Highest total order, 1 .. 6 (0 .. 6 with the zero order).
        zero_order: Whether the smoothed features themselves take part.
        groups: As in `torch.nn.functional.conv2d`.
        norm_power: Exponent of the scale normalisation.
        discretisation: One of `taps.DISCRETISATIONS`.
        border: "symmetric" (edge pixel repeated), "zero" or "circular".
        impl: Force an implementation.

    Returns:
        [S, B, C_out, *spatial], contiguous from the triton kernels and in channels-last memory otherwise; under
        autocast in the autocast dtype, else in the dtype of features. Differentiable in all four, twice.

    Raises:
        TypeError: On an argument of the wrong kind or dtype.
        ValueError: On a wrong shape, device or value.

    Source: T. Lindeberg, "Scale-covariant and scale-invariant Gaussian derivative networks", 2022, equations (6), (11).
    """
    function = "jet_conv"
    check_tensor(function, "features", features)
    check_tensor(function, "weight", weight)
    if bias is not None:
        check_tensor(function, "bias", bias)
    check_options(function, order, zero_order, norm_power, discretisation, border, impl)
    device = features.device.type
    if torch.is_autocast_enabled(device) and features.dtype != torch.float64:
        narrow = torch.get_autocast_dtype(device)
        features, weight = features.to(narrow), weight.to(narrow)
        bias = None if bias is None else bias.to(narrow)
    sigmas = sigma_tensor(function, sigma, features.device)
    check_layer(function, features, weight, sigmas, bias, order, zero_order, groups)
    chosen = resolve_implementation(function, impl, features, features.ndim - 3)
    if sigmas.ndim == 3 and sigmas.shape[1] == sigmas.shape[2] == 1:
        sigmas = sigmas.flatten()
    static: tuple[Any, ...] = (
        order, zero_order, groups, float(norm_power), discretisation, border,
    )  # fmt: skip
    if chosen == "reference":
        names = ("order", "zero_order", "groups", "norm_power", "discretisation", "border")
        options: dict[str, Any] = dict(zip(names, static, strict=True))
        with reference.without_autocast(features.device):
            return reference.jet_conv(features, weight, sigmas, bias, **options)
    if not spectral_sigma(sigmas, discretisation, border):
        return _jet_conv_by_channel(features, weight, sigmas, bias, static, chosen)
    output: Tensor = torch.ops.gdtriton.jet_conv(features, weight, sigmas, bias, *static, chosen)[0]
    return output


def _jet_conv_by_channel(
    features: Tensor,
    weight: Tensor,
    sigma: Tensor,
    bias: Tensor | None,
    static: tuple[Any, ...],
    chosen: str,
) -> Tensor:
    """A sigma per channel as one call for each channel with its own sigma."""
    order, zero_order, groups, *rest = static
    out_per_group, in_per_group = weight.shape[0] // groups, weight.shape[1]

    def call(x: Tensor, w: Tensor, s: Tensor) -> Tensor:
        result: Tensor = torch.ops.gdtriton.jet_conv(x, w, s, None, order, zero_order, 1, *rest, chosen)[0]
        return result

    outputs = []
    for group in range(groups):
        inputs = features[:, :, group * in_per_group : (group + 1) * in_per_group]
        own = weight[group * out_per_group : (group + 1) * out_per_group]
        if sigma.shape[1] > 1:
            each = sigma[:, group * out_per_group : (group + 1) * out_per_group, 0].unbind(1)
            outputs += [call(inputs, own[o : o + 1], s) for o, s in enumerate(each)]
        else:
            each = sigma[:, 0, group * in_per_group : (group + 1) * in_per_group].unbind(1)
            terms = [call(inputs[:, :, i : i + 1], own[:, i : i + 1], s) for i, s in enumerate(each)]
            outputs.append(torch.stack(terms).sum(0))
    output = torch.cat(outputs, dim=2)
    return output if bias is None else output + bias.view(-1, *(1,) * (features.ndim - 3))
