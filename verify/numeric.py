"""Numbers on the grid: how well rescaling commutes with a real network.

Images are analytic, so both members of a pair are sampled without interpolation. All lengths of an experiment can be
doubled (image, canvas, finest sigma): a covariant network's defect falls with order 2 then, down to rounding.
"""

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ..layers import _GaussianJetConv
from ..scale_axis import ScaleLift
from ..scales import ScaleGrid

NOISE = 1e-11
"""Relative defect at which rounding in float64 takes over: 2^-52 times 2^order sigma^order of a cascade, generously."""
ORDER = 2.0
FIT = 0.35
"""The order is read off two grids; the next term of the expansion, O(1 / sigma^4), moves it by this much at sigma 1."""


@dataclass(frozen=True)
class AnalyticImage:
    """A sum of Gaussian blobs and windowed waves, defined on the plane.

    Args:
        blobs: (centre in units of the half canvas, standard deviation in the same, height) of every blob.
        waves: (wave vector in radians per half canvas, phase, height, window's standard deviation).
    """

    blobs: tuple[tuple[tuple[float, ...], float, float], ...] = ()
    waves: tuple[tuple[tuple[float, ...], float, float, float], ...] = ()

    @classmethod
    def random(cls, ndim: int, seed: int = 0, n_blobs: int = 3, n_waves: int = 0) -> "AnalyticImage":
        """Blobs near the centre, and `n_waves` waves of random direction (band-limited noise for many of them)."""
        generator = torch.Generator().manual_seed(seed)

        def draw(n: int, low: float, high: float) -> list[float]:
            values: list[float] = (
                low + (high - low) * torch.rand(n, generator=generator, dtype=torch.float64)
            ).tolist()
            return values

        blobs = tuple(
            (tuple(draw(ndim, -0.12, 0.12)), draw(1, 0.12, 0.2)[0], draw(1, 0.3, 1.0)[0]) for _ in range(n_blobs)
        )
        waves = tuple(
            (tuple(draw(ndim, -8.0, 8.0)), draw(1, 0.0, 6.3)[0], draw(1, 0.1, 0.5)[0], 0.18) for _ in range(n_waves)
        )
        return cls(blobs, waves)

    def sample(self, shape: Sequence[int], scale_factor: float = 1.0, unit: float | None = None) -> Tensor:
        """f(x / scale_factor) at the pixels of an image [B, C, *spatial], float64.

        Channels and images of the batch are multiplied by 1, 1/2, 1/3, ... `unit` is the half canvas in pixels, by
        default that of the smallest axis.
        """
        spatial = list(shape[2:])
        half = unit if unit is not None else min(spatial) / 2
        axes = [(torch.arange(n, dtype=torch.float64) - (n - 1) / 2) / (half * scale_factor) for n in spatial]
        grid = torch.meshgrid(*axes, indexing="ij")
        total = torch.zeros(spatial, dtype=torch.float64)
        for centre, width, height in self.blobs:
            radius = sum(((g - c) ** 2 for g, c in zip(grid, centre, strict=True)), torch.zeros(()))
            total = total + height * torch.exp(-radius / (2 * width**2))
        for vector, phase, height, window in self.waves:
            angle = sum((g * k for g, k in zip(grid, vector, strict=True)), torch.zeros(()))
            radius = sum((g**2 for g in grid), torch.zeros(()))
            total = total + height * torch.cos(angle + phase) * torch.exp(-radius / (2 * window**2))
        factors = 1 / torch.arange(1, shape[0] * shape[1] + 1, dtype=torch.float64)
        return factors.view(shape[0], shape[1], *(1,) * len(spatial)) * total


@dataclass(frozen=True)
class Defects:
    """Relative defect max |F'(S x; S sigma) - F(x; sigma)| / max |F| of every jet layer.

    Attributes:
        scale_factor: S.
        layers: Per layer path, one number per pair of scale channels (finest first).
    """

    scale_factor: float
    layers: dict[str, list[float]]

    @property
    def largest(self) -> float:
        """Over all layers and pairs."""
        return max((x for row in self.layers.values() for x in row), default=math.nan)


