"""Pieces of random networks: blocks that keep covariance, and defects that break it, each a small module.

`properties` draws from them; every block takes ([S, B, C, *spatial], sigmas).
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from ..layers import GaussianJetConv1d, GaussianJetConv2d, GaussianJetConv3d
from ..scale_axis import EachScale, ReadOut, ScaleLift, ScalePool, ScaleSequential
from ..scales import ScaleGrid

LAYERS: dict[int, Any] = {1: GaussianJetConv1d, 2: GaussianJetConv2d, 3: GaussianJetConv3d}
NORMS: dict[int, Any] = {1: nn.BatchNorm1d, 2: nn.BatchNorm2d, 3: nn.BatchNorm3d}
CONVOLUTIONS: dict[int, Any] = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}
MAXIMA: dict[int, Any] = {1: nn.MaxPool1d, 2: nn.MaxPool2d, 3: nn.MaxPool3d}
AVERAGES: dict[int, Any] = {1: nn.AvgPool1d, 2: nn.AvgPool2d, 3: nn.AvgPool3d}
INSTANCE_NORMS: dict[int, Any] = {1: nn.InstanceNorm1d, 2: nn.InstanceNorm2d, 3: nn.InstanceNorm3d}


class Residual(nn.Module):
    """x + block(x), x through a 1x1 convolution where the number of channels changes."""

    def __init__(self, block: nn.Module, shortcut: nn.Module | None = None) -> None:
        super().__init__()
        self.block = block
        self.shortcut = shortcut or nn.Identity()

    def forward(self, features: Tensor, sigmas: Tensor) -> Tensor:
        """[S, B, C, *spatial], [S] -> the same."""
        output: Tensor = self.shortcut(features) + self.block(features, sigmas)
        return output


class Branches(nn.Module):
    """Two blocks side by side, concatenated or multiplied."""

    def __init__(self, first: nn.Module, second: nn.Module, product: bool) -> None:
        super().__init__()
        self.first, self.second, self.product = first, second, product

    def forward(self, features: Tensor, sigmas: Tensor) -> Tensor:
        """[S, B, C, *spatial], [S] -> the same, twice the channels where concatenated."""
        a, b = self.first(features, sigmas), self.second(features, sigmas)
        return torch.tanh(a) * b if self.product else torch.cat([a, b], 2)


class RandomNetwork(nn.Module):
    """Lift, blocks, read-out and pooling over scales.

    Attributes:
        defect: Name of what was planted, "" for none.
    """

    def __init__(self, grid: ScaleGrid, body: list[nn.Module], read_out: Any, pooling: Any) -> None:
        super().__init__()
        self.lift, self.body = ScaleLift(grid), ScaleSequential(*body)
        self.head = nn.Sequential(ReadOut(read_out), ScalePool(pooling))
        self.defect = ""

    def forward(self, image: Tensor) -> Tensor:
        """[B, 1, *spatial] -> [B, C]."""
        output: Tensor = self.head(self.body(*self.lift(image)))
        return output


class Detuned(nn.Module):
    """A layer whose sigma is off by a factor in one scale channel."""

    def __init__(self, layer: nn.Module, scale_channel: int, factor: float) -> None:
        super().__init__()
        self.layer, self.scale_channel, self.factor = layer, scale_channel, factor

    def forward(self, features: Tensor, sigmas: Tensor) -> Tensor:
        """As the layer."""
        change = torch.ones_like(sigmas)
        change[self.scale_channel] = self.factor
        output: Tensor = self.layer(features, sigmas * change)
        return output


class Gain(nn.Module):
    """Another factor in every scale channel."""

    def __init__(self, n_scales: int, ndim: int) -> None:
        super().__init__()
        self.gain = nn.Parameter((1 + torch.arange(n_scales) % 2).view(-1, *(1,) * (ndim + 2)).float())

    def forward(self, features: Tensor) -> Tensor:
        """[S, B, C, *spatial] -> the same."""
        return features * self.gain


class Ramp(nn.Module):
    """Brighter to the right."""

    def forward(self, features: Tensor) -> Tensor:
        """[S, B, C, *spatial] -> the same."""
        n = features.shape[-1]
        return features * (1 + torch.arange(n, dtype=features.dtype, device=features.device) / n)


class Roll(nn.Module):
    """One pixel to the right, in the finest scale channel's features as in all."""

    def forward(self, features: Tensor) -> Tensor:
        """[S, B, C, *spatial] -> the same."""
        return features.roll(1, -1)


class Aside(nn.Module):
    """Read `pixels` beside the centre of the last axis."""

    def __init__(self, pixels: int) -> None:
        super().__init__()
        self.pixels = pixels

    def forward(self, features: Tensor) -> Tensor:
        """[S, B, C, *spatial] -> [S, B, C]."""
        features = features[..., features.shape[-1] // 2 + self.pixels]
        while features.ndim > 3:
            features = features[..., features.shape[-1] // 2]
        return features


def _inside(make: Callable[[RandomNetwork, int, int], nn.Module]) -> Callable[[RandomNetwork, int, int, int], None]:
    """A defect that is a module of its own, inserted behind a block."""

    def plant(network: RandomNetwork, ndim: int, width: int, place: int) -> None:
        network.body.insert(place, make(network, ndim, width))

    return plant


def _detune(network: RandomNetwork, ndim: int, width: int, place: int) -> None:
    layer = LAYERS[ndim](width, width)
    network.body.insert(place, Detuned(layer, place % network.lift.grid.n_scales, 1.1))


def _read_aside(network: RandomNetwork, ndim: int, width: int, place: int) -> None:
    network.head[0] = Aside(1 if place % 2 else -1)


DEFECTS: dict[str, Callable[[RandomNetwork, int, int, int], None]] = {
    "window maximum": _inside(lambda n, ndim, width: EachScale(MAXIMA[ndim](3, 1, 1))),
    "window average": _inside(lambda n, ndim, width: EachScale(AVERAGES[ndim](3, 1, 1))),
    "fixed convolution": _inside(lambda n, ndim, width: EachScale(CONVOLUTIONS[ndim](width, width, 3, padding=1))),
    "fixed sigma": _inside(lambda n, ndim, width: EachScale(LAYERS[ndim](width, width, relative_sigma=1.3))),
    "mixed orders": _inside(lambda n, ndim, width: LAYERS[ndim](width, width, norm_power=0.5)),
    "sigma off in one scale channel": _detune,
    "weights not shared": _inside(lambda n, ndim, width: Gain(n.lift.grid.n_scales, ndim)),
    "position": _inside(lambda n, ndim, width: Ramp()),
    "roll by a pixel": _inside(lambda n, ndim, width: Roll()),
    "read beside the centre": _read_aside,
    "instance norm": _inside(lambda n, ndim, width: EachScale(INSTANCE_NORMS[ndim](width))),
}
"""Name: plant(network, ndim, width, place) changes the network in place, with a module of `width` channels."""
