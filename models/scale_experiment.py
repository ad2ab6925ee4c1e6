"""The experiment behind `gdtriton demo`: train at one size, test at 17, against an ordinary network.

Three trainings on the same images: a Gaussian derivative network at one size, an ordinary CNN at the same size, and
the same CNN with random resizing over the whole range of test sizes. One set of held-out images is then shown at every
size.
"""

import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from .digits import DigitSplit, canvas_for, enlarge, enlarge_each, load_split
from .gaussdernet import GaussDerNet, GaussDerNetConfig
from .plain_cnn import PlainCNN, PlainCNNConfig
from .training import Logits, Progress, Recipe, fit, matched_scale_logits, predict, steps_per_epoch

RIVALS = ("network", "cnn", "cnn_resized")
Reporter = Callable[[str, int], Progress]
"""Given a title and a number of steps, makes the function that is told of every step."""


@dataclass(frozen=True, kw_only=True)
class ExperimentConfig:
    """The experiment in numbers.

    Args:
        train_size: The one size of training, pixels a side of the 8 x 8 samples.
        span: Largest test size over smallest; the training size is their geometric mean.
        n_sizes: Number of test sizes, odd.
        n_train: Training images.
        n_test: Held-out images.
        network: The Gaussian derivative network as it is trained.
        train_border: Black pixels on each side of the training canvas beyond what holds the digit. The border mirrors
            the image, and the mirror image must stay out of the receptive field of the scale channel that answers.
        matched_channel: The scale channel that answers at the training size (`training.matched_scale_logits`).
        other_channels: Number of other scale channels that a training batch sees.
        cnn: The rival.
        network_recipe, cnn_recipe, resized_recipe: How each is trained.
        tolerance: The CNN is trained longer until it is at most so many points below the network at the training size.
        longer: At most so many times.
        seed: Of the weights and of the random sizes; the split has its own.
    """

    train_size: float = 24.0
    span: float = 8.0
    n_sizes: int = 17
    n_train: int = 1637
    n_test: int = 160
    network: GaussDerNetConfig = field(
        default_factory=lambda: GaussDerNetConfig(channels=(12, 16, 24), sigma_0=2**-0.5, n_scales=7, layer_ratio=1.3)
    )
    train_border: int = 4
    matched_channel: int = 3
    other_channels: int = 3
    cnn: PlainCNNConfig = field(default_factory=PlainCNNConfig)
    network_recipe: Recipe = field(default_factory=lambda: Recipe(epochs=8, learning_rate=2e-2))
    cnn_recipe: Recipe = field(default_factory=lambda: Recipe(epochs=4, learning_rate=1e-2))
    resized_recipe: Recipe = field(default_factory=lambda: Recipe(epochs=10, learning_rate=2e-2))
    tolerance: float = 1.0
    longer: int = 2
    seed: int = 0

    @property
    def sizes(self) -> tuple[float, ...]:
        """Test sizes, geometric, the training size in the middle."""
        middle = (self.n_sizes - 1) // 2
        return tuple(self.train_size * self.span ** ((i - middle) / (self.n_sizes - 1)) for i in range(self.n_sizes))

    @property
    def train_canvas(self) -> int:
        """Just large enough for the training size and its border."""
        return canvas_for(self.train_size) + 2 * self.train_border

    @property
    def test_canvas(self) -> int:
        """Holds the largest test size."""
        return canvas_for(max(self.sizes))


@dataclass
class ExperimentResult:
    """What was measured.

    Args:
        config: The numbers it was measured with.
        split: The images.
        network: The trained Gaussian derivative network.
        cnn: The CNN trained at one size.
        predictions: Per rival [n_sizes, n_test] int64.
        selected: [n_sizes, n_test] int64, the scale channel that won for the predicted class.
        parameters: Learned parameters per rival.
        seconds: Of training per rival, of "evaluation", and "total".
        epochs: Epochs each rival was trained for in the end.
    """

    config: ExperimentConfig
    split: DigitSplit
    network: GaussDerNet
    cnn: PlainCNN
    predictions: dict[str, Tensor]
    selected: Tensor
    parameters: dict[str, int]
    seconds: dict[str, float]
    epochs: dict[str, int]

    @property
    def accuracy(self) -> dict[str, list[float]]:
        """Percent of the held-out images per rival and size."""
        labels = self.split.test_labels
        return {
            key: [100 * float(row) for row in (predicted == labels).double().mean(1)]
            for key, predicted in self.predictions.items()
        }

    def metrics(self) -> dict[str, Any]:
        """The numbers as `metrics.json` holds them."""
        config = self.config
        return {
            "train_size": config.train_size,
            "sizes": list(config.sizes),
            "accuracy": self.accuracy,
            "parameters": self.parameters,
            "seconds": self.seconds,
            "epochs": self.epochs,
            "images": {"train": config.n_train, "test": config.n_test},
            "canvas": {"train": config.train_canvas, "test": config.test_canvas},
            "config": asdict(config),
        }


