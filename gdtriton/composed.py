"""The fast path from stock PyTorch operators: jet layers and jets as matrix products, any device, float64 too.

Everything works on channels-last memory [B, *spatial, C], where a per-axis operator is one batched matrix product
(`axes.py`). A layer takes one of three exact routes, chosen per scale channel:

- stencil (`stencil.py`): small sigma, low order;
- spectrum (`spectral.py`): large sigma, orders whose differences would lose too many digits, sigmas that differ
  between channels;
- operators: P_n itself, jet by jet; what the other two cannot do.

Narrow dtypes are computed in float32 and rounded once. These are plain functions below autograd; `ops.py`
registers them.
"""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from . import stencil
from .axes import AxisOperators, Layer, host_sigma
from .reference import compute_dtype
from .saved import saved_shape
from .spectral import SpectralRoute
from .stencil import StencilRoute

SPECTRUM_FROM_SIGMA = 5.0
"""Sigma in pixels from which the spectral route is the faster one (measured, `perf/`)."""

Gradients = tuple[Tensor | None, Tensor | None, Tensor | None]


class OperatorRoute:
    """One scale channel of a layer by P_n itself, jet by jet; images are [B, *spatial, C]."""

    def __init__(self, sigma: float, layer: Layer, like: Tensor, ndim: int):
        self.sigma, self.layer, self.ndim = sigma, layer, ndim
        self.axes = AxisOperators(sigma, layer, like)
        self.orders = layer.orders(ndim)
        self.factors = layer.powers(sigma, like, ndim) * layer.factorials(like, ndim)

    def forward(self, image: Tensor, weight: Tensor) -> Tensor:
        """[B, *spatial, C_in] -> [B, *spatial, C_out]."""
        groups = self.layer.groups
        scaled = (weight * self.factors).unflatten(0, (groups, -1))  # [g, C_out / g, C_in / g, J]
        output: Tensor | None = None
        for j, a in enumerate(self.orders):
            jet = self.axes.derivative(image, a).unflatten(-1, (groups, -1))
            term = torch.einsum("...gi,goi->...go", jet, scaled[..., j]).flatten(-2)
            output = term if output is None else output + term
        assert output is not None
        return output

    def backward(self, grad: Tensor, image: Tensor, weight: Tensor, needs: tuple[bool, bool, bool]) -> Gradients:
        """Adjoints in image, weight and sigma."""
        groups = self.layer.groups
        scaled = (weight * self.factors).unflatten(0, (groups, -1))
        grad_groups = grad.unflatten(-1, (groups, -1))
        grad_image, grad_weight = image.new_zeros(image.shape), torch.empty_like(weight)
        grad_sigma = weight.new_zeros(())
        for j, a in enumerate(self.orders):
            cotangent = torch.einsum("...go,goi->...gi", grad_groups, scaled[..., j]).flatten(-2)
            if needs[0]:
                grad_image += self.axes.derivative_adjoint(cotangent, a)
            jet = self.axes.derivative(image, a)
            product = torch.einsum(
                "ngo,ngi->goi",
                grad_groups.flatten(0, -3), jet.unflatten(-1, (groups, -1)).flatten(0, -3),
            )  # fmt: skip
            grad_weight[..., j] = product.flatten(0, 1) * self.factors[j]
            if needs[2]:
                power = self.layer.norm_power * sum(a) / self.sigma
                change = power * jet + sum(
                    self.axes.derivative(image, a, changed_axis=axis) for axis in range(self.ndim)
                )
                grad_sigma = grad_sigma + (cotangent * change).sum()
        return grad_image, grad_weight, grad_sigma


def _channels_last(features: Tensor, dtype: torch.dtype) -> Iterator[Tensor]:
    """The scale channels of [S, B, C, *spatial] one by one, contiguous [B, *spatial, C].

    A lifted image, the same memory in every scale channel, is converted once.
    """
    shared = features.stride(0) == 0
    image: Tensor | None = None
    for scale_channel in features:
        if image is None or not shared:
            image = scale_channel.movedim(1, -1).to(dtype).contiguous()
        yield image


