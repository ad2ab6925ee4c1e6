"""The layers that take part: ours, its 3x3 twin, the best plain PyTorch, dense filters.

Every provider is a function (case, features, weight, sigma) -> output on [B, C, H, W].
"""

import math
from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from gdtriton import jet_conv, jet_orders
from gdtriton.operators import fold, inverse_factorials
from gdtriton.taps import difference_taps, kernel_taps, tap_radius
from perf.cases import BenchCase


def ours(case: BenchCase, features: Tensor, weight: Tensor, sigma: Tensor) -> Tensor:
    """This package, implementation "torch"."""
    return jet_conv(features[None], weight, sigma, discretisation=case.discretisation, impl="torch").squeeze(0)


def conv2d(case: BenchCase, features: Tensor, weight: Tensor, sigma: Tensor) -> Tensor:
    """The twin: a 3x3 convolution with as many channels."""
    return F.conv2d(features, weight, padding=1)


@lru_cache(maxsize=8)
def central_stencils() -> Tensor:
    """Central differences of order <= 2 times 1 / alpha!, [5, 3, 3]."""
    orders = jet_orders(2, 2, zero_order=False)
    one = {n: F.pad(difference_taps(n), (1, 1) if n == 0 else (0, 0)) for n in range(3)}
    pairs = zip(orders, inverse_factorials(orders), strict=True)
    return torch.stack([factor * one[a[0]][:, None] * one[a[1]] for a, factor in pairs]).float()


def _powers(sigma: Tensor) -> Tensor:
    return torch.stack([sigma[0] ** sum(a) for a in jet_orders(2, 2, zero_order=False)])


@lru_cache(maxsize=8)
def _smoothing_taps(sigma: float) -> Tensor:
    value = torch.tensor(sigma, dtype=torch.float64)
    return kernel_taps(value, 0, tap_radius(sigma, 2)).float()


def _extend(image: Tensor, axis: int, radius: int) -> Tensor:
    """Symmetric border by index: one copy of the image."""
    size = image.shape[axis]
    return image.index_select(axis, fold(torch.arange(-radius, size + radius), size, "symmetric")[0])


def _smooth(image: Tensor, taps: Tensor) -> Tensor:
    channels, radius = image.shape[1], len(taps) // 2
    kernel = taps.expand(channels, 1, 1, -1).contiguous()
    image = F.conv2d(_extend(image, 3, radius), kernel, groups=channels)
    return F.conv2d(_extend(image, 2, radius), kernel.transpose(2, 3).contiguous(), groups=channels)


def _pad(image: Tensor) -> Tensor:
    return F.pad(image, (1, 1, 1, 1), mode="replicate")


class _SelfAdjointSmoothing(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, image: Tensor, sigma: Tensor) -> Tensor:
        ctx.taps = _smoothing_taps(float(sigma))
        smoothed = _smooth(image, ctx.taps)
        ctx.save_for_backward(smoothed, sigma)
        return smoothed

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor | None]:  # type: ignore[override]
        smoothed, sigma = ctx.saved_tensors
        channels = smoothed.shape[1]
        laplacian = torch.tensor([[0.0, 1, 0], [1, -4, 1], [0, 1, 0]]).expand(channels, 1, 3, 3).contiguous()
        change = F.conv2d(_pad(smoothed), laplacian, groups=channels)
        grad_sigma = (sigma * torch.vdot(_flat(grad), _flat(change))).to(sigma.dtype)
        return _smooth(grad, ctx.taps), grad_sigma


def _flat(image: Tensor) -> Tensor:
    return image.permute(0, 2, 3, 1).reshape(-1)


def plain_adj(case: BenchCase, features: Tensor, weight: Tensor, sigma: Tensor) -> Tensor:
    """The best plain PyTorch: separable depthwise smoothing, hand-written backward, one folded 3x3 convolution."""
    smoothed = _SelfAdjointSmoothing.apply(features, sigma)
    kernel = ((weight * _powers(sigma.float())).flatten(0, 1) @ central_stencils().flatten(1)).view(
        *weight.shape[:2], 3, 3
    )
    kernel = kernel.contiguous(memory_format=torch.channels_last)
    return F.conv2d(_pad(smoothed), kernel)


def dense_taps(sigma: Tensor) -> list[Tensor]:
    """Derivative taps of order 0, 1, 2 of the smoothing kernel cut at 2 sigma, one radius for all."""
    radius = math.ceil(2 * float(sigma.detach()))
    smoothing = kernel_taps(sigma.double(), 0, radius).view(1, 1, -1)
    masks = (F.pad(difference_taps(0), (1, 1)), difference_taps(1), difference_taps(2))
    return [F.conv1d(smoothing, mask.flip(0).view(1, 1, -1), padding=2).flatten() for mask in masks]


def dense(case: BenchCase, features: Tensor, weight: Tensor, sigma: Tensor) -> Tensor:
    """A K x K filter for every channel pair, K = 2 ceil(2 sigma) + 3, as dense-filter layers do."""
    taps = dense_taps(sigma[0])
    orders = jet_orders(2, 2, zero_order=False)
    pairs = zip(orders, inverse_factorials(orders), strict=True)
    stencils = torch.stack([factor * taps[a[0]][:, None] * taps[a[1]] for a, factor in pairs]).float()
    width = stencils.shape[-1]
    kernel = ((weight * _powers(sigma.float())).flatten(0, 1) @ stencils.flatten(1)).view(
        *weight.shape[:2], width, width
    )
    # Padding inside the convolution beyond 32 pixels falls off a cliff in oneDNN: extend first.
    return F.conv2d(_extend(_extend(features, 2, width // 2), 3, width // 2), kernel)


class Provider(NamedTuple):
    """A layer, the memory it is fed with, and what its result is held against."""

    run: Callable[[BenchCase, Tensor, Tensor, Tensor], Tensor]
    channels_last: bool
    oracle: str
    max_seconds: float = math.inf  # of one mode of one case
    modes: tuple[str, ...] = ("forward", "training")


PROVIDERS = {
    "ours": Provider(ours, True, "jet", modes=("forward", "training", "moving-sigma")),
    "conv2d-nchw": Provider(conv2d, False, "conv2d"),
    "conv2d-channels-last": Provider(conv2d, True, "conv2d"),
    "plain-adj": Provider(plain_adj, True, "jet", modes=("forward", "training", "moving-sigma")),
    "dense": Provider(dense, False, "truncated jet", max_seconds=2.0),
}