def covariance_defect(
    module: nn.Module,
    input_shape: Sequence[int],
    scale_factor: float | None = None,
    *,
    image: AnalyticImage | None = None,
) -> Defects:
    """How far the scale channels of the jet layers of an image and of its scaled copy differ, before pooling.

    Channel i of the image is compared with channel i + j of the copy scaled by S = ratio^j, at all points that are
    pixels in both.

    Args:
        module: A network with one `ScaleLift`.
        input_shape: [B, C, *spatial], odd sizes.
        scale_factor: S, a power of the grid's ratio; by default the smallest integer one, else the ratio itself.
        image: By default random blobs.

    Raises:
        ValueError: If there is no scale grid, or S is no power of its ratio within it.
    """
    grid = _grid(module)
    factor, steps = _steps(grid, scale_factor)
    picture = image or AnalyticImage.random(len(input_shape) - 2)
    # The scaled copy gets a canvas as much larger: what is compared is the scaled whole.
    small, unit = list(input_shape), min(input_shape[2:]) / 2
    large = [*small[:2], *(int(2 * math.ceil(factor * (n - 1) / 2) + 1) for n in small[2:])]
    first = _layers(module, picture.sample(small, 1.0, unit))
    second = _layers(module, picture.sample(large, factor, unit))
    result = {}
    for path, features in first.items():
        a, b = _matched(features, second[path], factor)
        pairs = []
        for i in range(grid.n_scales - steps):
            size = float(a[i].abs().max()) or 1.0
            pairs.append(float((b[i + steps] - a[i]).abs().max()) / size)
        result[path] = pairs
    return Defects(factor, result)


def _grid(module: nn.Module) -> ScaleGrid:
    lifts = [m for m in module.modules() if isinstance(m, ScaleLift)]
    if not lifts:
        raise ValueError(
            "covariance_defect: module must contain a ScaleLift, got none; its grid says which sigmas match"
        )
    return lifts[0].grid


def _steps(grid: ScaleGrid, factor: float | None) -> tuple[float, int]:
    powers = [(grid.ratio**j, j) for j in range(1, grid.n_scales)]
    if not powers:
        raise ValueError("covariance_defect: module must have two scale channels or more, got 1")
    if factor is None:
        whole = [(round(p), j) for p, j in powers if abs(p - round(p)) < 1e-9]
        return (float(whole[0][0]), whole[0][1]) if whole else powers[0]
    for p, j in powers:
        if abs(p - factor) < 1e-9 * p:
            return factor, j
    raise ValueError(
        f"covariance_defect: scale_factor must be ratio^j, 0 < j < {grid.n_scales}, ratio {grid.ratio}, got {factor}"
    )


def _copy(module: nn.Module, factor: float = 1.0) -> nn.Module:
    """A float64 copy in evaluation mode with all sigmas of its grid times `factor`."""
    duplicate = copy.deepcopy(module).cpu().double().eval()
    for m in duplicate.modules():
        if isinstance(m, ScaleLift):
            m.grid = ScaleGrid(m.grid.sigma_0 * factor, m.grid.ratio, m.grid.n_scales)
    return duplicate


def _layers(module: nn.Module, image: Tensor, factor: float = 1.0) -> dict[str, Tensor]:
    duplicate = _copy(module, factor)
    found: dict[str, Tensor] = {}
    n_scales, rank = _grid(module).n_scales, image.ndim + 1
    for path, m in duplicate.named_modules():
        if isinstance(m, _GaussianJetConv):

            def keep(_: nn.Module, __: Any, output: Tensor, path: str = path) -> None:
                folded = output.ndim == rank - 1 and output.shape[0] % n_scales == 0
                output = output.detach().unflatten(0, (n_scales, -1)) if folded else output.detach()
                if output.ndim == rank:
                    found.setdefault(path, output)

            m.register_forward_hook(keep)
    with torch.no_grad():
        duplicate(image)
    return found


