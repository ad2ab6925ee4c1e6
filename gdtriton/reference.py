"""The definition: jets and jet layers by dense per-axis operators, in plain PyTorch, never tuned.

    J_a(f; sigma) = sigma^(p |a|) (P_{a_1}(sigma) along axis 1) ... (P_{a_N}(sigma) along axis N) f

with p = norm_power. Any number of dimensions, any border, any discretisation, differentiable by autograd in every
argument and as often as wanted; float16 and bfloat16 are computed in float32 and rounded once. Every other
implementation is tested against this file in float64.
"""

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor

from .operators import axis_operator, inverse_factorials, jet_orders


def compute_dtype(dtype: torch.dtype) -> torch.dtype:
    """float64 for float64, float32 for everything narrower."""
    return torch.promote_types(dtype, torch.float32)


def without_autocast(device: torch.device) -> AbstractContextManager[Any]:
    """Arithmetic in the dtypes it is written in: autocast would take matrix products to its narrow dtype."""
    if torch.is_autocast_enabled(device.type):
        return torch.autocast(device.type, enabled=False)
    return nullcontext()


def apply_along(operator: Tensor, image: Tensor, axis: int) -> Tensor:
    """`operator` [..., M, N] along the negative `axis` of `image` [..., N, ...]; leading axes broadcast.

    The leading axes of the operator must line up with the leading axes of the image with all its spatial axes but
    one counted: callers insert the singleton axes.
    """
    moved = image.movedim(axis, -1)
    return (moved.unsqueeze(-2) @ operator.mT).squeeze(-2).movedim(-1, axis)


class _Operators:
    """P_n(sigma) of every axis length and order in use, built once per call."""

    def __init__(self, sigma: Tensor, image: Tensor, ndim: int, discretisation: str, border: str):
        self.sigma = sigma.to("cpu", torch.float64)
        self.image = image
        self.ndim = ndim
        self.discretisation, self.border = discretisation, border
        self.built: dict[tuple[int, int], Tensor] = {}

    def along(self, image: Tensor, axis: int, order: int) -> Tensor:
        size = image.shape[axis]
        if (size, order) not in self.built:
            operator = axis_operator(size, self.sigma, order, discretisation=self.discretisation, border=self.border)
            self.built[size, order] = operator.to(self.image.device, self.image.dtype)
        operator = self.built[size, order]
        # sigma's axes are leading axes of the image: one singleton for each other spatial axis.
        shape = (*operator.shape[:-2], *(1,) * (self.ndim - 1), *operator.shape[-2:])
        return apply_along(operator.view(shape) if self.sigma.ndim else operator, image, axis)

    def derivative(self, image: Tensor, orders: tuple[int, ...]) -> Tensor:
        for axis, order in enumerate(orders, start=-self.ndim):
            image = self.along(image, axis, order)
        return image


def smooth(image: Tensor, sigma: Tensor, *, ndim: int, discretisation: str, border: str) -> Tensor:
    """Gaussian smoothing; see `functional.gaussian_smooth`. sigma [] or [S], image [..., *spatial]."""
    jets = jet(
        image, sigma, 0, ndim=ndim, zero_order=True, norm_power=1.0,
        discretisation=discretisation, border=border,
    )  # fmt: skip
    return jets.squeeze(-ndim - 1)


def jet(
    image: Tensor,
    sigma: Tensor,
    order: int,
    *,
    ndim: int,
    zero_order: bool,
    norm_power: float,
    discretisation: str,
    border: str,
) -> Tensor:
    """Materialised jet; see `functional.gaussian_jet`. [..., J, *spatial], or [S, ..., J, *spatial]."""
    work = image.to(compute_dtype(image.dtype))
    if sigma.ndim:
        sigma = sigma.view(-1, *(1,) * (image.ndim - ndim))
        work = work.unsqueeze(0)
    operators = _Operators(sigma, work, ndim, discretisation, border)
    scale = sigma.to(work.device, work.dtype).view(*sigma.shape, *(1,) * ndim)
    jets = [
        scale ** (norm_power * sum(a)) * operators.derivative(work, a)
        for a in jet_orders(ndim, order, zero_order=zero_order)
    ]
    return torch.stack(jets, dim=-ndim - 1).to(image.dtype)


def jet_conv(
    features: Tensor,
    weight: Tensor,
    sigma: Tensor,
    bias: Tensor | None,
    *,
    order: int,
    zero_order: bool,
    groups: int,
    norm_power: float,
    discretisation: str,
    border: str,
) -> Tensor:
    """Gaussian derivative layer; see `functional.jet_conv`. sigma [S], [S, 1, C_in] or [S, C_out, 1]."""
    ndim = features.ndim - 3
    dtype = compute_dtype(features.dtype)
    orders = jet_orders(ndim, order, zero_order=zero_order)
    weight = weight.to(dtype) * weight.new_tensor(inverse_factorials(orders), dtype=dtype)
    sigma = sigma.view(-1, 1, 1) if sigma.ndim == 1 else sigma
    out_per_group, in_per_group = weight.shape[0] // groups, weight.shape[1]
    outputs = []
    for group in range(groups):
        inputs = slice(group * in_per_group, (group + 1) * in_per_group)
        filters = slice(group * out_per_group, (group + 1) * out_per_group)
        own = sigma[:, filters] if sigma.shape[1] > 1 else sigma
        own = own[:, :, inputs] if sigma.shape[2] > 1 else own
        own = own.unsqueeze(1)  # [S, 1, C_out | 1, C_in | 1]
        pairs = features[:, :, None, inputs].to(dtype)  # [S, B, 1, C_in, *spatial]
        operators = _Operators(own, pairs, ndim, discretisation, border)
        scale = own.to(pairs.device, dtype).view(*own.shape, *(1,) * ndim)
        total: Tensor | None = None
        for j, a in enumerate(orders):
            derivative = scale ** (norm_power * sum(a)) * operators.derivative(pairs, a)
            mix = weight[filters, :, j].view(1, 1, out_per_group, in_per_group, *(1,) * ndim)
            term = (mix * derivative).sum(3)  # [S, B, C_out, *spatial]
            total = term if total is None else total + term
        assert total is not None
        outputs.append(total)
    result = torch.cat(outputs, dim=2)
    if bias is not None:
        result = result + bias.to(dtype).view(-1, *(1,) * ndim)
    return result.to(features.dtype)
