"""Training a classifier and measuring it: AdamW with one cycle of the learning rate, on whatever batches are made of.

The loss is the binary cross-entropy of every class, as in Lindeberg 2022: it holds the logits of wrong classes below 0
in every scale channel by themselves, where the softmax would leave a common offset of each scale channel free and the
maximum over scale channels would then compare numbers that were never made comparable.
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from .gaussdernet import GaussDerNet

Batch = Callable[[Tensor], Tensor]
"""Turns indices of training images [B] into images [B, C, H, W]: augmentation happens here."""

Logits = Callable[[Tensor, Tensor], Tensor]
"""Turns images [B, C, H, W] and their labels [B] into the logits [B, n_classes] that the loss sees."""

Progress = Callable[[float, float], None]
"""Called after every step with the loss and the accuracy of the batch in percent."""


@dataclass(frozen=True)
class Recipe:
    """How to train.

    Args:
        epochs: Passes over the training images.
        batch_size: Images a step; batch statistics want the last, smaller batch left out.
        learning_rate: Peak of the cycle, reached after 30 % of the steps.
        weight_decay: Of all parameters with more than one axis.
        seed: Seed of the order of images.
    """

    epochs: int = 10
    batch_size: int = 32
    learning_rate: float = 1e-2
    weight_decay: float = 1e-3
    seed: int = 0


def steps_per_epoch(n_images: int, batch_size: int) -> int:
    """Steps of one pass: full batches, or one smaller batch if there are too few images for a full one."""
    return max(1, n_images // batch_size)


def matched_scale_logits(network: GaussDerNet, channel: int, others: int, seed: int) -> Logits:
    """Logits for training at one known size: right answers in one scale channel, wrong ones in none.

    The right class is read from the given scale channel, every other class from the maximum over it and `others` more,
    drawn anew for every batch. So the training size is tied to one sigma, and no scale channel may take the digit for
    another one. By covariance an image S times as large is then recognised S times as coarse, while there is such a
    scale channel. With the maximum for the right class too, it is left to chance which scale channel learns to answer,
    one at an end of the range included, where a change of size has nowhere to go.

    Args:
        network: With scale channels.
        channel: Index of the one that answers at the training size.
        others: How many of the other scale channels a batch sees: all would cost more and teach the same.
        seed: Of the draws.
    """
    generator = torch.Generator().manual_seed(seed)
    rest = torch.tensor([i for i in range(network.config.n_scales) if i != channel], dtype=torch.int64)

    def logits(images: Tensor, labels: Tensor) -> Tensor:
        drawn = rest[torch.randperm(len(rest), generator=generator)[:others]]
        channels = torch.cat([torch.tensor([channel]), drawn]).to(images.device)
        of_scales = network.scale_logits(images, channels)
        right = nn.functional.one_hot(labels, of_scales.shape[2]).bool()
        return torch.where(right, of_scales[0], of_scales.amax(0))

    return logits


def fit(
    network: nn.Module,
    batch: Batch,
    labels: Tensor,
    recipe: Recipe,
    progress: Progress | None = None,
    logits: Logits | None = None,
) -> float:
    """Train a network in place and leave it in evaluation mode.

    Args:
        network: Images -> logits [B, n_classes].
        batch: Makes the images of some indices.
        labels: [n] int64; n is the number of training images.
        recipe: How.
        progress: Called after every step.
        logits: What the loss sees; None takes the network's output.

    Returns:
        Seconds it took.

    Raises:
        RuntimeError: If the loss is no longer finite.
    """
    generator = torch.Generator().manual_seed(recipe.seed)
    decayed = [parameter for parameter in network.parameters() if parameter.ndim > 1]
    others = [parameter for parameter in network.parameters() if parameter.ndim <= 1]
    groups: list[dict[str, Any]] = [{"params": decayed}, {"params": others, "weight_decay": 0.0}]
    optimiser = torch.optim.AdamW(
        groups,
        lr=recipe.learning_rate,
        weight_decay=recipe.weight_decay,
    )
    steps = steps_per_epoch(len(labels), recipe.batch_size)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, recipe.learning_rate, total_steps=max(2, recipe.epochs * steps), cycle_momentum=False
    )
    criterion = nn.BCEWithLogitsLoss()
    started = time.perf_counter()
    network.train()
    for _ in range(recipe.epochs):
        order = torch.randperm(len(labels), generator=generator)
        for step in range(steps):
            indices = order[step * recipe.batch_size : (step + 1) * recipe.batch_size]
            images = batch(indices)
            target = labels[indices].to(images.device)
            output = network(images) if logits is None else logits(images, target)
            loss = criterion(output, nn.functional.one_hot(target, output.shape[1]).to(output.dtype))
            value = float(loss.detach())
            if not math.isfinite(value):
                raise RuntimeError(f"fit: loss became {value}; lower learning_rate = {recipe.learning_rate}")
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            optimiser.step()
            schedule.step()
            if progress is not None:
                progress(value, 100 * float((output.argmax(1) == target).float().mean()))
    network.eval()
    return time.perf_counter() - started


@torch.inference_mode()
def predict(network: nn.Module, images: Tensor, batch_size: int = 16) -> Tensor:
    """Logits of images [N, C, H, W] in evaluation mode, batch by batch, on the CPU."""
    network.eval()
    return torch.cat([network(part).float().cpu() for part in images.split(batch_size)])
