"""Numbers on the grid: how well rescaling commutes with a real network and with each of its jet layers.

Images are analytic, so both members of a pair are sampled without interpolation. Two questions, two yardsticks:

* a layer alone, given the features that it meets in the network: the bound derived in `commute`;
* the network up to a layer: the order at which its defect falls, see `convergence`.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from ..scales import ScaleGrid
from .arithmetic import rounding_bound
from .commute import commutation_bound, restrict
from .images import AnalyticImage
from .observe import Observation, observe, scale_grid


@dataclass(frozen=True)
class LayerDefect:
    """One layer alone in one pair of scale channels: restricting and the layer, in either order.

    Attributes:
        defect: max |R T_{S sigma} g - T_sigma R g| / max |T_sigma R g|, g the features of the scaled copy.
        bound: The largest derived bound in the same unit.
        excess: max over all points of |R T_{S sigma} g - T_sigma R g| / bound there; at most 1 for a right layer.
    """

    defect: float
    bound: float
    excess: float


@dataclass(frozen=True)
class Defects:
    """Relative defect max |F'(S x; S sigma) - F(x; sigma)| / max |F| of the network up to every jet layer.

    Attributes:
        scale_factor: S.
        layers: Per layer path, one number per pair of scale channels (finest first).
        alone: The layers by themselves, where S is an integer and the bound can be computed.
        floors: Per layer path, what rounding and truncation of it and of the layers before it amount to.
    """

    scale_factor: float
    layers: dict[str, list[float]]
    alone: dict[str, list[LayerDefect]] = field(default_factory=dict)
    floors: dict[str, float] = field(default_factory=dict)

    @property
    def largest(self) -> float:
        """Over all layers and pairs."""
        return max((x for row in self.layers.values() for x in row), default=math.nan)

    @property
    def excess(self) -> float:
        """Largest defect of a layer alone over its bound; NaN if no bound could be computed."""
        return max((x.excess for row in self.alone.values() for x in row), default=math.nan)


def covariance_defect(
    module: nn.Module,
    input_shape: Sequence[int],
    scale_factor: float | None = None,
    *,
    image: AnalyticImage | None = None,
) -> Defects:
    """How far the scale channels of the jet layers of an image and of its scaled copy differ, before pooling.

    Channel i of the image is compared with channel i + j of the copy scaled by S = ratio^j, at all points that are
    pixels in both (if S is no integer, the centre alone, of several moved copies of the image). The scaled copy gets a
    canvas as much larger: what is compared is the scaled whole. float64, evaluation mode, on a copy of the module.

    Args:
        module: A network with one `ScaleLift`.
        input_shape: [B, C, *spatial], odd sizes.
        scale_factor: S, a power of the grid's ratio; by default the smallest integer one, else the ratio itself.
        image: By default random blobs.

    Raises:
        ValueError: If there is no scale grid, S is no power of its ratio within it, or features have an even size.
    """
    grid = scale_grid(module)
    factor, steps = scale_steps(grid, scale_factor)
    picture = image or AnalyticImage.random(len(input_shape) - 2)
    first, second = pair(module, input_shape, factor, picture, min(input_shape[2:]) / 2)
    return Defects(
        factor,
        {path: end_to_end(seen, second[path], factor, steps) for path, seen in first.items() if path in second},
        {path: rows for path, seen in second.items() if (rows := compare_alone(seen, first.get(path), factor, steps))},
        arithmetic_floors(first),
    )


def pair(
    module: nn.Module, shape: Sequence[int], factor: float, image: AnalyticImage, unit: float
) -> tuple[dict[str, Observation], dict[str, Observation]]:
    """What the layers see of an image and of its scaled copy."""
    large = enlarged(shape, factor)
    sample = image.sample if abs(factor - round(factor)) < 1e-9 else image.several
    first, _ = observe(module, sample(shape, 1.0, unit))
    second, _ = observe(module, sample(large, factor, unit))
    return first, second


def enlarged(shape: Sequence[int], factor: float) -> list[int]:
    """Shape [B, C, *spatial] of the scaled copy: odd sizes, both members share the middle pixel."""
    return [*shape[:2], *(2 * math.ceil(factor * (n - 1) / 2) + 1 for n in shape[2:])]


def end_to_end(small: Observation, large: Observation, factor: float, steps: int) -> list[float]:
    """Relative defects of one layer's output, one per pair of scale channels."""
    a, b = _matched(small.output, large.output, factor)
    pairs = []
    for i in range(len(a) - steps):
        size = float(a[i].abs().max()) or 1.0
        pairs.append(float((b[i + steps] - a[i]).abs().max()) / size)
    return pairs


def compare_alone(
    large: Observation, small: Observation | None, factor: float, steps: int, pairs: Sequence[int] | None = None
) -> list[LayerDefect]:
    """One layer by itself on the features of the scaled copy, in the pairs asked for (all); empty without a bound.

    Args:
        large: What it saw of the scaled copy.
        small: What it saw of the image.
        factor: S.
        steps: Scale channel i of the image goes with i + steps of the copy.
        pairs: The i.
    """
    whole = round(factor)
    if small is None or small.sigmas is None or abs(factor - whole) > 1e-9:
        return []
    layer, ndim = large.layer, large.layer.ndim
    spatial = small.features.shape[-ndim:]
    restricted = restrict(large.features, spatial, whole)
    expected = restrict(large.output, small.output.shape[-ndim:], whole)
    if restricted is None or expected is None:
        return []
    # Scale channel i + j of the copy, seen on the coarse grid, goes where scale channel i looks.
    features = torch.cat([restricted[steps:], small.features[len(small.features) - steps :]])
    actual = small.again(features)
    rows = []
    for i in range(len(features) - steps) if pairs is None else pairs:
        bound = commutation_bound(layer, large.features[i + steps], spatial, small.sigma(i), whole)
        if bound is None:
            return []
        gain = float(whole) ** bound.weight
        difference = (expected[i + steps] - gain * actual[i]).abs()
        size = float(expected[i + steps].abs().max()) or 1.0
        limit = bound.total.expand_as(difference)
        excess = torch.where(difference > 0, difference / limit, 0.0)
        rows.append(LayerDefect(float(difference.max()) / size, float(limit.max()) / size, float(excess.max())))
    return rows


def arithmetic_floors(seen: dict[str, Observation], *, truncation: bool = True) -> dict[str, float]:
    """Arithmetic errors relative to the features, added up in the order of use (none is carried on amplified)."""
    total, floors = 0.0, {}
    for path, one in seen.items():
        worst = 0.0
        for i in range(len(one.output)):
            size = float(one.output[i].abs().max())
            if size > 0:
                features = float(one.features[i].abs().max())
                error = rounding_bound(one.layer, features, one.sigma(i), one.spatial, truncation=truncation)
                worst = max(worst, error / size)
        # Both members of the pair err.
        total += 2 * worst
        floors[path] = total
    return floors


def scale_steps(grid: ScaleGrid, factor: float | None) -> tuple[float, int]:
    """(S, j) with S = ratio^j; by default the smallest integer power, else the ratio.

    Raises:
        ValueError: If there is one scale channel, or S is no such power.
    """
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
