"""Shapes and memory order of what the operators return: all that a compiler must know without running them."""

from typing import Any

from torch import Tensor

from .axes import Layer
from .taps import difference_radius

STENCIL_ORDER = 2
"""Highest order whose differences the kernels take of a smoothed image where no spectral form exists."""


def kernel_margin(layer: Layer) -> int:
    """Pixels that the kernels keep around a smoothed image: what differences read, and one more for its Laplacian."""
    return difference_radius(layer.order) + 1


def by_operators(layer: Layer) -> bool:
    """Whether the kernels apply P_n itself, jet by jet."""
    if layer.has_spectrum:
        return False
    return layer.order > STENCIL_ORDER or layer.discretisation.endswith("-derivative")


def saved_shape(features: Tensor, layer: Layer, impl: str) -> tuple[int, ...]:
    """Shape of what forward keeps for backward: the smoothed image, or its coefficients in the leading corner.

    It cannot depend on sigma. Without a smoothed image nothing is kept but the features. "torch" keeps
    [S, B, *spatial, C] and, of layers without a spectral form, nothing; "triton" [S, B, C, *spatial].
    """
    if by_operators(layer) if impl == "triton" else not layer.has_spectrum:
        return (0,)
    margin = kernel_margin(layer) if impl == "triton" else difference_radius(layer.order)
    spatial = [n + 2 * margin for n in features.shape[3:]]
    if impl == "triton":
        return (*features.shape[:3], *spatial)
    return (*features.shape[:2], *spatial, features.shape[2])


def empty_output(features: Tensor, channels: Any, impl: str) -> Tensor:
    """Empty [S, B, channels, *spatial], contiguous from the kernels and in channels-last memory from the rest."""
    if impl == "triton":
        return features.new_empty((*features.shape[:2], channels, *features.shape[3:]))
    return features.new_empty((*features.shape[:2], *features.shape[3:], channels)).movedim(-1, 2)
