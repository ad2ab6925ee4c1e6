"""Which standard deviations a network uses: geometric grids and positive parametrisations.

First file of the data path. A scale is stored as (ratio, exponent), so that two scales are equal exactly when
their exponents are, and every learned sigma is `exp(log_sigma)`, positive by construction.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class ScaleGrid:
    """The scale channels sigma_i = sigma_0 * ratio**i, i = 0 .. n_scales - 1, in pixels.

    Args:
        sigma_0: The finest standard deviation in pixels, > 0.
        ratio: Ratio of neighbouring scales, > 1.
        n_scales: Number of scale channels, >= 1.

    Raises:
        TypeError: If an argument is not a number of the right kind.
        ValueError: If an argument is out of range.
    """

    sigma_0: float
    ratio: float
    n_scales: int

    def __post_init__(self) -> None:
        for name in ("sigma_0", "ratio"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | float):
                raise TypeError(f"ScaleGrid: {name} must be a number, got {value!r}")
        if isinstance(self.n_scales, bool) or not isinstance(self.n_scales, int):
            raise TypeError(f"ScaleGrid: n_scales must be an integer, got {self.n_scales!r}")
        if not (math.isfinite(self.sigma_0) and self.sigma_0 > 0):
            raise ValueError(f"ScaleGrid: sigma_0 must be finite and > 0, got {self.sigma_0}")
        if not (math.isfinite(self.ratio) and self.ratio > 1):
            raise ValueError(
                f"ScaleGrid: ratio must be finite and > 1, got {self.ratio}; "
                "for a single scale channel use n_scales=1 with any ratio"
            )
        if self.n_scales < 1:
            raise ValueError(f"ScaleGrid: n_scales must be >= 1, got {self.n_scales}")

    @property
    def sigmas(self) -> tuple[float, ...]:
        """The standard deviations in pixels, finest first."""
        return tuple(self.sigma_0 * self.ratio**i for i in range(self.n_scales))


def positive_sigma(log_sigma: Tensor) -> Tensor:
    """`exp(log_sigma)`, computed in float32 or better whatever the dtype of the parameter.

    The gradient with respect to log_sigma is scale covariant of weight 0, and exp(c theta + d) is the only
    parametrisation with that property (theorem `sigma-parametrisation` of `gdtriton verify theory`).
    """
    return torch.exp(log_sigma.to(torch.promote_types(log_sigma.dtype, torch.float32)))
