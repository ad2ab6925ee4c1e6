"""An ordinary convolutional network, the rival of the demo: 3 x 3 convolutions, batch norm, ReLU, 2 x 2 max pooling.

Fully convolutional with a global maximum at the end, so that it takes a canvas of any size and black borders cost it
nothing: what it lacks when sizes change is not a matter of the canvas.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ..checks import check_integer


@dataclass(frozen=True, kw_only=True)
class PlainCNNConfig:
    """An ordinary network in numbers.

    Args:
        channels: Widths of the stages; a stage is two 3 x 3 convolutions, with 2 x 2 max pooling between stages.
        in_channels: Channels of the image.
        n_classes: Number of logits.
    """

    channels: tuple[int, ...] = (12, 16, 24)
    in_channels: int = 1
    n_classes: int = 10

    def __post_init__(self) -> None:
        for width in (*self.channels, self.in_channels, self.n_classes):
            check_integer("PlainCNNConfig", "channels", width, 1)


class PlainCNN(nn.Module):
    """Image [B, C_in, H, W] -> logits [B, n_classes]; sides of at least 2 ** (stages - 1) pixels.

    Args:
        config: The numbers.
    """

    def __init__(self, config: PlainCNNConfig) -> None:
        super().__init__()
        self.config = config
        layers: list[nn.Module] = []
        before = config.in_channels
        for stage, width in enumerate(config.channels):
            layers += [nn.MaxPool2d(2)] if stage else []
            for _ in range(2):
                layers += [nn.Conv2d(before, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU()]
                before = width
        self.body = nn.Sequential(*layers)
        self.classify = nn.Linear(before, config.n_classes)
        for parameter in self.parameters():
            if parameter.ndim == 4:
                parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)

    def forward(self, image: Tensor) -> Tensor:
        """Logits."""
        features = self.body(image.contiguous(memory_format=torch.channels_last))  # [B, C, H', W']
        logits: Tensor = self.classify(features.amax((2, 3)))  # [B, n_classes]
        return logits
