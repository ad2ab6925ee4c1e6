"""What a report shows besides the verdict: defects of a network's layers against sigma and scale factor, with bounds.

Unlike `numeric`, the sigmas of the scaled copy's grid are multiplied by S, so every scale channel has a partner for
every integer S.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import nn

from .convergence import smoothing_room
from .images import AnalyticImage
from .numeric import compare_alone, end_to_end
from .observe import Observation, observe, scale_grid, scaled_copy

FACTORS = (2, 3, 4)
SIDES = {1: 129, 2: 41, 3: 9}
"""Largest canvas of the image per number of axes; the scaled copy is S times as large."""
ROOMS = {1: 256, 2: 48, 3: 6}
"""Largest room for the smoothings on each side of it, where every scale channel is measured."""


@dataclass(frozen=True)
class Point:
    """One layer in one scale channel.

    Attributes:
        layer: Path.
        sigma: Of the layer, pixels (the largest, if channels differ).
        factor: S.
        network: Relative defect of the network up to the layer.
        alone: Relative defect of the layer alone, None if it cannot be told.
        bound: Derived bound on `alone`, None if it was not computed.
    """

    layer: str
    sigma: float
    factor: int
    network: float
    alone: float | None
    bound: float | None


def measure(module: nn.Module, input_shape: Sequence[int], image: AnalyticImage | None = None) -> dict[str, Any]:
    """Numbers for a report, plain JSON.

    Args:
        module: The network.
        input_shape: [B, C, *spatial]; sizes are cut to odd ones of at most `SIDES`.
        image: By default random blobs.

    Returns:
        {"shape", "points", "reason"}: every scale channel at S = 2 with room around the image, the finest one at all
        `FACTORS`; no points and a reason where the network cannot be measured.
    """
    ndim = len(input_shape) - 2
    shape = [1, input_shape[1], *(min(n - (n % 2 == 0), SIDES[ndim]) for n in input_shape[2:])]
    try:
        points = _points(module, shape, image or AnalyticImage.random(ndim))
    except Exception as error:  # a report must come out whatever a network does with another image
        message = ": ".join([type(error).__name__, *str(error).splitlines()[:1]])
        return {"shape": shape, "points": [], "reason": message}
    reason = "" if points else "no jet layer is used with the scale channels' sigmas"
    return {"shape": shape, "points": [vars(point) for point in points], "reason": reason}


def _points(module: nn.Module, shape: list[int], image: AnalyticImage) -> list[Point]:
    n_scales = scale_grid(module, "measure").n_scales
    points: list[Point] = []
    for factor in FACTORS:
        every = factor == FACTORS[0]
        room = min(smoothing_room(module, shape, 0, image), ROOMS[len(shape) - 2]) if every else 0
        wide = [*shape[:2], *(n + 2 * room for n in shape[2:])]
        fine = [*shape[:2], *(factor * (n - 1) + 1 for n in wide[2:])]
        unit = min(shape[2:]) / 2
        small, _ = observe(module, image.sample(wide, 1.0, unit))
        large, _ = observe(scaled_copy(module, factor), image.sample(fine, factor, unit))
        for path, one in small.items():
            if path not in large or one.sigmas is None:
                continue
            whole = end_to_end(one, large[path], factor, 0)
            for i in range(n_scales if every else 1):
                points.append(_point(path, i, factor, whole[i], one, large[path]))
    return points


def _point(path: str, i: int, factor: int, whole: float, small: Observation, large: Observation) -> Point:
    alone = compare_alone(large, small, factor, 0, [i])
    return Point(
        path,
        float(small.sigma(i).max()),
        factor,
        whole,
        alone[0].defect if alone else None,
        alone[0].bound if alone else None,
    )
