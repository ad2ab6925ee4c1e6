"""Gaussian derivative jets and scale-covariant layers for PyTorch.

The data path, in reading order: `scales` (which sigmas), `taps` (1-D kernels), `operators` (the per-axis
operators P_n), `reference` (the definition), `composed` (the fast path), `functional` (public functions),
`layers` and `scale_axis` (modules). Importing this package imports none of them: names load on first use.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_HOMES = {
    "ScaleGrid": "scales",
    "jet_orders": "operators",
    "gaussian_smooth": "functional",
    "gaussian_jet": "functional",
    "jet_conv": "functional",
    "GaussianJetConv1d": "layers",
    "GaussianJetConv2d": "layers",
    "GaussianJetConv3d": "layers",
    "sigma_parameters": "layers",
    "ScaleLift": "scale_axis",
    "ScaleSequential": "scale_axis",
    "EachScale": "scale_axis",
    "ScaleDropout": "scale_axis",
    "ScalePool": "scale_axis",
    "ReadOut": "scale_axis",
}

if TYPE_CHECKING:
    from .functional import gaussian_jet, gaussian_smooth, jet_conv
    from .layers import (
        GaussianJetConv1d,
        GaussianJetConv2d,
        GaussianJetConv3d,
        sigma_parameters,
    )
    from .operators import jet_orders
    from .scale_axis import EachScale, ReadOut, ScaleDropout, ScaleLift, ScalePool, ScaleSequential
    from .scales import ScaleGrid

__all__ = [
    "EachScale",
    "GaussianJetConv1d",
    "GaussianJetConv2d",
    "GaussianJetConv3d",
    "ReadOut",
    "ScaleDropout",
    "ScaleGrid",
    "ScaleLift",
    "ScalePool",
    "ScaleSequential",
    "gaussian_jet",
    "gaussian_smooth",
    "jet_conv",
    "jet_orders",
    "sigma_parameters",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_HOMES[name]}", __name__), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
