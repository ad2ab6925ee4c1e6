"""Per-axis operators as matrix products on channels-last memory [B, *spatial, C].

`apply_axis` is the product; `AxisOperators` holds P_n of one sigma for one layer and skips what lies outside the band.
"""

import math
from functools import lru_cache
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from .operators import axis_operator, band_operator, has_spectrum, inverse_factorials, jet_orders
from .taps import kernel_taps, tap_radius

EDGE_SHARE = 0.3
"""Largest share of rows at either end that the border may change for the band form to be the cheaper one."""

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


def apply_band(matrix: Tensor, taps: Tensor, image: Tensor, axis: int, shift: int = 0) -> Tensor:
    """`apply_axis` for a matrix whose rows, but for those that the border changes, are shifted copies of `taps`.

    A depthwise convolution with zero padding does the whole axis; the rows that the border changes are then
    replaced by their matrix product. Row i of the matrix has the middle tap at column i - shift.
    """
    rows, columns = matrix.shape
    lead, trail = math.prod(image.shape[:axis]), math.prod(image.shape[axis + 1 :])
    radius = len(taps) // 2
    flat = image.reshape(lead, columns, trail)
    kernel = taps.view(1, 1, 1, -1).expand(trail, 1, 1, -1).contiguous()
    padded = F.conv2d(flat.unsqueeze(1).permute(0, 3, 1, 2), kernel, padding=(0, radius + shift), groups=trail)
    result = padded.permute(0, 2, 3, 1).reshape(lead, rows, trail)
    edge = radius + abs(shift)
    # Only a circular border reaches across: elsewhere an edge row ends 2 * edge columns from its own end.
    near = columns if bool(matrix[0, -1] != 0) else min(columns, 2 * edge)
    result[:, :edge] = torch.matmul(matrix[:edge, :near], flat[:, :near])
    result[:, rows - edge :] = torch.matmul(matrix[rows - edge :, columns - near :], flat[:, columns - near :])
    return result.view(*image.shape[:axis], rows, *image.shape[axis + 1 :])


class _Operator(NamedTuple):
    """What determines the matrix of one axis."""

    sigma: float
    order: int
    discretisation: str
    border: str
    margin: int
    sigma_derivative: bool
    dtype: torch.dtype
    device: torch.device


def _dense(size: int, what: _Operator) -> Tensor:
    """P_n or dP_n / dsigma, untruncated, [size + 2 * margin, size]."""
    matrix = axis_operator(
        size,
        torch.tensor(what.sigma, dtype=torch.float64),
        what.order,
        discretisation=what.discretisation,
        border=what.border,
        margin=what.margin,
        sigma_derivative=what.sigma_derivative,
    )
    return matrix.to(what.device, what.dtype)


def _band(size: int, what: _Operator, radius: int) -> tuple[Tensor, Tensor]:
    """The same cut to taps -radius .. radius, and the taps: forward and adjoint share every truncated entry."""
    sigma = torch.tensor(what.sigma, dtype=torch.float64)
    changed = what.sigma_derivative
    taps = kernel_taps(sigma, what.order, radius, what.discretisation, sigma_derivative=changed)
    matrix = band_operator(taps, size, what.border, what.margin)
    return matrix.to(what.dtype), taps.to(what.dtype)


_cached_dense = lru_cache(maxsize=256)(_dense)
_cached_band = lru_cache(maxsize=256)(_band)


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

    def _product(
        self, image: Tensor, axis: int, order: int, *, changed: bool = False, margin: int = 0, adjoint: bool = False
    ) -> Tensor:
        size, trail = image.shape[axis] - (2 * margin if adjoint else 0), math.prod(image.shape[axis + 1 :])
        layer, few = self.layer, size <= CACHED_SIZE
        what = _Operator(
            self.sigma, order, layer.discretisation, layer.border, margin, changed, self.dtype, self.device
        )
        # One truncation for all: that of the highest derivative kernel in use, and of the diffusion it obeys.
        radius = tap_radius(self.sigma, layer.order + 2 * changed, layer.discretisation)
        wide = radius + margin > EDGE_SHARE * size or radius < margin
        if wide or self.device.type != "cpu" or (trail == 1 and few):
            matrix = (_cached_dense if few else _dense)(size, what)
            return apply_axis(matrix.T if adjoint else matrix, image, axis)
        matrix, taps = (_cached_band if few else _band)(size, what, radius)
        if adjoint:
            return apply_band(matrix.T, taps.flip(0), image, axis, -margin)
        return apply_band(matrix, taps, image, axis, margin)

    def smooth(self, image: Tensor, changed_axis: int | None = None) -> Tensor:
        """P_0 along every axis, onto the margin; dP_0 / dsigma along one of them if asked."""
        for axis in range(1, image.ndim - 1):
            image = self._product(image, axis, 0, changed=axis - 1 == changed_axis, margin=self.margin)
        return image

    def smooth_adjoint(self, grad: Tensor) -> Tensor:
        """The transpose of `smooth`: [B, *(spatial + 2 margin), C] -> [B, *spatial, C]."""
        for axis in range(1, grad.ndim - 1):
            grad = self._product(grad, axis, 0, margin=self.margin, adjoint=True)
        return grad

    def derivative(self, image: Tensor, orders: tuple[int, ...], changed_axis: int | None = None) -> Tensor:
        """P_{a_1} ... P_{a_N} image; dP / dsigma on one axis if asked."""
        for axis, order in enumerate(orders):
            image = self._product(image, axis + 1, order, changed=axis == changed_axis)
        return image

    def derivative_adjoint(self, grad: Tensor, orders: tuple[int, ...]) -> Tensor:
        """The transpose of `derivative`."""
        for axis, order in enumerate(orders):
            grad = self._product(grad, axis + 1, order, adjoint=True)
        return grad


def host_sigma(sigma: Tensor) -> float | None:
    """The value of a single sigma that is readable without waiting for a device, else None."""
    return sigma.item() if sigma.numel() == 1 and sigma.device.type == "cpu" else None
