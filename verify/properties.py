"""hypothesis strategies: scale grids, analytic images and random networks, right or with one planted defect."""

from typing import Any

import torch
from hypothesis import strategies as st
from torch import Tensor, nn

from ..layers import GaussianJetConv1d, GaussianJetConv2d, GaussianJetConv3d
from ..scale_axis import EachScale, ReadOut, ScaleLift, ScalePool, ScaleSequential
from ..scales import ScaleGrid
from .images import AnalyticImage

LAYERS: dict[int, Any] = {1: GaussianJetConv1d, 2: GaussianJetConv2d, 3: GaussianJetConv3d}
NORMS: dict[int, Any] = {1: nn.BatchNorm1d, 2: nn.BatchNorm2d, 3: nn.BatchNorm3d}
WINDOWS: dict[int, Any] = {1: nn.MaxPool1d, 2: nn.MaxPool2d, 3: nn.MaxPool3d}
AVERAGES: dict[int, Any] = {1: nn.AvgPool1d, 2: nn.AvgPool2d, 3: nn.AvgPool3d}


class RandomNetwork(nn.Module):
    """Lift, a sequence of modules, read-out and pooling over scales."""

    def __init__(self, grid: ScaleGrid, body: list[nn.Module], read_out: Any, pooling: Any) -> None:
        super().__init__()
        self.lift, self.body = ScaleLift(grid), ScaleSequential(*body)
        self.head = nn.Sequential(ReadOut(read_out), ScalePool(pooling))

    def forward(self, image: Tensor) -> Tensor:
        """[B, 1, *spatial] -> [B, C]."""
        output: Tensor = self.head(self.body(*self.lift(image)))
        return output


def scale_grids(low: float = 1.0) -> st.SearchStrategy[ScaleGrid]:
    """Grids of 3 or 4 scale channels whose ratio has 2 among its powers, finest sigma `low` to 1.5 `low`."""
    return st.builds(
        ScaleGrid, st.floats(low, 1.5 * low), st.sampled_from([2**0.5, 2.0]), st.integers(3, 4)
    )  # fmt: skip


def images(ndim: int = 2) -> st.SearchStrategy[AnalyticImage]:
    """Blobs and windowed waves."""
    return st.builds(
        AnalyticImage.random, st.just(ndim), st.integers(0, 2**16), st.integers(1, 4), st.integers(0, 6)
    )  # fmt: skip


@st.composite
def networks(draw: Any, ndim: int = 2, planted: bool = False) -> RandomNetwork:
    """Random networks, scale invariant by construction; with `planted`, one module breaks that."""
    torch.manual_seed(draw(st.integers(0, 2**16)))
    grid, width, depth = draw(scale_grids()), draw(st.integers(1, 4)), draw(st.integers(1, 3))
    body: list[nn.Module] = []
    channels = 1
    for _ in range(depth):
        body.append(
            LAYERS[ndim](
                channels,
                width,
                order=draw(st.integers(1, 2)),
                zero_order=draw(st.booleans()),
                relative_sigma=draw(st.floats(1.0, 1.5)),
                learn_sigma=draw(st.sampled_from([None, "layer"])),
                border=draw(st.sampled_from(["symmetric", "circular"])),
            )
        )
        if draw(st.booleans()):
            body.append(EachScale(NORMS[ndim](width)))
        body.append(draw(st.sampled_from([nn.ReLU, nn.GELU, nn.Tanh]))())
        channels = width
    if planted:
        defect = draw(st.sampled_from([WINDOWS, AVERAGES, LAYERS]))
        module = LAYERS[ndim](width, width, relative_sigma=1.3) if defect is LAYERS else defect[ndim](3, 1, 1)
        body.insert(draw(st.integers(1, len(body))), EachScale(module))
    return RandomNetwork(grid, body, draw(st.sampled_from(["centre", "max"])), draw(st.sampled_from(["max", "mean"])))
