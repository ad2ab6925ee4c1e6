"""Training a classifier and measuring it: AdamW with one cycle of the learning rate, on whatever batches are made of."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

Batch = Callable[[Tensor], Tensor]
"""Turns indices of training images [B] into images [B, C, H, W]: augmentation happens here."""

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
        label_smoothing: Share of the target spread over all classes.
        seed: Seed of the order of images.
    """

    epochs: int = 10
    batch_size: int = 32
    learning_rate: float = 1e-2
    weight_decay: float = 1e-3
    label_smoothing: float = 0.05
    seed: int = 0


def steps_per_epoch(n_images: int, batch_size: int) -> int:
    """Steps of one pass: full batches, or one smaller batch if there are too few images for a full one."""
    return max(1, n_images // batch_size)


def fit(network: nn.Module, batch: Batch, labels: Tensor, recipe: Recipe, progress: Progress | None = None) -> float:
    """Train a network in place and leave it in evaluation mode.

    Args:
        network: Images -> logits [B, n_classes].
        batch: Makes the images of some indices.
        labels: [n] int64; n is the number of training images.
        recipe: How.
        progress: Called after every step.

    Returns:
        Seconds it took.

    Raises:
        RuntimeError: If the loss is no longer finite.
    """
    generator = torch.Generator().manual_seed(recipe.seed)
    decayed = [parameter for parameter in network.parameters() if parameter.ndim > 1]
    others = [parameter for parameter in network.parameters() if parameter.ndim <= 1]
    optimiser = torch.optim.AdamW(
        [{"params": decayed}, {"params": others, "weight_decay": 0.0}],
        lr=recipe.learning_rate,
        weight_decay=recipe.weight_decay,
    )
    steps = steps_per_epoch(len(labels), recipe.batch_size)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, recipe.learning_rate, total_steps=max(2, recipe.epochs * steps), cycle_momentum=False
    )
    criterion = nn.CrossEntropyLoss(label_smoothing=recipe.label_smoothing)
    started = time.perf_counter()
    network.train()
    for _ in range(recipe.epochs):
        order = torch.randperm(len(labels), generator=generator)
        for step in range(steps):
            indices = order[step * recipe.batch_size : (step + 1) * recipe.batch_size]
            images, target = batch(indices), labels[indices]
            logits = network(images)
            target = target.to(logits.device)
            loss = criterion(logits, target)
            value = float(loss)
            if not torch.isfinite(loss):
                raise RuntimeError(f"fit: loss became {value}; lower learning_rate = {recipe.learning_rate}")
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            optimiser.step()
            schedule.step()
            if progress is not None:
                progress(value, 100 * float((logits.argmax(1) == target).float().mean()))
    network.eval()
    return time.perf_counter() - started


@torch.inference_mode()
def predict(network: nn.Module, images: Tensor, batch_size: int = 16) -> Tensor:
    """Logits of images [N, C, H, W] in evaluation mode, batch by batch, on the CPU."""
    network.eval()
    return torch.cat([network(part).float().cpu() for part in images.split(batch_size)])
