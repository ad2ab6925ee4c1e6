"""The stencil route: smooth once, then one small convolution that folds weights and central differences.

    output = sum_a w_a / a! sigma^(p |a|) d_a L = correlation(L on a margin of ceil(order / 2) pixels, folded kernel)

L is smoothed onto the margin from one extension of the image, so every border is right. Differences amplify the
rounding of L by about (2 sigma)^order: the route is for small sigma and low order.
"""

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

    def forward(self, image: Tensor, weight: Tensor, bias: Tensor | None) -> tuple[Tensor, Tensor]:
        """The output [B, *spatial, C_out] and the smoothed image on its margin."""
        smoothed = self.axes.smooth(image)
        convolve = (F.conv1d, F.conv2d, F.conv3d)[self.ndim - 1]
        output = convolve(smoothed.movedim(-1, 1), self._kernel(weight), bias, groups=self.layer.groups)
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
            grad_sigma = (orders * weight * grad_weight).sum() * self.layer.norm_power / self.sigma
            grad_sigma = grad_sigma + self._diffusion_term(grad_smoothed, image, smoothed)
        return grad_image, grad_weight, grad_sigma

    def _diffusion_term(self, grad_smoothed: Tensor, image: Tensor | None, smoothed: Tensor) -> Tensor:
        """<g_L, dL / dsigma>: sigma <g_L, discrete Laplacian of L> where diffusion is exact.

        Overwrites grad_smoothed.
        """
        if not self.layer.has_spectrum:
            assert image is not None
            changes = (self.axes.smooth(image, changed_axis=a) for a in range(self.ndim))
            return torch.stack([(grad_smoothed * change).sum() for change in changes]).sum()
        # The smoothed image obeys the border rule itself: fold the cotangent of its margin back onto the pixels.
        margin = self.axes.margin
        for a in range(1, self.ndim + 1):
            size = grad_smoothed.shape[a] - 2 * margin
            for position in (*range(-margin, 0), *range(size, size + margin)):
                index, _ = fold(torch.tensor([position]), size, self.layer.border)
                source = grad_smoothed.select(a, position + margin)
                grad_smoothed.select(a, int(index) + margin).add_(source)
            grad_smoothed = grad_smoothed.narrow(a, margin, size)
        laplacian = self._laplacian(smoothed)
        return self.sigma * (grad_smoothed * laplacian).sum()

    def _laplacian(self, smoothed: Tensor) -> Tensor:
        """Discrete Laplacian of the smoothed image without its margin."""
        margin, channels = self.axes.margin, smoothed.shape[-1]
        kernel = torch.zeros((3,) * self.ndim, dtype=smoothed.dtype, device=smoothed.device)
        for a in range(self.ndim):
            others = [axis for axis in range(self.ndim) if axis != a]
            line = kernel.permute(*others, a)[(1,) * (self.ndim - 1)]
            line += line.new_tensor([1.0, -2.0, 1.0])
        for a in range(1, self.ndim + 1):
            smoothed = smoothed.narrow(a, margin - 1, smoothed.shape[a] - 2 * margin + 2)
        convolve = (F.conv1d, F.conv2d, F.conv3d)[self.ndim - 1]
        taps = kernel.expand(channels, 1, *kernel.shape)
        return convolve(smoothed.movedim(-1, 1), taps, groups=channels).movedim(1, -1)
