"""The least time of a layer: the byte and operation counts that stand beside the kernels, over the rates measured.

Every kernel is bound by its bytes over the copy rate or by its operations over the matrix rate, whichever takes
longer; the floor of a layer is the sum. Products of float32 quality are three of tf32.
"""

from functools import partial
from typing import Any

import torch

from gdtriton.kernels.band import band_cost
from gdtriton.kernels.cost import Cost
from gdtriton.kernels.mix import mix_cost
from gdtriton.kernels.pool import pool_cost
from gdtriton.kernels.spectral_mix import spectral_mix_cost
from gdtriton.kernels.spectral_weight import spectral_weight_cost
from gdtriton.kernels.spectrum import transform_cost
from gdtriton.kernels.tables import AMPLIFICATION, SPECTRUM_FROM_SIGMA
from gdtriton.kernels.weight_grad import weight_grad_cost
from gdtriton.spectral import rank
from gdtriton.taps import tap_radius
from perf.gpu_layers import ORDERS, Case
from perf.gpu_machine import MODES, Machine, precision, quantiles

CLASSES = 4
"""Parities of the two axes."""
Part = tuple[Cost, str]


def _spectral(sigma: float) -> bool:
    """The route that the device chooses, `kernels/tables.py`."""
    return sigma >= SPECTRUM_FROM_SIGMA or (2 * sigma) ** 2 > AMPLIFICATION


def _stencil_parts(case: Case, sigma: float, training: bool) -> list[Part]:
    item, n, c_in, c_out = MODES[case.mode].itemsize, case.plane, case.in_channels, case.out_channels
    pixels, vectors, radius = case.images * n * n, case.images * c_in * n, tap_radius(sigma, 2)
    parts = [
        (band_cost(vectors, n, n, radius, item, 4), "float32"),
        (band_cost(vectors, n, n, radius, 4, 4), "float32"),
        (mix_cost(pixels, c_in, c_out, len(ORDERS), 1, 4, item), case.mode),
    ]
    if training:
        parts += [
            (weight_grad_cost(pixels, c_in, c_out, len(ORDERS), 1, item), case.mode),
            (mix_cost(pixels, c_out, c_in, len(ORDERS), 1, item, 4), case.mode),
            (band_cost(vectors, n, n, radius, 4, 4), "float32"),
            (band_cost(vectors, n, n, radius, 4, item), "float32"),
        ]
    return parts


def _spectral_parts(case: Case, sigma: float, training: bool) -> list[Part]:
    item, n, c_in, c_out = MODES[case.mode].itemsize, case.plane, case.in_channels, case.out_channels
    unit = 2.0**-9 if case.mode == "bf16" else 2.0**-24
    r = rank(n, sigma, 2, "symmetric", unit)
    product = "float32" if MODES[case.mode].itemsize == 4 else "tf32"
    frequencies = case.images * r * r

    def image_side(channels: int, parities: int) -> list[Part]:
        """Both axes of a transform of all images, in either direction."""
        first = transform_cost(case.images * channels * n, n, r, parities, item)
        return [(first, product), (transform_cost(case.images * channels * r * parities, n, r, parities, 4), product)]

    def mixing(response: bool) -> Part:
        return spectral_mix_cost(frequencies, c_in, c_out, len(ORDERS), CLASSES, 1, response=response), case.mode

    parts = [*image_side(c_in, 1), mixing(False), *image_side(c_out, 2)]
    if training:
        weight = spectral_weight_cost(frequencies, c_in, c_out, len(ORDERS), CLASSES, 1)
        parts += [*image_side(c_out, 2), mixing(True), (weight, case.mode), *image_side(c_in, 1)]
    return parts


def floor_ms(parts: list[Part], rates: dict[str, float]) -> float:
    """Milliseconds below which these kernels cannot go at the rates measured."""
    total = 0.0
    for cost, mode in parts:
        flops = rates["tf32_flops_per_s"] / 3 if mode == "float32" else rates[f"{mode}_flops_per_s"]
        total += max(cost.bytes / rates["copy_bytes_per_s"], cost.flops / flops)
    return 1e3 * total


def layer_floor_ms(row: dict[str, Any], rates: dict[str, float]) -> float | None:
    """Floor of one row of the grid that is ours."""
    if row["provider"] != "ours" or row["status"] != "ok":
        return None
    names = ("in_channels", "out_channels", "plane", "n_scales")
    case = Case(
        *(row[name] for name in names),
        mode=row["arithmetic"],
        pixels=row["batch"] * row["n_scales"] * row["plane"] ** 2,
    )
    parts = _spectral_parts if _spectral(row["sigma"]) else _stencil_parts
    return floor_ms(parts(case, row["sigma"], row["mode"] != "forward"), rates)


def run_pooling(machine: Machine, rates: dict[str, float]) -> list[dict[str, Any]]:
    """Scale pooling of [8, 16, 64, 112, 112], forward and adjoint, and its share of the copy rate."""
    forward, backward = torch.ops.gdtriton.scale_pool, torch.ops.gdtriton.scale_pool_backward
    rows: list[dict[str, Any]] = []
    shape = (3, 1, 2, 5, 5) if machine.dry else (8, 16, 64, 112, 112)
    for mode in ("float32", "bf16"):
        stack = machine.randn(*shape, dtype=MODES[mode])
        grad = machine.randn(*shape[1:], dtype=MODES[mode], seed=1)
        for kind in ("max", "mean", "logsumexp"):
            values, saved = forward(stack, kind)
            exact = values if kind == "logsumexp" and mode == "float32" else saved
            kept = stack if kind == "logsumexp" else None
            calls = {
                "forward": partial(forward, stack, kind),
                "adjoint": partial(backward, grad, exact, kept, shape[0], kind),
            }
            for name, call in calls.items():
                with precision(mode):
                    replay, capture = machine.captured(call)
                    times = machine.time(replay, 20, 0.2)
                cost = pool_cost(kind, shape[0], values.numel(), stack.itemsize, backward=name == "adjoint")
                least = 1e3 * cost.bytes / rates["copy_bytes_per_s"]
                rows.append(
                    {"kind": kind, "mode": name, "arithmetic": mode, "shape": list(shape), "capture": capture}
                    | quantiles(times) | {"floor_ms": least, "share": least / min(times)}
                )  # fmt: skip
        machine.forget()
    return rows
