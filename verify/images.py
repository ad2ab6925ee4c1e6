"""Images that are functions on the plane: both members of a scaled pair are sampled, nothing is interpolated."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

TAIL = 5.0
"""Standard deviations after which a Gaussian is taken to have ended: exp(-12.5) = 4e-6 of its height."""

SHIFTS = ((0.0, 0.0, 0.0), (0.11, 0.03, -0.07), (-0.05, -0.09, 0.1))
"""Vectors in units of the half canvas by which an image is moved where only the centre is compared."""


@dataclass(frozen=True)
class AnalyticImage:
    """A sum of Gaussian blobs and windowed waves, defined on the plane.

    Args:
        blobs: (centre in units of the half canvas, standard deviation in the same, height) of every blob.
        waves: (wave vector in radians per half canvas, phase, height, window's standard deviation).
        shift: Where the origin of all of them lies, in units of the half canvas; the centre if empty.
    """

    blobs: tuple[tuple[tuple[float, ...], float, float], ...] = ()
    waves: tuple[tuple[tuple[float, ...], float, float, float], ...] = ()
    shift: tuple[float, ...] = ()

    @classmethod
    def random(cls, ndim: int, seed: int = 0, n_blobs: int = 3, n_waves: int = 0) -> "AnalyticImage":
        """Blobs near the centre, and `n_waves` windowed sinusoids of random direction."""
        draw = _Draw(seed)
        blobs = tuple((draw.several(ndim, -0.12, 0.12), draw(0.12, 0.2), draw(0.3, 1.0)) for _ in range(n_blobs))
        waves = tuple(
            (draw.several(ndim, -8.0, 8.0), draw(0.0, 6.3), draw(0.1, 0.5), 0.18) for _ in range(n_waves)
        )  # fmt: skip
        return cls(blobs, waves)

    @classmethod
    def noise(cls, ndim: int, seed: int = 0, band: float = 12.0, n_waves: int = 24) -> "AnalyticImage":
        """Band-limited noise under a Gaussian window: `n_waves` of random direction, phase and |wave vector| <= band.

        With a window of 0.18 half canvases the spectrum beyond band + 5 / 0.18 radians per half canvas is nil.
        """
        draw = _Draw(seed)
        waves = []
        for _ in range(n_waves):
            direction = [draw.normal() for _ in range(ndim)]
            length = math.sqrt(sum(x * x for x in direction))
            radius = band * draw(0.0, 1.0) ** (1 / ndim)
            vector = tuple(radius * x / length for x in direction)
            waves.append((vector, draw(0.0, 6.3), draw(0.3, 1.0) / math.sqrt(n_waves), 0.18))
        return cls((), tuple(waves))

    def shifted(self, by: Sequence[float]) -> "AnalyticImage":
        """f(x - by), by in units of the half canvas; exact for any fraction of a pixel."""
        own = self.shift or (0.0,) * len(by)
        return replace(self, shift=tuple(a + b for a, b in zip(own, by, strict=True)))

    def several(self, shape: Sequence[int], scale_factor: float = 1.0, unit: float | None = None) -> Tensor:
        """`sample` of copies moved by `SHIFTS`, [len(SHIFTS) * B, C, *spatial]: one centre, several points."""
        moved = [self.shifted(shift[: len(shape) - 2]) for shift in SHIFTS]
        return torch.cat([one.sample(shape, scale_factor, unit) for one in moved])

    @property
    def reach(self) -> float:
        """Distance from the centre, in units of the half canvas, beyond which every part is below exp(-12.5)."""
        ends = [max(map(abs, centre), default=0.0) + TAIL * width for centre, width, _ in self.blobs]
        ends += [TAIL * window for _, _, _, window in self.waves]
        return max(ends, default=0.0) + max(map(abs, self.shift), default=0.0)

    @property
    def band(self) -> float:
        """Frequency, in radians per half canvas, beyond which the spectrum of every part is below exp(-12.5)."""
        ends = [TAIL / width for _, width, _ in self.blobs]
        ends += [math.hypot(*vector) + TAIL / window for vector, _, _, window in self.waves]
        return max(ends, default=0.0)

    def sample(self, shape: Sequence[int], scale_factor: float = 1.0, unit: float | None = None) -> Tensor:
        """f(x / scale_factor) at the pixels of an image [B, C, *spatial], float64, the origin in the middle.

        Channels and images of the batch are multiplied by 1, 1/2, 1/3, ... `unit` is the half canvas in pixels, by
        default that of the smallest axis.
        """
        spatial = list(shape[2:])
        half = unit if unit is not None else min(spatial) / 2
        origin = self.shift or (0.0,) * len(spatial)
        axes = [
            (torch.arange(n, dtype=torch.float64) - (n - 1) / 2) / (half * scale_factor) - o
            for n, o in zip(spatial, origin, strict=True)
        ]
        total = torch.zeros(spatial, dtype=torch.float64)
        for centre, width, height in self.blobs:
            factors = [torch.exp(-((x - c) ** 2) / (2 * width**2)) for x, c in zip(axes, centre, strict=True)]
            total = total + height * _outer(factors)
        for vector, phase, height, window in self.waves:
            factors = [
                torch.exp(-(x**2) / (2 * window**2)) * torch.exp(1j * k * x) for x, k in zip(axes, vector, strict=True)
            ]
            total = total + height * (_outer(factors) * complex(math.cos(phase), math.sin(phase))).real
        weights = 1 / torch.arange(1, shape[0] * shape[1] + 1, dtype=torch.float64)
        return weights.view(shape[0], shape[1], *(1,) * len(spatial)) * total


class _Draw:
    """Uniform and normal numbers of a seed."""

    def __init__(self, seed: int) -> None:
        self.generator = torch.Generator().manual_seed(seed)

    def __call__(self, low: float, high: float) -> float:
        return low + (high - low) * float(torch.rand((), generator=self.generator, dtype=torch.float64))

    def normal(self) -> float:
        return float(torch.randn((), generator=self.generator, dtype=torch.float64))

    def several(self, n: int, low: float, high: float) -> tuple[float, ...]:
        return tuple(self(low, high) for _ in range(n))


def _outer(factors: Sequence[Tensor]) -> Tensor:
    result = factors[0]
    for factor in factors[1:]:
        result = result[..., None] * factor
    return result
