"""The jet layer on triton kernels: the routes of a scale channel put together, forward and backward.

- stencil: smoothed once onto a margin (kept for backward, float32), then differences and channel mixing in one kernel;
- spectrum (`spectral.py`): mixing on the few coefficients that matter, which are kept for backward;
- operators: jets by P_n itself, then mixing; for discretisations and borders without a spectral form where
  differences would lose digits.

Which of the first two a scale channel takes is decided on the device (`tables.py`): sigma is never read by the host.
"""

import torch
from torch import Tensor

from ..axes import Layer
from ..saved import by_operators, empty_output, kernel_margin, saved_shape
from . import spectral
from .chain import AxisChain, per_scale_dot, sigma_on_device
from .jet import changed_jets
from .mix import launch_mix
from .sums import Sums
from .tables import Plan, launch_plan
from .weight_grad import launch_weight_grad

_IDENTITY = (((0, 0, 0, 1.0),),)
"""The only difference of a layer whose input channels are jets already."""


def _scale_one(_: tuple[int, ...]) -> float:
    return 1.0


class _Operators:
    """The route by P_n itself: jets [S, B, C, J, *spatial] become the input channels of a layer without differences."""

    def __init__(self, features: Tensor, weight: Tensor, sigma: Tensor, layer: Layer, plan: Plan):
        self.features, self.layer = features, layer
        self.chain = AxisChain(sigma, tuple(features.shape[3:]), layer, plan)
        self.weight = weight.flatten(1).unsqueeze(-1)
        self.ones = torch.ones(len(sigma), 1, dtype=torch.float32, device=features.device)

    def _empty_jets(self) -> Tensor:
        shape = (*self.features.shape[:3], len(self.chain.orders), *self.features.shape[3:])
        return torch.empty(shape, dtype=torch.float32, device=self.features.device)

    def _jets(self) -> Tensor:
        jets = self._empty_jets()
        self.chain.jets(self.features, jets, _scale_one)
        return jets.flatten(2, 3)

    def forward(self, bias: Tensor | None, out: Tensor) -> None:
        launch_mix(self._jets(), self.weight, self.ones, out, self.layer, shift=0, bias=bias, terms=_IDENTITY)

    def backward(self, grad: Tensor, grad_features: Tensor, needs: tuple[bool, bool, bool]) -> Sums:
        """Writes grad_features."""
        weight_sums = torch.zeros(len(grad), *self.weight.shape, dtype=torch.float32, device=grad.device)
        diffusion = torch.zeros(len(grad), dtype=torch.float32, device=grad.device)
        if needs[1] or needs[2]:
            weight_sums = launch_weight_grad(grad, self._jets(), self.layer, shift=0, terms=_IDENTITY)
        if needs[0] or needs[2]:
            grad_jets = self._empty_jets()
            launch_mix(
                grad, self.weight, self.ones, grad_jets.flatten(2, 3), self.layer, shift=0, adjoint=True,
                terms=_IDENTITY,
            )  # fmt: skip
            if needs[0]:
                total = torch.empty(grad_features.shape, dtype=torch.float32, device=grad.device)
                self.chain.jets_adjoint(grad_jets, total, _scale_one)
                grad_features.copy_(total)
            if needs[2]:
                diffusion = changed_jets(self.chain, self.features, grad_jets, _scale_one)
        return Sums(weight_sums.squeeze(-1).unflatten(-1, (-1, len(self.chain.orders))), diffusion)


class _Stencil:
    """The route by differences of the smoothed image."""

    def __init__(self, features: Tensor, weight: Tensor, sigma: Tensor, layer: Layer, plan: Plan):
        self.features, self.weight, self.sigma, self.layer, self.plan = features, weight, sigma, layer, plan
        self.margin = kernel_margin(layer)
        self.chain = AxisChain(
            sigma, tuple(features.shape[3:]), layer, plan, self.margin, check_route=layer.has_spectrum
        )
        self.route = plan.values if layer.has_spectrum else None

    def forward(self, bias: Tensor | None, smoothed: Tensor, out: Tensor) -> None:
        self.chain.smooth(self.features, smoothed)
        launch_mix(
            smoothed, self.weight, self.plan.factors, out, self.layer, shift=self.margin, plan=self.route, bias=bias
        )

    def backward(
        self, grad: Tensor, smoothed: Tensor, grad_features: Tensor, needs: tuple[bool, bool, bool]
    ) -> Sums:  # fmt: skip
        """Writes grad_features."""
        weight_sums = torch.zeros(len(grad), *self.weight.shape, dtype=torch.float32, device=grad.device)
        diffusion = torch.zeros(len(grad), dtype=torch.float32, device=grad.device)
        if needs[1] or needs[2]:
            weight_sums = launch_weight_grad(grad, smoothed, self.layer, shift=self.margin, plan=self.route)
            weight_sums = weight_sums * self.plan.factors[:, None, None, :]
        if needs[0] or needs[2]:
            diffuses = self.layer.discretisation == "discrete"
            grad_smoothed = torch.empty_like(smoothed)
            partial = launch_mix(
                grad, self.weight, self.plan.factors, grad_smoothed, self.layer, shift=-self.margin, plan=self.route,
                adjoint=True, smoothed=smoothed if needs[2] and diffuses else None,
            )  # fmt: skip
            if needs[0]:
                self.chain.smooth_adjoint(grad_smoothed, grad_features)
            if partial is not None:
                diffusion = self.sigma.float() * partial.sum(1)
            elif needs[2]:
                change = torch.empty_like(smoothed)
                for axis in range(self.chain.ndim):
                    self.chain.smooth(self.features, change, changed_axis=axis)
                    diffusion = diffusion + per_scale_dot(grad_smoothed, change)
        return Sums(weight_sums, diffusion)