def _matched(a: Tensor, b: Tensor, factor: float) -> tuple[Tensor, Tensor]:
    """Values at points x and S x that are pixels of both; the centre alone if S is no integer."""
    step = round(factor) if abs(factor - round(factor)) < 1e-9 else 0
    for axis in range(3, a.ndim):
        n, m = a.shape[axis], b.shape[axis]
        if n % 2 == 0 or m % 2 == 0:
            raise ValueError(f"covariance_defect: input_shape must have odd sizes, got {list(a.shape[3:])}")
        reach = min((n - 1) // 2, ((m - 1) // 2) // step) if step else 0
        own = torch.arange(-reach, reach + 1)
        a = a.index_select(axis, own + (n - 1) // 2)
        b = b.index_select(axis, own * step + (m - 1) // 2)
    return a, b


def assert_scale_covariant(
    module: nn.Module,
    input_shape: Sequence[int],
    scale_factor: float | None = None,
    *,
    image: AnalyticImage | None = None,
) -> None:
    """Raise AssertionError unless the defect of every jet layer falls with order 2 when all lengths are doubled.

    Arguments as in `covariance_defect`. Use a finest sigma of about 1 or more: the order is that of large sigma. A
    slope proves nothing (a 3-tap average falls with order 2 as well): `certify` does.
    """
    coarse = covariance_defect(module, input_shape, scale_factor, image=image)
    doubled = [*input_shape[:2], *(2 * (n - 1) + 1 for n in input_shape[2:])]
    fine = covariance_defect(_copy(module, 2.0), doubled, scale_factor, image=image)
    for path, row in coarse.layers.items():
        a, b = max(row), max(fine.layers[path])
        if b <= NOISE:
            continue
        order = math.log2(a / b) if a > 0 else 0.0
        if order < ORDER - FIT:
            raise AssertionError(
                f"scale covariance: layer {path} has a relative defect of {a:.3g} at factor {coarse.scale_factor:g}, "
                f"{b:.3g} on a grid twice as fine: order {order:.2f} instead of {ORDER:g}"
            )


def assert_scale_invariant(
    module: nn.Module,
    input_shape: Sequence[int],
    scale_factor: float | None = None,
    *,
    image: AnalyticImage | None = None,
) -> None:
    """Raise AssertionError unless the output for the scaled image, at a grid scaled with it, converges to the output.

    Scaling the grid along leaves out the boundary term of a finite grid; everything else of invariance is tested. The
    difference must fall with order 2 when all lengths are doubled.
    """
    factor, _ = _steps(_grid(module), scale_factor)
    picture = image or AnalyticImage.random(len(input_shape) - 2)
    errors = []
    for refine in (1, 2):
        small = [*input_shape[:2], *(refine * (n - 1) + 1 for n in input_shape[2:])]
        large = [*small[:2], *(int(2 * math.ceil(factor * (n - 1) / 2) + 1) for n in small[2:])]
        unit = refine * min(input_shape[2:]) / 2
        with torch.no_grad():
            a = _copy(module, refine)(picture.sample(small, 1.0, unit))
            b = _copy(module, refine * factor)(picture.sample(large, factor, unit))
        if a.shape != b.shape:
            raise AssertionError(
                f"scale invariance: the output keeps a spatial axis, {list(a.shape)} and {list(b.shape)}"
            )
        errors.append(float((a - b).abs().max()) / (float(a.abs().max()) or 1.0))
    order = math.log2(errors[0] / errors[1]) if errors[1] > 0 and errors[0] > 0 else math.inf
    if errors[1] > NOISE and order < ORDER - FIT:
        raise AssertionError(
            f"scale invariance: the output changes by {errors[0]:.3g} at factor {factor:g}, {errors[1]:.3g} on one "
            f"twice as fine: order {order:.2f} instead of {ORDER:g}"
        )
