"""A Gaussian derivative residual network, after Perzanowski and Lindeberg 2026.

What the abstract of the paper gives: a cascade of scale-covariant residual blocks, each of Gaussian derivative layers
and a skip; scale channels with shared weights; a depthwise-separable variant with fewer parameters. Numbers of layers,
channels and scales, and the order of layer, batch norm and ReLU, are our choice:

- a stem of one Gaussian derivative layer, blocks of two, and a linear map of every pixel's channels to the classes;
- a block computes ReLU(skip(x) + norm(layer_2(ReLU(norm(layer_1(x)))))), with the identity for skip, or a 1 x 1
  convolution where the number of channels changes;
- the relative sigma grows by `layer_ratio` from one Gaussian derivative layer to the next, whatever block it is in;
- separable: the jet of every channel is mixed to one number (a layer with groups = channels), then the channels are
  mixed by a 1 x 1 convolution, in both layers of a block.

Scale covariance: skip and residual are taken at the same scale, and pixelwise maps commute with scaling, so a block is
covariant because its two layers are. There is no stride, so no grid is involved.
"""

from dataclasses import dataclass
from typing import Literal

from torch import Tensor, nn

from ..layers import GaussianJetConv2d
from ..operators import Border
from ..scale_axis import EachScale, ScaleLift, ScaleSequential
from ..scales import ScaleGrid
from .parts import check_config, scale_head


@dataclass(frozen=True, kw_only=True)
class GaussDerResNetConfig:
    """A Gaussian derivative residual network in numbers.

    Args:
        channels: Feature channels of the stem, then of every residual block.
        sigma_0: Finest initial scale in pixels.
        ratio: Ratio of neighbouring scale channels.
        n_scales: Number of scale channels.
        layer_ratio: Ratio of the sigmas of neighbouring Gaussian derivative layers.
        separable: Whether the layers of blocks are depthwise-separable.
        in_channels: Channels of the image.
        n_classes: Number of logits.
        order: Highest order of derivatives.
        border: "symmetric", "zero" or "circular".
        read_out: Over space: "centre", "max" or "mean".
        pooling: Over scale channels: "max", "mean" or "logsumexp".
        scale_dropout: Probability of dropping a scale channel in training.
    """

    channels: tuple[int, ...]
    sigma_0: float = 2**-0.5
    ratio: float = 2**0.5
    n_scales: int = 8
    layer_ratio: float = 1.2
    separable: bool = False
    in_channels: int = 1
    n_classes: int = 10
    order: int = 2
    border: Border = "symmetric"
    read_out: Literal["centre", "max", "mean"] = "centre"
    pooling: Literal["max", "mean", "logsumexp"] = "max"
    scale_dropout: float = 0.0

    def __post_init__(self) -> None:
        check_config(self)

    @property
    def relative_sigmas(self) -> tuple[float, ...]:
        """Relative sigma of the stem, then of both layers of every block."""
        return tuple(self.layer_ratio**k for k in range(2 * len(self.channels) - 1))


PRESETS = {
    "gaussderresnet-small": GaussDerResNetConfig(channels=(16, 16, 24, 32, 48)),
    "gaussderresnet-small-separable": GaussDerResNetConfig(channels=(16, 16, 24, 32, 48), separable=True),
}


class ResidualBlock(nn.Module):
    """Two Gaussian derivative layers beside a skip: [S, B, C_in, *spatial] -> [S, B, C_out, *spatial].

    Args:
        in_channels: C_in.
        out_channels: C_out; the skip is the identity where it equals C_in, else a 1 x 1 convolution.
        relative_sigmas: Relative sigma of the first and the second layer.
        separable: Depthwise layers, each followed by a 1 x 1 convolution.
        order: Highest order of derivatives.
        border: "symmetric", "zero" or "circular".
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        relative_sigmas: tuple[float, float],
        *,
        separable: bool = False,
        order: int = 2,
        border: Border = "symmetric",
    ) -> None:
        super().__init__()
        widths = (in_channels, out_channels)
        layers: list[nn.Module] = []
        for width, relative_sigma in zip(widths, relative_sigmas, strict=True):
            layers += [nn.ReLU()] if layers else []
            layers.append(
                GaussianJetConv2d(
                    width,
                    width if separable else out_channels,
                    order=order,
                    groups=width if separable else 1,
                    bias=False,
                    relative_sigma=relative_sigma,
                    border=border,
                )
            )
            if separable:
                layers.append(EachScale(nn.Conv2d(width, out_channels, 1, bias=False)))
            layers.append(EachScale(nn.BatchNorm2d(out_channels)))
        self.residual = ScaleSequential(*layers)
        same = in_channels == out_channels
        self.skip = nn.Identity() if same else EachScale(nn.Conv2d(in_channels, out_channels, 1, bias=False))
        self.activation = nn.ReLU()

    def forward(self, features: Tensor, sigmas: Tensor) -> Tensor:
        """Skip plus residual, then ReLU."""
        output: Tensor = self.activation(self.skip(features) + self.residual(features, sigmas))
        return output


class GaussDerResNet(nn.Module):
    """Gaussian derivative residual network: image [B, C_in, H, W] -> logits [B, n_classes].

    Args:
        config: The numbers.

    Attributes:
        config: The same.
        lift, body, head: Image to scale channels, the blocks, read-out and pooling.

    Source: A. Perzanowski and T. Lindeberg, "GaussDerResNet", arXiv 2603.02843, 2026 (see the module for what is ours).
    """

    def __init__(self, config: GaussDerResNetConfig) -> None:
        super().__init__()
        self.config = config
        self.lift = ScaleLift(ScaleGrid(config.sigma_0, config.ratio, config.n_scales))
        sigmas, widths = config.relative_sigmas, config.channels
        stem = GaussianJetConv2d(
            config.in_channels, widths[0], order=config.order, bias=False,
            relative_sigma=sigmas[0], border=config.border,
        )  # fmt: skip
        blocks = [
            ResidualBlock(
                widths[k], widths[k + 1], (sigmas[2 * k + 1], sigmas[2 * k + 2]),
                separable=config.separable, order=config.order, border=config.border,
            )
            for k in range(len(widths) - 1)
        ]  # fmt: skip
        self.body = ScaleSequential(
            stem,
            EachScale(nn.BatchNorm2d(widths[0])),
            nn.ReLU(),
            *blocks,
            EachScale(nn.Conv2d(widths[-1], config.n_classes, 1)),
        )
        self.head = scale_head(config.read_out, config.scale_dropout, config.pooling)

    def forward(self, image: Tensor) -> Tensor:
        """Logits of images [B, C_in, H, W]; odd H and W have the centre that the read-out wants."""
        features, sigmas = self.lift(image)  # [S, B, C_in, H, W], [S]
        features = self.body(features, sigmas)  # [S, B, n_classes, H, W]
        logits: Tensor = self.head(features)  # [B, n_classes]
        return logits