def _stencil_sigma(sigma: Tensor, layer: Layer, image: Tensor) -> float | None:
    """The sigma of a scale channel that takes the stencil route, else None.

    Only on the CPU: a convolution on a GPU may round its input, the smoothed image, to tf32.
    """
    ndim = image.ndim - 2
    if image.device.type != "cpu":
        return None
    value = host_sigma(sigma)
    if value is None or not stencil.takes(value, layer, ndim):
        return None
    return None if layer.has_spectrum and value >= SPECTRUM_FROM_SIGMA else value


def _lazy_zeros(shape: tuple[int, ...], dtype: torch.dtype, device: torch.device) -> Tensor:
    """Zeros; on the CPU in memory that becomes resident only where it is written."""
    if device.type != "cpu":
        return torch.zeros(shape, dtype=dtype, device=device)
    return torch.from_numpy(np.zeros(shape, np.float64 if dtype == torch.float64 else np.float32))


def jet_conv(
    features: Tensor, weight: Tensor, sigma: Tensor, bias: Tensor | None, layer: Layer
) -> tuple[Tensor, Tensor]:
    """Forward of a jet layer.

    Args:
        features: [S, B, C_in, *spatial], any strides.
        weight: [C_out, C_in / groups, J].
        sigma: [S], or [S, C_out | 1, C_in | 1] where the spectral form exists.
        bias: [C_out] or None.
        layer: The static arguments.

    Returns:
        The output [S, B, C_out, *spatial] in channels-last memory, and what backward needs (`saved.saved_shape`).
    """
    dtype, ndim = compute_dtype(features.dtype), features.ndim - 3
    spatial = tuple(features.shape[3:])
    work = weight.to(dtype)
    offset = None if bias is None else bias.to(dtype)
    outputs, kept = [], []
    for s, image in enumerate(_channels_last(features, dtype)):
        value = _stencil_sigma(sigma[s], layer, image)
        if value is not None:
            result, keep = StencilRoute(value, layer, image, ndim).forward(image, work, offset)
        elif layer.has_spectrum:
            route = SpectralRoute(sigma[s], layer, image, spatial, features.dtype)
            coefficients = route.analyse(image)
            keep = _lazy_zeros(saved_shape(features, layer, "torch")[1:], dtype, features.device)
            route.corner(keep).copy_(coefficients)
            result = route.forward(coefficients, work)
            result = result if offset is None else result.add_(offset)
        else:
            result = OperatorRoute(float(sigma[s]), layer, image, ndim).forward(image, work)
            result = result if offset is None else result.add_(offset)
        outputs.append(result.to(features.dtype))
        if layer.has_spectrum:
            kept.append(keep)
    saved = _stack(kept) if kept else features.new_empty(0, dtype=dtype)
    return _stack(outputs).movedim(-1, 2), saved


def _stack(pieces: list[Tensor]) -> Tensor:
    """`torch.stack`, without a copy of a single piece."""
    return pieces[0].contiguous().unsqueeze(0) if len(pieces) == 1 else torch.stack(pieces)


