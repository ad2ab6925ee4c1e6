"""The stencil route: smooth once, then one small convolution that folds weights and central differences.

    output = sum_a w_a / a! sigma^(p |a|) d_a L = correlation(L on a margin of ceil(order / 2) pixels, folded kernel)

L is smoothed onto the margin from one extension of the image, so every border is right. Differences amplify the
rounding of L by about (2 sigma)^order: the route is for small sigma and low order.
"""

from collections.abc import Iterator
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

from .axes import AxisOperators, Layer
from .operators import fold, inverse_factorials, jet_orders
from .taps import difference_radius, difference_taps

AMPLIFICATION = 300.0
"""Largest (2 sigma)^order at which differences of a smoothed image are taken: about 2e-5 in float32."""


@lru_cache(maxsize=32)
def _stencils(ndim: int, order: int, zero_order: bool) -> Tensor:
    """Difference stencils times 1 / alpha!, [J, 2r + 1, ..., 2r + 1], float64."""
    radius = difference_radius(order)
    orders = jet_orders(ndim, order, zero_order=zero_order)
    stencils = []
    for a, factor in zip(orders, inverse_factorials(orders), strict=True):
        stencil = torch.tensor(factor, dtype=torch.float64)
        for n in a:
            stencil = stencil[..., None] * F.pad(difference_taps(n), (radius - difference_radius(n),) * 2)
        stencils.append(stencil)
    return torch.stack(stencils)


def _laplacian(image: Tensor, margin: int) -> Tensor:
    """Discrete Laplacian of [B, *(spatial + 2 margin), C] without the margin, contiguous."""
    spatial = range(1, image.ndim - 1)

    def shifted(changed: int, step: int) -> Tensor:
        view = image
        for axis in spatial:
            start = margin + (step if axis == changed else 0)
            view = view.narrow(axis, start, image.shape[axis] - 2 * margin)
        return view

    total = shifted(0, 0) * (-2.0 * len(spatial))
    for axis in spatial:
        total += shifted(axis, -1)
        total += shifted(axis, 1)
    return total.contiguous()


def takes(sigma: float, layer: Layer, ndim: int) -> bool:
    """Whether derivatives are differences of the smoothed image, and those keep enough digits."""
    if ndim > 3 or layer.discretisation.endswith("-derivative"):
        return False
    return bool((2 * sigma) ** layer.order <= AMPLIFICATION)


class StencilRoute:
    """One scale channel of a layer by smoothing and a folded stencil; images are [B, *spatial, C]."""

    def __init__(self, sigma: float, layer: Layer, like: Tensor, ndim: int):
        self.sigma, self.layer, self.ndim = sigma, layer, ndim
        self.axes = AxisOperators(sigma, layer, like, margin=difference_radius(layer.order))
        self.powers = layer.powers(sigma, like, ndim)
        self.stencils = _stencils(ndim, layer.order, layer.zero_order).to(like.device, like.dtype)

    def _kernel(self, weight: Tensor) -> Tensor:
        shape = (*weight.shape[:2], *self.stencils.shape[1:])
        kernel = ((weight * self.powers).flatten(0, 1) @ self.stencils.flatten(1)).view(shape)
        # A channels-last kernel keeps the convolution in channels-last memory.
        return kernel.movedim(1, -1).contiguous().movedim(-1, 1)

    def forward(self, image: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
        """The output [B, *spatial, C_out] and the smoothed image on its margin."""
        smoothed = self.axes.smooth(image)
        convolve = (F.conv1d, F.conv2d, F.conv3d)[self.ndim - 1]
        output = convolve(smoothed.movedim(-1, 1), self._kernel(weight), groups=self.layer.groups)
        return output.movedim(1, -1), smoothed

    def backward(
        self,
        grad: Tensor,
        image: Tensor | None,
        smoothed: Tensor | None,
        weight: Tensor,
        needs: tuple[bool, bool, bool],
    ) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        """Adjoints in image, weight and sigma, from the smoothed image or, where not kept, from the image."""
        if smoothed is None:
            assert image is not None
            smoothed = self.axes.smooth(image)
        ones = [1] * self.ndim
        zeros = [0] * self.ndim
        grad_smoothed, grad_kernel, _ = torch.ops.aten.convolution_backward(
            grad.movedim(-1, 1), smoothed.movedim(-1, 1), self._kernel(weight), None,
            ones, zeros, ones, False, zeros, self.layer.groups,
            [needs[0] or needs[2], needs[1] or needs[2], False],
        )  # fmt: skip
        grad_image = grad_weight = grad_sigma = None
        if grad_kernel is not None:
            grad_weight = (grad_kernel.flatten(2) @ self.stencils.flatten(1).T) * self.powers
        if grad_smoothed is None:
            return None, grad_weight, None
        grad_smoothed = grad_smoothed.movedim(1, -1).contiguous()
        if self.layer.has_spectrum:
            # The smoothed image obeys the border rule itself: its margin is an extension of the inside.
            grad_smoothed = self._restrict(grad_smoothed)
            inside = AxisOperators(self.sigma, self.layer, grad)
        else:
            inside = self.axes
        if needs[0]:
            grad_image = inside.smooth_adjoint(grad_smoothed)
        if needs[2]:
            assert grad_weight is not None
            orders = self.layer.total_orders(weight, self.ndim)
            power_term = (orders * weight * grad_weight).sum() * self.layer.norm_power / self.sigma
            changes = self._smoothing_changes(image, smoothed)
            flat = grad_smoothed.view(-1)
            grad_sigma = power_term + sum(torch.dot(flat, change.view(-1)) for change in changes)
        return grad_image, grad_weight, grad_sigma

    def _restrict(self, grad: Tensor) -> Tensor:
        """Adjoint of the extension onto the margin, in place: [B, *(spatial + 2 margin), C] -> [B, *spatial, C]."""
        margin = self.axes.margin
        for axis in range(1, self.ndim + 1):
            size = grad.shape[axis] - 2 * margin
            inside = grad.narrow(axis, margin, size)
            for first, start in ((-margin, 0), (size, size + margin)):
                index, _ = fold(torch.arange(first, first + margin), size, self.layer.border)
                inside.index_add_(axis, index.to(grad.device), grad.narrow(axis, start, margin))
            grad = inside
        return grad.contiguous()

    def _smoothing_changes(self, image: Tensor | None, smoothed: Tensor) -> Iterator[Tensor]:
        """D smoothed / d sigma in parts: sigma times the discrete Laplacian where diffusion is exact, no margin."""
        if not self.layer.has_spectrum:
            assert image is not None
            for axis in range(self.ndim):
                yield self.axes.smooth(image, changed_axis=axis)
            return
        margin = self.axes.margin
        if margin == 0:
            for axis in range(1, self.ndim + 1):
                index, _ = fold(torch.arange(-1, smoothed.shape[axis] + 1), smoothed.shape[axis], self.layer.border)
                smoothed = smoothed.index_select(axis, index.to(smoothed.device))
        yield _laplacian(smoothed, max(margin, 1)).mul_(self.sigma)