def _plan(features: Tensor, sigma: Tensor, layer: Layer) -> Plan:
    return launch_plan(sigma.flatten(1) if sigma.ndim > 1 else sigma, tuple(features.shape[3:]), layer, features.dtype)


def jet_conv(
    features: Tensor, weight: Tensor, sigma: Tensor, bias: Tensor | None, layer: Layer
) -> tuple[Tensor, Tensor]:
    """Forward of a jet layer: the output, contiguous, and what backward needs; see `composed.jet_conv`."""
    out = empty_output(features, weight.shape[0], "triton")
    # torch compares results of operators in full on the CPU: there, what no route writes is zero.
    fill = torch.zeros if features.device.type == "cpu" else torch.empty
    saved = fill(saved_shape(features, layer, "triton"), dtype=torch.float32, device=features.device)
    if out.numel() == 0:
        return out, saved
    sigma = sigma_on_device(sigma, features.device)
    plan = _plan(features, sigma, layer)
    if by_operators(layer):
        _Operators(features, weight, sigma, layer, plan).forward(bias, out)
    else:
        if sigma.ndim == 1:  # a sigma per channel always takes the spectral route
            _Stencil(features, weight, sigma, layer, plan).forward(bias, saved, out)
        if layer.has_spectrum:
            spectral.forward(features, weight, sigma, bias, layer, plan, out, saved)
    return out, saved


def jet_conv_backward(
    grad_output: Tensor, features: Tensor, saved: Tensor, weight: Tensor, sigma: Tensor, layer: Layer,
    needs: tuple[bool, bool, bool],
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    """Adjoint of `jet_conv` in features, weight and sigma; see `composed.jet_conv_backward`."""
    grad_features = features.new_empty(features.shape) if needs[0] else features.new_zeros(features.shape)
    if grad_output.numel() == 0 or features.numel() == 0:
        return grad_features.zero_(), torch.zeros_like(weight), torch.zeros_like(sigma)
    on_device = sigma_on_device(sigma, features.device)
    plan = _plan(features, on_device, layer)
    routes = []
    if by_operators(layer):
        routes.append(_Operators(features, weight, on_device, layer, plan).backward(grad_output, grad_features, needs))
    elif on_device.ndim == 1:
        stencil = _Stencil(features, weight, on_device, layer, plan)
        routes.append(stencil.backward(grad_output, saved, grad_features, needs))
    if layer.has_spectrum:
        routes.append(spectral.backward(grad_output, saved, weight, on_device, layer, plan, needs, grad_features))
    weight_sums = torch.stack([route.weight for route in routes]).sum(0)
    grad_sigma = torch.zeros_like(sigma)
    if needs[2]:
        total = sum(route.diffusion for route in routes) + _power_term(
            weight, weight_sums, on_device, layer, features.ndim - 3
        )
        grad_sigma = total.to(sigma.device, sigma.dtype)
    return grad_features, weight_sums.sum(0).to(weight.dtype), grad_sigma


def _power_term(weight: Tensor, weight_sums: Tensor, sigma: Tensor, layer: Layer, ndim: int) -> Tensor:
    """(p / sigma) sum |a| <w_a, dLoss/dw_a> over the weights that belong to each sigma, in its shape."""
    orders = layer.total_orders(weight_sums, ndim)
    products = (orders * weight.float() * weight_sums).sum(-1)  # [S, C_out, C_in / groups]
    if sigma.ndim == 1:
        inner = products.sum((1, 2))
    elif sigma.shape[1] > 1:
        inner = products.sum(2, keepdim=True)
    else:
        inner = products.unflatten(1, (layer.groups, -1)).sum(2).flatten(1).unsqueeze(1)
    return layer.norm_power / sigma * inner
