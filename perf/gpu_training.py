"""The full training step of the larger network of Lindeberg 2022 on MNIST Large Scale, on random images.

Images of 112 x 112, eight scale channels; forward, binary cross-entropy, backward and AdamW, as `models.training.fit`
does it, plainly called: what Python costs is part of it.
"""

import time
from typing import Any

import torch
from torch import nn

from gdtriton.layers import GaussianJetConv2d
from gdtriton.models import GaussDerNet, build_model
from perf.gpu_machine import Clock, Machine, precision

NETWORK = "gaussdernet-mnist-large-scale-wide"
IMAGES, EPOCHS = 50_000, 20
"""Of the paper's training."""
BATCHES = (32, 128)
ARITHMETIC = ("tf32", "bf16", "float32")


def _network(machine: Machine) -> GaussDerNet:
    small: dict[str, Any] = {"channels": (2,), "n_scales": 1, "n_classes": 2} if machine.dry else {}
    network = build_model(NETWORK, **small).to(machine.device)
    assert isinstance(network, GaussDerNet)
    for module in network.modules():
        if isinstance(module, GaussianJetConv2d):
            module.impl = "triton"
    return network


class TrainingStep:
    """One step of training on one batch of random images; bf16 is autocast."""

    def __init__(self, machine: Machine, arithmetic: str, batch: int):
        self.arithmetic, self.device = arithmetic, machine.device.type
        self.network = _network(machine)
        size = 5 if machine.dry else 112
        self.images = machine.randn(batch, 1, size, size)
        self.target = machine.randn(batch, self.network.config.n_classes, seed=1).relu().sign()
        self.optimiser = torch.optim.AdamW(self.network.parameters(), lr=1e-3, fused=not machine.dry)
        self.loss = torch.zeros(())

    def __call__(self) -> None:
        """Forward, backward, update."""
        with precision(self.arithmetic):
            with torch.autocast(self.device, torch.bfloat16, enabled=self.arithmetic == "bf16"):
                logits = self.network(self.images)
            self.loss = nn.functional.binary_cross_entropy_with_logits(logits.float(), self.target)
            self.optimiser.zero_grad(set_to_none=True)
            self.loss.backward()
            self.optimiser.step()


def measure_step(machine: Machine, arithmetic: str, batch: int, seconds: float) -> dict[str, Any]:
    """Images per second over a stretch of steps, and what the paper's training would take."""
    row: dict[str, Any] = {
        "network": NETWORK, "arithmetic": arithmetic, "batch": batch, "status": "ok", "reason": "", "steps": 0,
        "step_ms": None, "images_per_s": None, "minutes_for_the_paper": None, "peak_bytes": None,
    }  # fmt: skip
    try:
        step = TrainingStep(machine, arithmetic, batch)
        peak = machine.peak_bytes(step)
        machine.synchronise()
        start, steps = time.perf_counter(), 0
        while steps < (1 if machine.dry else 5) or (not machine.dry and time.perf_counter() - start < seconds):
            step()
            steps += 1
            if steps % 5 == 0:
                machine.synchronise()
        machine.synchronise()
        each = (time.perf_counter() - start) / steps
        if not bool(torch.isfinite(step.loss)):
            raise FloatingPointError(f"the loss is {float(step.loss)}")
        row |= {"steps": steps, "step_ms": 1e3 * each, "images_per_s": batch / each, "peak_bytes": peak}
        row["minutes_for_the_paper"] = EPOCHS * IMAGES * each / batch / 60
    except Exception as error:  # the other arithmetics still count
        reason = f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
        row |= {"status": "failed", "reason": reason}
    machine.forget()
    return row


def run_training(machine: Machine, clock: Clock) -> list[dict[str, Any]]:
    """A row for every batch and arithmetic while there is time."""
    rows = []
    for batch in (2,) if machine.dry else BATCHES:
        for arithmetic in ARITHMETIC:
            if clock.left > 0:
                rows.append(measure_step(machine, arithmetic, batch, 3.0))
            else:
                rows.append({"network": NETWORK, "arithmetic": arithmetic, "batch": batch, "status": "skipped",
                             "reason": "out of time"})  # fmt: skip
    return rows