def jet_conv_backward(
    grad_output: Tensor,
    features: Tensor,
    saved: Tensor,
    weight: Tensor,
    sigma: Tensor,
    layer: Layer,
    needs: tuple[bool, bool, bool],
) -> tuple[Tensor, Tensor, Tensor]:
    """Adjoint of `jet_conv` in features, weight and sigma (the bias gradient is a plain sum).

    dLoss/dsigma = sigma <g_L, Laplacian_h L> + (p / sigma) sum_a |a| <w_a, dLoss/dw_a>, L the smoothed features and g_L
    their cotangent, where the discrete diffusion equation is exact; elsewhere with dP_n / dsigma in closed form.

    Returns:
        Gradients in the shapes of features (channels-last memory), weight and sigma; one not needed is zero.
    """
    dtype, ndim = compute_dtype(features.dtype), features.ndim - 3
    spatial = tuple(features.shape[3:])
    work = weight.to(dtype)
    grads, grad_weight, grad_sigma = [], torch.zeros_like(work), torch.zeros_like(sigma)
    images = None if layer.has_spectrum else _channels_last(features, dtype)
    for s, grad in enumerate(_channels_last(grad_output, dtype)):
        image = next(images) if images is not None else None
        value = _stencil_sigma(sigma[s], layer, grad)
        pieces: Gradients
        if value is not None:
            kept = saved[s] if layer.has_spectrum else None
            pieces = StencilRoute(value, layer, grad, ndim).backward(grad, image, kept, work, needs)
        elif layer.has_spectrum:
            route = SpectralRoute(sigma[s], layer, grad, spatial, features.dtype)
            coefficients = route.corner(saved[s]).contiguous()
            pieces = route.backward(grad, coefficients, work, needs)
        else:
            assert image is not None
            operators = OperatorRoute(float(sigma[s]), layer, grad, ndim)
            pieces = operators.backward(grad, image, work, needs)
        if needs[0]:
            assert pieces[0] is not None
            grads.append(pieces[0].to(features.dtype))
        if pieces[1] is not None:
            grad_weight += pieces[1]
        if pieces[2] is not None:
            grad_sigma[s] = pieces[2].reshape(sigma[s].shape)
    shape = (*features.shape[:2], *spatial, features.shape[2])
    grad_features = _stack(grads) if needs[0] else features.new_zeros(shape)
    return grad_features.movedim(-1, 2), grad_weight.to(weight.dtype), grad_sigma


def _flat(image: Tensor, ndim: int, dtype: torch.dtype) -> Tensor:
    """[..., *spatial] -> contiguous [L, *spatial, 1]."""
    lead = image.shape[: image.ndim - ndim]
    return image.to(dtype).contiguous().reshape(lead.numel(), *image.shape[image.ndim - ndim :], 1)


def gaussian_jet(image: Tensor, sigma: Tensor, ndim: int, layer: Layer) -> Tensor:
    """Materialised jets by P_n itself: [..., *spatial], sigma [S] -> [S, ..., J, *spatial]."""
    work = _flat(image, ndim, compute_dtype(image.dtype))
    orders = layer.orders(ndim)
    jets = image.new_empty(len(sigma), len(work), len(orders), *image.shape[image.ndim - ndim :])
    for s, value in enumerate(sigma.tolist()):
        axes = AxisOperators(value, layer, work)
        for j, a in enumerate(orders):
            scale = value ** (layer.norm_power * sum(a))
            jets[s, :, j] = axes.derivative(work, a).squeeze(-1) * scale
    return jets.view(len(sigma), *image.shape[: image.ndim - ndim], *jets.shape[2:])


def gaussian_jet_backward(
    grad_jets: Tensor,
    image: Tensor,
    sigma: Tensor,
    ndim: int,
    layer: Layer,
    needs: tuple[bool, bool],
) -> tuple[Tensor, Tensor]:
    """Adjoint of `gaussian_jet` in image and sigma."""
    dtype = compute_dtype(image.dtype)
    work = _flat(image, ndim, dtype)
    orders = layer.orders(ndim)
    grads = grad_jets.reshape(len(sigma), len(work), len(orders), *image.shape[image.ndim - ndim :])
    grad_image, grad_sigma = torch.zeros_like(work), torch.zeros_like(sigma)
    for s, value in enumerate(sigma.tolist()):
        axes = AxisOperators(value, layer, work)
        for j, a in enumerate(orders):
            power = layer.norm_power * sum(a)
            grad = grads[s, :, j].to(dtype).contiguous().unsqueeze(-1) * value**power
            if needs[0]:
                grad_image += axes.derivative_adjoint(grad, a)
            if needs[1]:
                change = sum(axes.derivative(work, a, changed_axis=i) for i in range(ndim))
                if power:
                    change = change + power / value * axes.derivative(work, a)
                grad_sigma[s] += (grad * change).sum()
    return grad_image.view(image.shape).to(image.dtype), grad_sigma
