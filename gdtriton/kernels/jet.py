"""Materialised multi-sigma jets and their adjoint: `gaussian_jet`, by P_n itself.

Every jet is a product of axis operators applied to the image, so that no order loses digits to differences of a
smoothed image. The images, however many, are the channels of one batch element: [S, 1, L, *spatial].
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from ..axes import Layer
from ..operators import fold
from .chain import AxisChain, Orders, per_scale_dot, sigma_on_device
from .tables import launch_plan


def _factorial(a: Orders) -> float:
    """a!, which takes 1 / a! out of the factors of a layer."""
    return float(math.prod(math.factorial(n) for n in a))


def _images(image: Tensor, n_scales: int, ndim: int) -> Tensor:
    """[..., *spatial] -> [S, 1, L, *spatial], the same memory for every sigma."""
    spatial = image.shape[image.ndim - ndim :]
    return image.reshape(1, 1, -1, *spatial).expand(n_scales, -1, -1, *spatial)


def _chain(sigma: Tensor, spatial: tuple[int, ...], layer: Layer, dtype: torch.dtype) -> AxisChain:
    plan = launch_plan(sigma, spatial, layer, dtype)
    return AxisChain(sigma, spatial, layer, plan)


def gaussian_jet(image: Tensor, sigma: Tensor, ndim: int, layer: Layer) -> Tensor:
    """[..., *spatial], sigma [S] -> [S, ..., J, *spatial]; see `composed.gaussian_jet`."""
    lead, spatial = image.shape[: image.ndim - ndim], tuple(image.shape[image.ndim - ndim :])
    jets = image.new_empty(len(sigma), *lead, len(layer.orders(ndim)), *spatial)
    if jets.numel() == 0:
        return jets
    chain = _chain(sigma_on_device(sigma, image.device), spatial, layer, image.dtype)
    out = jets.view(len(sigma), 1, -1, *jets.shape[1 + len(lead) :])
    chain.jets(_images(image, len(sigma), ndim), out, _factorial)
    return jets


def gaussian_jet_backward(
    grad_jets: Tensor, image: Tensor, sigma: Tensor, ndim: int, layer: Layer, needs: tuple[bool, bool]
) -> tuple[Tensor, Tensor]:
    """Adjoint in image and sigma.

    dLoss/dsigma_s = <dL/dsigma_s through the smoothing> + (p / sigma_s) sum_a |a| <g_a, J_a>, the first term
    sigma_s <P^T g, Laplacian_h f> where the discrete diffusion equation is exact.
    """
    spatial = tuple(image.shape[image.ndim - ndim :])
    on_device = sigma_on_device(sigma, image.device)
    if image.numel() == 0:
        return torch.zeros_like(image), torch.zeros_like(sigma)
    chain = _chain(on_device, spatial, layer, image.dtype)
    images = _images(image, len(sigma), ndim)
    grads = grad_jets.reshape(len(sigma), 1, -1, len(chain.orders), *spatial)
    grad_images = torch.empty(images.shape, dtype=torch.float32, device=image.device)
    diffuses = needs[1] and layer.has_spectrum
    if needs[0] or diffuses:
        chain.jets_adjoint(grads, grad_images, _factorial)
    grad_sigma = torch.zeros(len(sigma), dtype=on_device.dtype, device=image.device)
    if diffuses:
        change = discrete_laplacian(images[:1].float(), ndim, layer.border).expand_as(images)
        grad_sigma += on_device * per_scale_dot(grad_images, change)
    elif needs[1]:
        grad_sigma += changed_jets(chain, images, grads, _factorial)
    if needs[1] and layer.norm_power:
        weighted = torch.empty_like(grad_images)
        chain.jets_adjoint(grads, weighted, lambda a: _factorial(a) * sum(a))
        grad_sigma += layer.norm_power / on_device * per_scale_dot(weighted, images)
    grad_image = grad_images.sum(0).view(image.shape).to(image.dtype) if needs[0] else image.new_zeros(image.shape)
    return grad_image, grad_sigma.to(sigma.device, sigma.dtype)


def discrete_laplacian(image: Tensor, ndim: int, border: str) -> Tensor:
    """Sum over the axes of second differences, symmetric or circular border."""
    total = torch.zeros_like(image)
    for axis in range(image.ndim - ndim, image.ndim):
        here = torch.arange(image.shape[axis], device=image.device)
        behind, ahead = (image.index_select(axis, fold(here + step, len(here), border)[0]) for step in (-1, 1))
        total += ahead + behind - 2 * image
    return total


def changed_jets(chain: AxisChain, images: Tensor, grads: Tensor, scale: Callable[[Orders], float]) -> Tensor:
    """sum_a scale(a) factor[s, j] <g_a, sum over axes of P_a with dP / dsigma along that axis, applied to f>, [S]."""
    total = torch.zeros(len(images), dtype=torch.float32, device=images.device)
    change = torch.empty(images.shape, dtype=torch.float32, device=images.device)
    for j, a in enumerate(chain.orders):
        for axis in range(chain.ndim):
            chain.derivative(images, change, a, changed_axis=axis)
            total += scale(a) * chain.plan.factors[:, j] * per_scale_dot(grads.select(3, j), change)
    return total
