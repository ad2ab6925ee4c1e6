"""The order at which the defect of a network falls, and the two assertions about a network's numbers.

All lengths of an experiment (image, canvas, finest sigma) are doubled again and again. In the continuum nothing
changes, so a covariant network's defect falls with the order of its discretisation, 2 or more, down to rounding and
truncation.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..layers import _GaussianJetConv
from ..scale_axis import ReadOut
from ..scales import ScaleGrid
from .images import SHIFTS, AnalyticImage
from .numeric import arithmetic_floors, covariance_defect, end_to_end, enlarged, pair, scale_steps
from .observe import observe, scale_grid, scaled_copy

ORDER = 2
"""Every discretisation of a jet is of this order in 1 / sigma, or better."""
DECIDED = 1.5
"""Defects fall with integer orders, but for what kinks of an activation do between pixels: 2 is told from 1 halfway."""
SIDE, PIXELS = 2**10, 2**18
"""Of the largest image of an experiment: lengths are doubled again while an order is in doubt and neither reached."""
TAIL = 3.0
"""Room around the image, in standard deviations of all smoothings together: exp(-4.5) of the features are left."""


@dataclass(frozen=True)
class Convergence:
    """Defects of one quantity with all lengths times 1, 2, 4, ...

    Attributes:
        defects: One a refinement.
        floor: Below which they mean nothing.
        sampling: One a refinement: how much of the defect, more or less, where the pixels happen to lie can make up.
    """

    defects: tuple[float, ...]
    floor: float
    sampling: tuple[float, ...] = ()

    @property
    def order(self) -> float:
        """Mean order over all refinements; infinite from the floor on."""
        by_chance = self.sampling or (0.0,)
        first, last = self.defects[0] + by_chance[0], self.defects[-1] - by_chance[-1]
        if last <= self.floor:
            return math.inf
        return math.log2(first / last) / (len(self.defects) - 1) if first > 0 and len(self.defects) > 1 else 0.0

    @property
    def holds(self) -> bool:
        """Whether the order is 2 or more, or nothing is left to fall."""
        return self.order >= DECIDED

    @property
    def settled(self) -> bool:
        """Whether it holds, and not for want of pixels only."""
        return self.holds and not self.floor < self.defects[-1] <= max(self.sampling[-1:], default=0.0)


def half_canvas(shape: Sequence[int], image: AnalyticImage) -> float:
    """Pixels of the image's unit: half the canvas, or as many as keep what sampling folds off the image's mean.

    Sampled on pixels, frequency w is seen as w - 2 pi as well; behind large sigmas little but the mean is left, and
    what is folded onto it is no defect of the network.
    """
    return max(min(shape[2:]) / 2, image.band / (2 * math.pi))


def smoothing_room(module: nn.Module, shape: Sequence[int], steps: int, image: AnalyticImage) -> int:
    """Pixels around the canvas so that neither image nor smoothings reach the border, which two grids see apart.

    The canvas becomes a multiple of 8 plus one: centred strides keep a middle pixel.
    """
    grid = scale_grid(module)
    coarsest = torch.tensor([grid.sigmas[grid.n_scales - 1 - steps]], dtype=torch.float64)
    variance = sum(
        float(m._sigma(coarsest).detach().max()) ** 2 for m in module.modules() if isinstance(m, _GaussianJetConv)
    )
    moved = max(max(map(abs, shift)) for shift in SHIFTS)
    ends = (image.reach + moved) * half_canvas(shape, image) + TAIL * math.sqrt(variance)
    room = math.ceil(max(0.0, ends - min(shape[2:]) / 2))
    return room + (-((min(shape[2:]) - 1) // 2 + room)) % 4


def between_pixels(features: Tensor) -> Tensor:
    """How far the maximum over the plane may lie above that over its pixels: [S, B, C, *spatial] -> [S, B, C].

    For f concave around its maximum at x, and p the pixel next to x, f(x) + f(2 p - x) <= 2 f(p); half a pixel from p
    f is at least (f(p) + f(q)) / 2 with q one of the 3^N pixels around p: f(x) <= f(p) + (f(p) - min_q f(q)) / 2.
    """
    ndim = features.ndim - 3
    pool = (F.max_pool1d, F.max_pool2d, F.max_pool3d)[ndim - 1]
    lowest: Tensor = -pool(-features.flatten(0, 1), 3, 1, 1).unflatten(0, features.shape[:2])
    axes = tuple(range(3, features.ndim))
    highest: Tensor = (features + (features - lowest) / 2).amax(axes)
    return highest - features.amax(axes)


def _sampling_effect(module: nn.Module, image: Tensor, output: Tensor) -> float:
    """By how much the output changes if every maximum over space is that between the pixels."""
    duplicate = scaled_copy(module)
    maxima = [m for m in duplicate.modules() if isinstance(m, ReadOut) and m.kind == "max"]
    for m in maxima:
        m.register_forward_hook(lambda _, args, out: out + between_pixels(args[0]))
    if not maxima:
        return 0.0
    with torch.no_grad():
        return float((duplicate(image.double()) - output).abs().max())


def _refined(shape: Sequence[int], room: int, refine: int) -> list[int]:
    return [*shape[:2], *(refine * (n - 1 + 2 * room) + 1 for n in shape[2:])]


def _refinements(
    shape: Sequence[int], room: int, factor: float, measure: Callable[[list[int], int], dict[str, tuple[float, ...]]]
) -> dict[str, Convergence]:
    """Double all lengths at least once, and again while an order is in doubt and the image not too large.

    `measure` gives a defect, its floor, and what sampling can make up of it, by path.
    """
    rows: dict[str, list[tuple[float, float]]] = {}
    floors: dict[str, float] = {}
    found: dict[str, Convergence] = {}
    refine = 1
    while True:
        size = _refined(shape, room, refine)
        for path, (defect, floor, sampling) in measure(size, refine).items():
            rows.setdefault(path, []).append((defect, sampling))
            floors[path] = max(floor, floors.get(path, 0.0))
        for path, row in rows.items():
            defects, chances = zip(*row, strict=True)
            found[path] = Convergence(defects, floors[path], chances)
        refine *= 2
        sides = [math.ceil(factor * n) for n in _refined(shape, room, refine)[2:]]
        large = max(sides) > SIDE or math.prod(sides) > PIXELS
        if refine > 2 and (large or all(x.settled for x in found.values())):
            return found


def convergence(
    module: nn.Module,
    input_shape: Sequence[int],
    scale_factor: float | None = None,
    *,
    image: AnalyticImage | None = None,
) -> dict[str, Convergence]:
    """How the end-to-end defect of every jet layer falls when image, canvas and finest sigma are doubled.

    Args:
        module: See `covariance_defect`, like all that follow.
        input_shape: The image's canvas; room for the smoothings is added around it, and more where so few pixels
            would not resolve the image.
        scale_factor: See there.
        image: See there.
    """
    factor, steps = scale_steps(scale_grid(module), scale_factor)
    picture = image or AnalyticImage.random(len(input_shape) - 2)

    def measure(shape: list[int], refine: int) -> dict[str, tuple[float, ...]]:
        unit = refine * half_canvas(input_shape, picture)
        first, second = pair(scaled_copy(module, refine), shape, factor, picture, unit)
        floors = arithmetic_floors(first)
        return {
            path: (max(end_to_end(seen, second[path], factor, steps)), floors[path], 0.0)
            for path, seen in first.items()
            if path in second
        }

    return _refinements(input_shape, smoothing_room(module, input_shape, steps, picture), factor, measure)


def assert_scale_covariant(
    module: nn.Module,
    input_shape: Sequence[int],
    scale_factor: float | None = None,
    *,
    image: AnalyticImage | None = None,
) -> None:
    """Raise AssertionError unless every jet layer keeps its bound and the network's defects fall with order 2.

    Arguments as in `covariance_defect`; where the default factor is not the ratio, neighbouring scale channels are
    compared as well. Use a finest sigma of about 1 or more, for volumes, which are refined once only, 2 or more:
    the order is that of large sigma. A slope proves nothing (a 3-tap average falls with order 2 as well): `certify`
    does.
    """
    for factor in _factors(scale_grid(module), scale_factor):
        _assert_covariant(module, input_shape, factor, image)


def _factors(grid: ScaleGrid, factor: float | None) -> list[float]:
    """The factor asked for; by default the smallest integer one, and the ratio: it links all scale channels."""
    first, steps = scale_steps(grid, factor)
    return [first] if factor is not None or steps == 1 else [first, grid.ratio]


def _assert_covariant(
    module: nn.Module, input_shape: Sequence[int], scale_factor: float, image: AnalyticImage | None
) -> None:
    alone = covariance_defect(module, input_shape, scale_factor, image=image)
    for path, pairs in alone.alone.items():
        for i, one in enumerate(pairs):
            if not one.excess <= 1:
                raise AssertionError(
                    f"scale covariance: layer {path} alone has a relative defect of {one.defect:.3g} at factor "
                    f"{alone.scale_factor:g} in scale channel {i}, {one.excess:.3g} times its bound"
                )
    for path, found in convergence(module, input_shape, scale_factor, image=image).items():
        if not found.holds:
            defects = ", ".join(f"{x:.3g}" for x in found.defects)
            raise AssertionError(
                f"scale covariance: layer {path} has relative defects of {defects} at factor {alone.scale_factor:g}, "
                f"each on a grid twice as fine: order {found.order:.2f} instead of {ORDER}"
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
    difference must fall with order 2 when all lengths are doubled, but for what a `ReadOut` of the maximum misses
    between the pixels (`between_pixels`). Arguments as in `covariance_defect`.
    """
    factor, _ = scale_steps(scale_grid(module), scale_factor)
    picture = image or AnalyticImage.random(len(input_shape) - 2)

    def measure(shape: list[int], refine: int) -> dict[str, tuple[float, ...]]:
        unit = refine * half_canvas(input_shape, picture)
        large = enlarged(shape, factor)
        small_network, large_network = scaled_copy(module, refine), scaled_copy(module, refine * factor)
        small_image, large_image = picture.several(shape, 1.0, unit), picture.several(large, factor, unit)
        first, a = observe(small_network, small_image)
        _, b = observe(large_network, large_image)
        if a.shape != b.shape:
            raise AssertionError(
                f"scale invariance: the output keeps a spatial axis, {list(a.shape)} and {list(b.shape)}"
            )
        size = float(a.abs().max()) or 1.0
        features = max((float(one.output.abs().max()) for one in first.values()), default=size)
        floor = max(arithmetic_floors(first).values(), default=0.0) * max(1.0, features / size)
        sampling = _sampling_effect(small_network, small_image, a) + _sampling_effect(large_network, large_image, b)
        return {"output": (float((a - b).abs().max()) / size, floor, sampling / size)}

    room = smoothing_room(module, input_shape, 0, picture)
    found = _refinements(input_shape, room, factor, measure)["output"]
    if not found.holds:
        defects = ", ".join(f"{x:.3g}" for x in found.defects)
        raise AssertionError(
            f"scale invariance: the output changes by {defects} at factor {factor:g}, each on a grid twice as fine: "
            f"order {found.order:.2f} instead of {ORDER}"
        )