def run_experiment(config: ExperimentConfig, device: torch.device, reporter: Reporter) -> ExperimentResult:
    """Train the three, test them at every size.

    Args:
        config: The numbers.
        device: Where to compute.
        reporter: Is told of every step.

    Returns:
        What was measured; results that contradict the expectation are in it like any others.
    """
    started = time.perf_counter()
    split = load_split(config.n_test, n_train=config.n_train)
    samples = split.train.to(device)
    sizes = config.sizes
    at_one_size = enlarge(samples, config.train_size, config.train_canvas)
    generator = torch.Generator().manual_seed(config.seed)

    def fixed(indices: Tensor) -> Tensor:
        return at_one_size[indices.to(device)]

    def resized(indices: Tensor) -> Tensor:
        exponent = torch.rand(len(indices), generator=generator, dtype=torch.float64)
        return enlarge_each(samples[indices.to(device)], min(sizes) * config.span**exponent, config.test_canvas)

    def train(
        title: str, network: nn.Module, batch: Callable[[Tensor], Tensor], recipe: Recipe, logits: Logits | None = None
    ) -> float:
        steps = recipe.epochs * steps_per_epoch(len(split.train_labels), recipe.batch_size)
        return fit(network, batch, split.train_labels, recipe, reporter(title, steps), logits)

    def build(cls: type[nn.Module], numbers: Any) -> Any:
        torch.manual_seed(config.seed)
        return cls(numbers).to(device)

    seconds: dict[str, float] = {}
    epochs = {"network": config.network_recipe.epochs, "cnn": 0, "cnn_resized": config.resized_recipe.epochs}

    network = build(GaussDerNet, config.network)
    matched = matched_scale_logits(network, config.matched_channel, config.other_channels, config.seed)
    seconds["network"] = train("network, one size", network, fixed, config.network_recipe, matched)

    examples = enlarge(split.test.to(device), config.train_size, config.test_canvas)
    wanted = _percent(predict(network, examples), split.test_labels) - config.tolerance
    cnn = build(PlainCNN, config.cnn)
    seconds["cnn"] = 0.0
    for attempt in range(1 + config.longer):
        title = "CNN, one size" + (f" (longer, {attempt})" if attempt else "")
        seconds["cnn"] += train(title, cnn, fixed, config.cnn_recipe)
        epochs["cnn"] += config.cnn_recipe.epochs
        if _percent(predict(cnn, examples), split.test_labels) >= wanted:
            break

    cnn_resized = build(PlainCNN, config.cnn)
    seconds["cnn_resized"] = train("CNN, random sizes", cnn_resized, resized, config.resized_recipe)

    evaluation = time.perf_counter()
    networks = {"network": network, "cnn": cnn, "cnn_resized": cnn_resized}
    predictions: dict[str, list[Tensor]] = {key: [] for key in RIVALS}
    selected = []
    progress = reporter("test", len(sizes))
    for size in sizes:
        images = enlarge(split.test.to(device), size, config.test_canvas)
        of_scales = scale_logits(network, images)  # [S, N, n_classes]
        pooled, winner = of_scales.max(0)
        predictions["network"].append(pooled.argmax(1))
        selected.append(winner.gather(1, pooled.argmax(1, keepdim=True))[:, 0])
        for key in RIVALS[1:]:
            predictions[key].append(predict(networks[key], images).argmax(1))
        right = {key: 100 * float((rows[-1] == split.test_labels).double().mean()) for key, rows in predictions.items()}
        progress(math.nan, right["network"])
    seconds["evaluation"] = time.perf_counter() - evaluation
    seconds["total"] = time.perf_counter() - started
    return ExperimentResult(
        config=config,
        split=split,
        network=network,
        cnn=cnn,
        predictions={key: torch.stack(rows) for key, rows in predictions.items()},
        selected=torch.stack(selected),
        parameters={key: sum(p.numel() for p in networks[key].parameters()) for key in RIVALS},
        seconds=seconds,
        epochs=epochs,
    )


@torch.inference_mode()
def scale_logits(network: GaussDerNet, images: Tensor, batch_size: int = 16) -> Tensor:
    """Logits of every scale channel in evaluation mode, [S, N, n_classes], on the CPU."""
    return torch.cat([network.scale_logits(part).float().cpu() for part in images.split(batch_size)], dim=1)


def _percent(logits: Tensor, labels: Tensor) -> float:
    return 100 * float((logits.argmax(1) == labels).double().mean())
