"""The layers that are timed on a GPU: ours, its 3x3 twin, plain PyTorch, the same compiled, dense filters.

Each function makes what a call needs, on the device, and returns calls that ask the host for nothing.
"""

import math
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from gdtriton import jet_conv, jet_orders
from gdtriton.operators import fold, inverse_factorials
from gdtriton.taps import kernel_taps, tap_radius
from perf.gpu_machine import MODES, Call, Machine
from perf.providers import central_stencils, dense_taps

ORDERS = jet_orders(2, 2, zero_order=False)
PIXELS = 64 * 112 * 112
"""Of all images of a case together: several times the second-level cache."""


class Case(NamedTuple):
    """A layer in one arithmetic: 2-D, order 2, symmetric border, no bias."""

    in_channels: int
    out_channels: int
    plane: int
    n_scales: int
    mode: str
    pixels: int = PIXELS

    @property
    def batch(self) -> int:
        """Images of one scale channel."""
        return max(1, round(self.pixels / self.plane**2 / self.n_scales))

    @property
    def images(self) -> int:
        """Images of all scale channels."""
        return self.batch * self.n_scales

    def sigmas(self, sigma: float) -> list[float]:
        """Sigma of every scale channel, within half an octave of `sigma`."""
        return [sigma * 2 ** ((k + 0.5) / self.n_scales - 0.5) for k in range(self.n_scales)]


def tensors(machine: Machine, case: Case, *, images: bool = False) -> tuple[Tensor, Tensor, Tensor]:
    """ReLU of noise as features, jet weights, a cotangent; [S, B, C, H, W], or [N, C, H, W] if `images`."""
    dtype, lead = MODES[case.mode], (case.images,) if images else (case.n_scales, case.batch)
    plane = (case.plane, case.plane)
    features = machine.randn(*lead, case.in_channels, *plane, dtype=dtype).relu_()
    weight = machine.randn(case.out_channels, case.in_channels, len(ORDERS), dtype=dtype, seed=1)
    return features, weight, machine.randn(*lead, case.out_channels, *plane, dtype=dtype, seed=2)


def step(function: Any, leaves: list[Tensor], grad: Tensor) -> Call:
    """A call of forward and backward; leaves that require no gradient get none."""
    wanted = [leaf for leaf in leaves if leaf.requires_grad]
    return lambda: torch.autograd.grad(function(*leaves), wanted, grad)


def without_gradient(function: Any, leaves: list[Tensor]) -> Call:
    """A call of the forward alone."""

    def call() -> Tensor:
        with torch.no_grad():
            result: Tensor = function(*leaves)
            return result

    return call


def layer(features: Tensor, weight: Tensor, sigma: Tensor) -> Tensor:
    """Ours."""
    return jet_conv(features, weight, sigma, impl="triton")


def ours(machine: Machine, case: Case, sigma: float) -> dict[str, Call]:
    """Calls of our layer by what they do."""
    features, weight, grad = tensors(machine, case)
    value = torch.tensor(case.sigmas(sigma), dtype=torch.float64, device=machine.device)
    forward = without_gradient(layer, [features, weight, value])
    trained = [x.detach().requires_grad_() for x in (features, weight)]
    return {
        "forward": forward,
        "training": step(layer, [*trained, value.clone().requires_grad_()], grad),
        "fixed-sigma": step(layer, [*trained, value], grad),
    }


def twins(machine: Machine, case: Case) -> dict[str, dict[str, Call]]:
    """The 3x3 convolution of cuDNN with as many channels, by memory layout."""
    found = {}
    for name, layout in (("conv2d-nchw", torch.contiguous_format), ("conv2d-channels-last", torch.channels_last)):
        features, _, grad = tensors(machine, case, images=True)
        weight = machine.randn(case.out_channels, case.in_channels, 3, 3, dtype=features.dtype, seed=1)
        features, weight, grad = (x.contiguous(memory_format=layout) for x in (features, weight, grad))

        def convolve(x: Tensor, w: Tensor) -> Tensor:
            return F.conv2d(x, w, padding=1)

        trained = [x.clone().requires_grad_() for x in (features, weight)]
        found[name] = {
            "forward": without_gradient(convolve, [features, weight]),
            "training": step(convolve, trained, grad),
        }
    return found


