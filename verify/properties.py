"""hypothesis strategies: images, scale grids and factors, layers, and networks, right or with one planted defect.

Exported as `gdtriton.verify.strategies`.
"""

from typing import Any

import torch
from hypothesis import strategies as st
from torch import nn

from ..operators import BORDERS
from ..scale_axis import EachScale, ReadOut, ScaleSequential
from ..scales import ScaleGrid
from ..taps import DISCRETISATIONS
from .images import AnalyticImage
from .random_networks import CONVOLUTIONS, DEFECTS, LAYERS, NORMS, Branches, RandomNetwork, Residual

ACTIVATIONS = {"relu": nn.ReLU, "gelu": nn.GELU, "tanh": nn.Tanh, "softplus": nn.Softplus, "elu": nn.ELU}
KEEPS_ZERO = ("relu", "gelu", "tanh", "elu")


def scale_grids(low: float = 1.0, n_scales: tuple[int, int] = (3, 4)) -> st.SearchStrategy[ScaleGrid]:
    """Grids whose ratio has 2 among its powers, finest sigma `low` to 1.5 `low`."""
    return st.builds(
        ScaleGrid, st.floats(low, 1.5 * low), st.sampled_from([2**0.5, 2.0]), st.integers(*n_scales)
    )  # fmt: skip


def scale_factors(grid: ScaleGrid) -> st.SearchStrategy[float]:
    """Powers of the grid's ratio that leave a pair of scale channels."""
    return st.integers(1, grid.n_scales - 1).map(lambda j: grid.ratio**j)


def images(ndim: int = 2) -> st.SearchStrategy[AnalyticImage]:
    """Gaussian blobs with windowed waves, or band-limited noise, anywhere near the centre."""
    # Whoever flushes subnormal numbers, as torch.set_flush_denormal does, has none to draw.
    moved = st.tuples(*[st.floats(-0.1, 0.1, allow_subnormal=False)] * ndim)
    sums = st.builds(AnalyticImage.random, st.just(ndim), st.integers(0, 2**16), st.integers(1, 4), st.integers(0, 6))
    noise = st.builds(AnalyticImage.noise, st.just(ndim), st.integers(0, 2**16), st.floats(4.0, 10.0))
    return st.builds(AnalyticImage.shifted, st.one_of(sums, noise), moved)


@st.composite
def layers(
    draw: Any, ndim: int = 2, in_channels: int = 1, out_channels: int = 1, *, max_order: int = 3, black: bool = False
) -> nn.Module:
    """A jet layer with everything but its channels drawn, sigmas included; float32, weights from torch's generator.

    Args:
        draw: Given by hypothesis.
        ndim: 1, 2 or 3.
        in_channels: C_in.
        out_channels: C_out.
        max_order: Largest order of derivatives.
        black: Keep a black background black: no bias; then the border may be "zero" too.
    """
    layer: nn.Module = LAYERS[ndim](
        in_channels,
        out_channels,
        order=draw(st.integers(1, max_order)),
        zero_order=draw(st.booleans()),
        bias=not black and draw(st.booleans()),
        groups=draw(st.sampled_from([g for g in (1, 2, 3) if in_channels % g == 0 and out_channels % g == 0])),
        relative_sigma=draw(st.floats(1.0, 1.5)),
        learn_sigma=draw(st.sampled_from([None, "layer", "input", "output"])),
        discretisation=draw(st.sampled_from(DISCRETISATIONS)),
        border=draw(st.sampled_from(BORDERS if black else ("symmetric", "circular"))),
    )
    learned = layer.log_relative_sigma
    if isinstance(learned, torch.Tensor):
        with torch.no_grad():
            learned.add_(0.3 * torch.rand(learned.shape))
    if isinstance(layer.bias, torch.Tensor):
        nn.init.normal_(layer.bias, std=0.2)
    return layer


@st.composite
def networks(draw: Any, ndim: int = 2, planted: bool | str = False, *, max_depth: int = 3) -> RandomNetwork:
    """A random network, scale invariant by construction on a fixed canvas, or with one defect.

    Plain, residual, branching, gated and depthwise-separable blocks; all discretisations and borders; batch norm with
    statistics of its own; learned sigmas.

    Args:
        draw: Given by hypothesis.
        ndim: 1, 2 or 3.
        planted: True for one of `random_networks.DEFECTS`, or the name of one; it is the network's `.defect`.
        max_depth: Largest number of blocks.
    """
    torch.manual_seed(draw(st.integers(0, 2**16)))
    small = ndim == 3
    grid = draw(scale_grids(2.0, (2, 2)) if small else scale_grids())
    if small:  # a volume cannot be refined far: its finest sigma is where the order shows at once
        grid = ScaleGrid(grid.sigma_0, 2.0, 2)
    width, depth = draw(st.integers(1, 2 if small else 3)), draw(st.integers(1, 2 if small else max_depth))
    black = draw(st.booleans())
    body: list[nn.Module] = []
    channels = 1
    widths = []
    for _ in range(depth):
        block, channels = draw(_blocks(ndim, channels, width, black))
        body.append(block)
        widths.append(channels)
    network = RandomNetwork(
        grid, body, draw(st.sampled_from(["centre", "max"])), draw(st.sampled_from(["max", "mean", "logsumexp"]))
    )
    if planted:
        name = planted if isinstance(planted, str) else draw(st.sampled_from(sorted(DEFECTS)))
        place = draw(st.integers(1, depth))
        network.head[0] = ReadOut("centre")
        # A layer behind it, since a maximum does not care about a shift, nor one pixel about its neighbours.
        network.body.append(LAYERS[ndim](channels, 2, zero_order=True))
        DEFECTS[name](network, ndim, widths[place - 1], place)
        network.defect = name
    return network


@st.composite
def _blocks(draw: Any, ndim: int, channels: int, width: int, black: bool) -> tuple[nn.Module, int]:
    """A block and the channels that it leaves."""
    kind = draw(st.sampled_from(["plain", "plain", "residual", "branches", "gate", "separable"]))
    if kind == "residual":
        shortcut = EachScale(CONVOLUTIONS[ndim](channels, width, 1, bias=not black)) if channels != width else None
        return Residual(draw(_plain(ndim, channels, width, black)), shortcut), width
    if kind in ("branches", "gate"):
        first, second = (draw(_plain(ndim, channels, width, black)) for _ in range(2))
        return Branches(first, second, product=kind == "gate"), width if kind == "gate" else 2 * width
    if kind == "separable":
        mix = EachScale(CONVOLUTIONS[ndim](channels, width, 1, bias=not black))
        return ScaleSequential(draw(_plain(ndim, channels, channels, black)), mix), width
    return draw(_plain(ndim, channels, width, black)), width


@st.composite
def _plain(draw: Any, ndim: int, channels: int, width: int, black: bool) -> nn.Module:
    """Jet layer, batch norm or not, activation."""
    parts: list[nn.Module] = [draw(layers(ndim, channels, width, max_order=2, black=black))]
    if not black and draw(st.booleans()):
        norm = NORMS[ndim](width)
        with torch.no_grad():
            norm.running_mean.normal_(std=0.2)
            norm.running_var.uniform_(0.5, 2.0)
        parts.append(EachScale(norm))
    parts.append(ACTIVATIONS[draw(st.sampled_from(KEEPS_ZERO if black else tuple(ACTIVATIONS)))]())
    return ScaleSequential(*parts)
