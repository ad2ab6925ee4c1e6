"""Per-axis operators as matrix products on channels-last memory [B, *spatial, C].

`apply_axis` is the product; `AxisOperators` holds P_n of one sigma for one layer and skips what lies outside the band.
"""

import math
from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor

from .operators import axis_operator, has_spectrum, inverse_factorials, jet_orders
from .taps import tap_radius

BAND_BLOCK = 32
"""Rows of a band operator that share one matrix product."""

CACHED_SIZE = 512
"""Axis length up to which operator matrices are kept between calls (1 MiB each in float32)."""


class Layer(NamedTuple):
    """The static arguments of a jet layer or a jet."""

    order: int
    zero_order: bool
    groups: int
    norm_power: float
    discretisation: str
    border: str

    @property
    def has_spectrum(self) -> bool:
        """Whether the spectral route exists."""
        return has_spectrum(self.discretisation, self.border)

    def orders(self, ndim: int) -> tuple[tuple[int, ...], ...]:
        """The multi-indices of the layer's coefficients."""
        return jet_orders(ndim, self.order, zero_order=self.zero_order)

    def factorials(self, like: Tensor, ndim: int) -> Tensor:
        """1 / alpha! of each coefficient, [J]."""
        return like.new_tensor(inverse_factorials(self.orders(ndim)))

    def powers(self, sigma: float, like: Tensor, ndim: int) -> Tensor:
        """sigma^(norm_power |a|) of each coefficient, [J]."""
        return like.new_tensor([sigma ** (self.norm_power * sum(a)) for a in self.orders(ndim)])

    def total_orders(self, like: Tensor, ndim: int) -> Tensor:
        """|a| of each coefficient, [J]."""
        return like.new_tensor([float(sum(a)) for a in self.orders(ndim)])


def apply_axis(matrix: Tensor, image: Tensor, axis: int) -> Tensor:
    """`matrix` [M, N] along `axis` of a contiguous image: [..., N, ...] -> [..., M, ...]."""
    columns = image.shape[axis]
    lead, trail = math.prod(image.shape[:axis]), math.prod(image.shape[axis + 1 :])
    shape = (*image.shape[:axis], matrix.shape[0], *image.shape[axis + 1 :])
    if trail == 1:
        return (image.reshape(lead, columns) @ matrix.T).view(shape)
    return torch.matmul(matrix, image.reshape(lead, columns, trail)).view(shape)


def apply_band(matrix: Tensor, image: Tensor, axis: int, half_width: int, offset: int = 0) -> Tensor:
    """`apply_axis` for a matrix that vanishes where |column - (row - offset)| > half_width."""
    rows, columns = matrix.shape
    lead, trail = math.prod(image.shape[:axis]), math.prod(image.shape[axis + 1 :])
    if trail == 1 or BAND_BLOCK + 2 * half_width > 0.8 * columns:
        return apply_axis(matrix, image, axis)
    flat = image.reshape(lead, columns, trail)
    result = image.new_empty(lead, rows, trail)
    for start in range(0, rows, BAND_BLOCK):
        stop = min(start + BAND_BLOCK, rows)
        first = min(max(0, start - offset - half_width), columns - 1)
        last = max(min(columns, stop - offset + half_width), first + 1)
        result[:, start:stop] = torch.matmul(matrix[start:stop, first:last], flat[:, first:last])
    return result.view(*image.shape[:axis], rows, *image.shape[axis + 1 :])


def _matrix(
    size: int,
    sigma: float,
    order: int,
    discretisation: str,
    border: str,
    margin: int,
    sigma_derivative: bool,
    dtype: torch.dtype,
    device: torch.device,
) -> Tensor:
    matrix = axis_operator(
        size,
        torch.tensor(sigma, dtype=torch.float64),
        order,
        discretisation=discretisation,
        border=border,
        margin=margin,
        sigma_derivative=sigma_derivative,
    )
    return matrix.to(device, dtype)


_cached_matrix = lru_cache(maxsize=256)(_matrix)


class AxisOperators:
    """P_n of one sigma, applied along the spatial axes of [B, *spatial, C].

    Args:
        sigma: Standard deviation in pixels.
        layer: Discretisation and border.
        like: A tensor with the dtype and device of the images.
        margin: `smooth` returns this many pixels of the extended image on either side.
    """

    def __init__(self, sigma: float, layer: Layer, like: Tensor, margin: int = 0):
        self.sigma, self.layer, self.margin = sigma, layer, margin
        self.dtype, self.device = like.dtype, like.device

    def matrix(self, size: int, order: int, *, sigma_derivative: bool = False) -> Tensor:
        """P_n or dP_n / dsigma, [size + 2 * margin, size]."""
        build = _cached_matrix if size <= CACHED_SIZE else _matrix
        return build(
            size, self.sigma, order, self.layer.discretisation, self.layer.border,
            self.margin, sigma_derivative, self.dtype, self.device,
        )  # fmt: skip

    def half_width(self, order: int) -> int:
        """Matrix entries further than this from the diagonal are below the truncation constant."""
        if self.layer.border == "circular":
            return CACHED_SIZE * CACHED_SIZE
        return tap_radius(self.sigma, order, self.layer.discretisation)

    def smooth(self, image: Tensor, changed_axis: int | None = None) -> Tensor:
        """P_0 along every axis, onto the margin; dP_0 / dsigma along one of them if asked."""
        for axis in range(1, image.ndim - 1):
            changed = axis - 1 == changed_axis
            matrix = self.matrix(image.shape[axis], 0, sigma_derivative=changed)
            width = self.half_width(2 if changed else 0)
            image = apply_band(matrix, image, axis, width, self.margin)
        return image

    def smooth_adjoint(self, grad: Tensor) -> Tensor:
        """The transpose of `smooth`: [B, *(spatial + 2 margin), C] -> [B, *spatial, C]."""
        for axis in range(1, grad.ndim - 1):
            matrix = self.matrix(grad.shape[axis] - 2 * self.margin, 0).T
            # Folded taps sit up to 2 * margin further from the shifted diagonal on the far side.
            width = self.half_width(0) + 2 * self.margin
            grad = apply_band(matrix, grad, axis, width, -self.margin)
        return grad

    def derivative(self, image: Tensor, orders: tuple[int, ...], changed_axis: int | None = None) -> Tensor:
        """P_{a_1} ... P_{a_N} image; dP / dsigma on one axis if asked."""
        for axis, order in enumerate(orders):
            changed = axis == changed_axis
            matrix = self.matrix(image.shape[axis + 1], order, sigma_derivative=changed)
            width = self.half_width(order + 2 * changed)
            image = apply_band(matrix, image, axis + 1, width)
        return image

    def derivative_adjoint(self, grad: Tensor, orders: tuple[int, ...]) -> Tensor:
        """The transpose of `derivative`."""
        for axis, order in enumerate(orders):
            matrix = self.matrix(grad.shape[axis + 1], order).T
            grad = apply_band(matrix, grad, axis + 1, self.half_width(order))
        return grad


def host_sigma(sigma: Tensor) -> float | None:
    """The value of a single sigma that is readable without waiting for a device, else None."""
    return sigma.item() if sigma.numel() == 1 and sigma.device.type == "cpu" else None