def _border(size: int, radius: int, device: torch.device) -> Tensor:
    return fold(torch.arange(-radius, size + radius), size, "symmetric")[0].to(device)


def _smooth(image: Tensor, taps: Tensor, index: Tensor) -> Tensor:
    channels = image.shape[1]
    kernel = taps.expand(channels, 1, 1, -1).contiguous()
    image = F.conv2d(image.index_select(3, index), kernel, groups=channels)
    return F.conv2d(image.index_select(2, index), kernel.transpose(2, 3).contiguous(), groups=channels)


class _Smoothing(torch.autograd.Function):
    """Its own adjoint, as the symmetric border makes it; the gradient of sigma is left out."""

    @staticmethod
    def forward(ctx: Any, image: Tensor, taps: Tensor, index: Tensor) -> Tensor:
        ctx.save_for_backward(taps, index)
        return _smooth(image, taps, index)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:  # type: ignore[override]
        return _smooth(grad, *ctx.saved_tensors), None, None


def plain(machine: Machine, case: Case, sigma: float) -> tuple[Any, list[Tensor], Tensor]:
    """The best plain PyTorch: separable depthwise smoothing with its own adjoint, then one folded 3x3 convolution."""
    features, weight, grad = tensors(machine, case, images=True)
    value = torch.tensor(sigma, dtype=torch.float64)
    radius = tap_radius(sigma, 2)
    taps = kernel_taps(value, 0, radius).to(machine.device, features.dtype)
    index, edge = _border(case.plane, radius, machine.device), _border(case.plane, 1, machine.device)
    powers = torch.tensor([sigma ** sum(a) for a in ORDERS]).to(machine.device, features.dtype)
    stencils = central_stencils().to(machine.device, features.dtype).flatten(1)
    channels = weight.shape[:2]

    def run(x: Tensor, w: Tensor) -> Tensor:
        smoothed = _Smoothing.apply(x, taps, index)
        kernel = ((w * powers).flatten(0, 1) @ stencils).view(*channels, 3, 3)
        return F.conv2d(smoothed.index_select(2, edge).index_select(3, edge), kernel)

    return run, [x.detach().requires_grad_() for x in (features, weight)], grad


def compiled(machine: Machine, case: Case, sigma: float) -> tuple[Any, list[Tensor], Tensor]:
    """Plain PyTorch under torch.compile, max-autotune."""
    run, leaves, grad = plain(machine, case, sigma)
    options: dict[str, Any] = {"backend": "aot_eager"} if machine.dry else {"mode": "max-autotune-no-cudagraphs"}
    return torch.compile(run, **options), leaves, grad


def dense(machine: Machine, case: Case, sigma: float) -> tuple[Any, list[Tensor], Tensor]:
    """A K x K filter for every channel pair, cut at 2 sigma, K = 2 ceil(2 sigma) + 3, as dense-filter layers do."""
    features, weight, grad = tensors(machine, case, images=True)
    radius = math.ceil(2 * sigma)
    taps = dense_taps(torch.tensor(sigma, dtype=torch.float64))
    pairs = zip(ORDERS, inverse_factorials(ORDERS), strict=True)
    stencils = torch.stack([f * sigma ** sum(a) * taps[a[0]][:, None] * taps[a[1]] for a, f in pairs])
    stencils = stencils.to(machine.device, features.dtype)
    index = _border(case.plane, radius + 1, machine.device)

    def run(x: Tensor, w: Tensor) -> Tensor:
        kernel = (w.flatten(0, 1) @ stencils.flatten(1)).view(*w.shape[:2], *stencils.shape[1:])
        return F.conv2d(x.index_select(2, index).index_select(3, index), kernel)

    return run, [x.detach().requires_grad_() for x in (features, weight)], grad


OTHERS = {"plain": plain, "compiled": compiled, "dense": dense}
