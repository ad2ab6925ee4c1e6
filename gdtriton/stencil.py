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

from .axes import AxisOperators, Layer, apply_band
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


@lru_cache(maxsize=32)
def _extended_laplacian(length: int, margin: int, border: str) -> Tensor:
    """D_2 on an axis with its margin, [length, length], float64: the smoothed image obeys the border rule itself."""
    size = length - 2 * margin
    index, _ = fold(torch.arange(length)[:, None] - margin + torch.arange(-1, 2), size, border)
    taps = difference_taps(2).expand(length, -1)
    return torch.zeros(length, length, dtype=torch.float64).scatter_add(1, index + margin, taps)


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
        if grad_smoothed is not None:
            grad_smoothed = grad_smoothed.movedim(1, -1).contiguous()
        if needs[0]:
            grad_image = self.axes.smooth_adjoint(grad_smoothed)
        if grad_kernel is not None:
            flat = grad_kernel.flatten(2) @ self.stencils.flatten(1).T
            grad_weight = flat * self.powers
        if needs[2]:
            assert grad_weight is not None
            orders = self.layer.total_orders(weight, self.ndim)
            power_term = (orders * weight * grad_weight).sum() * self.layer.norm_power / self.sigma
            changes = self._smoothing_changes(image, smoothed)
            flat = grad_smoothed.view(-1)
            grad_sigma = power_term + sum(torch.dot(flat, change.view(-1)) for change in changes)
        return grad_image, grad_weight, grad_sigma

    def _smoothing_changes(self, image: Tensor | None, smoothed: Tensor) -> Iterator[Tensor]:
        """D smoothed / d sigma, axis by axis: sigma times the second difference where diffusion is exact."""
        for a in range(self.ndim):
            if self.layer.has_spectrum:
                matrix = _extended_laplacian(smoothed.shape[a + 1], self.axes.margin, self.layer.border)
                matrix = (self.sigma * matrix).to(smoothed.device, smoothed.dtype)
                # On a circle the margin repeats what is far away: no band.
                circular = self.layer.border == "circular"
                yield apply_band(matrix, smoothed, a + 1, len(matrix) if circular else 1 + self.axes.margin)
            else:
                assert image is not None
                yield self.axes.smooth(image, changed_axis=a)
