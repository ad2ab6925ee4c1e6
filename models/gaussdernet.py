"""The Gaussian derivative network of Lindeberg 2022: a plain cascade of Gaussian derivative layers.

What the paper gives (sections 4 and 5): the layer, equation (11), with first and second order derivatives; six layers
at sigma_k = sigma_0 r^(k-1), r = 1.25; ReLU between them; batch normalisation, shared between scale channels; no
spatial stride, pooling or fully connected layer; the central pixel of the last layer (the mean of the central 2 x 2 of
an even size); the maximum over scale channels; the numbers of channels and scales.

What it does not tell, and is our choice: batch norm stands between the layer and its ReLU, with none after the last
layer; its learned offset is the offset of the layer it follows, so that only the last layer has a bias of its own; the
border is symmetric; initialisation is `layers.initial_gain`.
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
class GaussDerNetConfig:
    """A Gaussian derivative network in numbers.

    Args:
        channels: Feature channels after every layer but the last.
        sigma_0: Finest initial scale in pixels.
        ratio: Ratio of neighbouring scale channels.
        n_scales: Number of scale channels.
        layer_ratio: r: layer k = 1, 2, ... works at r^(k-1) times the scale channel's sigma.
        in_channels: Channels of the image.
        n_classes: Number of logits.
        order: Highest order of derivatives.
        zero_order: Whether the smoothed features themselves take part.
        border: "symmetric", "zero" or "circular".
        read_out: Over space: "centre", "max" or "mean".
        pooling: Over scale channels: "max", "mean" or "logsumexp".
        scale_dropout: Probability of dropping a scale channel in training.
    """

    channels: tuple[int, ...]
    sigma_0: float
    ratio: float = 2**0.5
    n_scales: int = 1
    layer_ratio: float = 1.25
    in_channels: int = 1
    n_classes: int = 10
    order: int = 2
    zero_order: bool = False
    border: Border = "symmetric"
    read_out: Literal["centre", "max", "mean"] = "centre"
    pooling: Literal["max", "mean", "logsumexp"] = "max"
    scale_dropout: float = 0.0

    def __post_init__(self) -> None:
        check_config(self)

    @property
    def relative_sigmas(self) -> tuple[float, ...]:
        """Relative sigma of every layer: r^0, r^1, ..."""
        return tuple(self.layer_ratio**k for k in range(len(self.channels) + 1))


PRESETS = {
    # Section 5: MNIST, 28 x 28, one scale channel.
    "gaussdernet-mnist": GaussDerNetConfig(channels=(12, 14, 16, 20, 64), sigma_0=0.9),
    # Section 6: MNIST Large Scale, 112 x 112, eight scale channels from 1/sqrt(2) to 8; figure 9 gives the two widths.
    "gaussdernet-mnist-large-scale": GaussDerNetConfig(channels=(12, 16, 24, 32, 64), sigma_0=2**-0.5, n_scales=8),
    "gaussdernet-mnist-large-scale-wide": GaussDerNetConfig(channels=(16, 24, 32, 48, 64), sigma_0=2**-0.5, n_scales=8),
}


class GaussDerNet(nn.Module):
    """Gaussian derivative network: image [B, C_in, H, W] -> logits [B, n_classes].

    All scale channels share all weights and statistics, so a state trained with one number of scale channels loads
    into a network with another.

    Args:
        config: The numbers.

    Attributes:
        config: The same.
        lift, body, head: Image to scale channels, the layers, read-out and pooling.

    Source: T. Lindeberg, "Scale-covariant and scale-invariant Gaussian derivative networks", Journal of Mathematical
    Imaging and Vision 64 (2022) 223-242.
    """

    def __init__(self, config: GaussDerNetConfig) -> None:
        super().__init__()
        self.config = config
        self.lift = ScaleLift(ScaleGrid(config.sigma_0, config.ratio, config.n_scales))
        widths = (config.in_channels, *config.channels, config.n_classes)
        layers: list[nn.Module] = []
        for k, relative_sigma in enumerate(config.relative_sigmas):
            last = k == len(config.channels)
            layers.append(
                GaussianJetConv2d(
                    widths[k],
                    widths[k + 1],
                    order=config.order,
                    zero_order=config.zero_order,
                    bias=last,
                    relative_sigma=relative_sigma,
                    border=config.border,
                )
            )
            if not last:
                layers += [EachScale(nn.BatchNorm2d(widths[k + 1])), nn.ReLU()]
        self.body = ScaleSequential(*layers)
        self.head = scale_head(config.read_out, config.scale_dropout, config.pooling)

    def forward(self, image: Tensor) -> Tensor:
        """Logits of images [B, C_in, H, W]; odd H and W have the centre that the read-out wants."""
        features, sigmas = self.lift(image)  # [S, B, C_in, H, W], [S]
        features = self.body(features, sigmas)  # [S, B, n_classes, H, W]
        logits: Tensor = self.head(features)  # [B, n_classes]
        return logits

    def scale_logits(self, image: Tensor, channels: Tensor | None = None) -> Tensor:
        """Logits of every scale channel before pooling, [S, B, n_classes], or of those with the given indices only."""
        features, sigmas = self.lift(image)
        if channels is not None:
            features, sigmas = image.expand(len(channels), *image.shape), sigmas[channels]
        logits: Tensor = self.head[0](self.body(features, sigmas))
        return logits


def paper_parameter_count(network: nn.Module) -> int:
    """Parameters as Lindeberg 2022 counts them: every pair of channels has its derivatives and one offset of its own.

    The offsets of all inputs of a channel add up to one number, so a network learns fewer than this.
    """
    convolutions = [module for module in network.modules() if isinstance(module, GaussianJetConv2d)]
    return sum((layer.weight.shape[2] + 1) * layer.weight[..., 0].numel() for layer in convolutions)
