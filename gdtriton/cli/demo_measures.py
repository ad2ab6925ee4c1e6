"""What the demo measures on a trained network besides accuracy: its covariance defect and its receptive fields."""

import copy
import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ..functional import jet_conv
from ..layers import GaussianJetConv2d
from ..models.gaussdernet import GaussDerNet

PREDICTED_SLOPE = -2.0
"""Defect ~ (grid spacing / sigma)^2: the discrete Gaussian and central differences are second-order accurate."""

# Centre (y, x), standard deviation and height of Gaussian blobs, lengths in units of the scale channel's sigma.
BLOBS = ((-0.9, -0.6, 1.3, 1.0), (0.8, 1.1, 1.0, 0.8), (1.2, -1.4, 0.9, -0.6))
REACH = 16.0
COMPARED = 4.0


@dataclass(frozen=True)
class CovarianceDefect:
    """Relative difference between the scale channel at sigma and the one at 2 sigma on the image enlarged by 2.

    Args:
        sigmas: Pixels.
        defects: max |F'(2x; 2 sigma) - F(x; sigma)| / max |F| before pooling, one a sigma.
        slope: Of log defect against log sigma, by least squares over sigma >= 1.
    """

    sigmas: tuple[float, ...]
    defects: tuple[float, ...]
    slope: float


def blob_image(sigma: float) -> Tensor:
    """An analytic image of Gaussian blobs sampled at unit `sigma` pixels, [1, 1, n, n], n odd, float64."""
    half = math.ceil(REACH * sigma)
    position = torch.arange(-half, half + 1, dtype=torch.float64) / sigma
    image = torch.zeros(len(position), len(position), dtype=torch.float64)
    for y, x, spread, height in BLOBS:
        rows, columns = (torch.exp(-((position - centre) ** 2) / (2 * spread**2)) for centre in (y, x))
        image += height * rows[:, None] * columns
    return image[None, None]


@torch.inference_mode()
def covariance_defect(network: GaussDerNet, sigmas: tuple[float, ...]) -> CovarianceDefect:
    """Measure the defect of a network's scale channels before pooling, in float64 on the CPU.

    Image and sigma are doubled together, so in the continuum the features at matched points are equal; on the grid they
    differ by what the discretisation costs. Points within COMPARED sigma of the middle are compared; the image reaches
    REACH sigma, where nothing is left of the blobs, so the border has no part in it.

    Args:
        network: In evaluation mode.
        sigmas: In pixels.
    """
    body = copy.deepcopy(network.body).double().cpu().eval()

    def features(sigma: float) -> Tensor:
        output: Tensor = body(blob_image(sigma)[None], torch.tensor([sigma], dtype=torch.float64))
        return output[0, 0]

    defects = []
    for sigma in sigmas:
        fine, coarse = features(2 * sigma), features(sigma)
        k = math.floor(COMPARED * sigma)
        here, there = ((f.shape[-1] - 1) // 2 for f in (coarse, fine))
        a = coarse[:, here - k : here + k + 1, here - k : here + k + 1]
        b = fine[:, there - 2 * k : there + 2 * k + 1 : 2, there - 2 * k : there + 2 * k + 1 : 2]
        defects.append(float((a - b).abs().max() / b.abs().max()))
    kept = [(math.log(s), math.log(d)) for s, d in zip(sigmas, defects, strict=True) if s >= 1]
    return CovarianceDefect(sigmas, tuple(defects), _slope(kept))


def _slope(points: list[tuple[float, float]]) -> float:
    x0 = sum(x for x, _ in points) / len(points)
    y0 = sum(y for _, y in points) / len(points)
    return sum((x - x0) * (y - y0) for x, y in points) / sum((x - x0) * (x - x0) for x, _ in points)


@torch.inference_mode()
def first_layer_filters(network: GaussDerNet, sigma: float = 4.0, size: int = 33) -> Tensor:
    """Receptive fields of the first layer at a sigma: what its filters look for, [C_out, size, size]."""
    layer = next(module for module in network.modules() if isinstance(module, GaussianJetConv2d))
    impulse = torch.zeros(1, 1, layer.in_channels, size, size)
    impulse[0, 0, 0, size // 2, size // 2] = 1
    weight = layer.weight.detach().float().cpu()
    response = jet_conv(impulse, weight, [sigma], order=layer.order, zero_order=layer.zero_order)[0, 0]
    return response.flip((1, 2))  # the response to an impulse is the filter mirrored


def attention(network: GaussDerNet, image: Tensor) -> Tensor:
    """Gradient of the winning logit in the image, [H, W]: what the network looked at in [1, 1, H, W]."""
    image = image.clone().requires_grad_()
    with torch.enable_grad():
        (gradient,) = torch.autograd.grad(network(image).max(), image)
    return gradient[0, 0].detach().cpu()
