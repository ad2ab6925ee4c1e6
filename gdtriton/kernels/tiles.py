"""Tile sizes by kernel and target: data, chosen from the register and spill report of the compiler.

`perf/aot.py` compiles every entry and writes the report; nothing here was tuned on a device yet.
"""

from functools import lru_cache
from typing import NamedTuple

import torch

from ..checks import interpreting


class Tile(NamedTuple):
    """Constants of a kernel and how it is launched."""

    blocks: dict[str, int]
    num_warps: int
    num_stages: int

    @property
    def launch(self) -> dict[str, int]:
        """Keyword arguments of the launch."""
        return {"num_warps": self.num_warps, "num_stages": self.num_stages, "enable_fp_fusion": True}


# The smallest extent that an entry serves, then the entry; the last that fits is taken.
# A kernel's own entries for a target stand under "kernel target".
_TILES: dict[str, list[tuple[int, Tile]]] = {
    "band sm_80": [
        (1, Tile({"BLOCK_M": 16, "BLOCK_V": 32, "BLOCK_K": 16}, 2, 2)),
        (97, Tile({"BLOCK_M": 64, "BLOCK_V": 32, "BLOCK_K": 16}, 4, 2)),
    ],
    "band": [
        (1, Tile({"BLOCK_M": 16, "BLOCK_V": 32, "BLOCK_K": 16}, 2, 2)),
        (33, Tile({"BLOCK_M": 32, "BLOCK_V": 64, "BLOCK_K": 16}, 4, 2)),
        (97, Tile({"BLOCK_M": 64, "BLOCK_V": 64, "BLOCK_K": 16}, 8, 2)),
    ],
    "mix": [
        (1, Tile({"BLOCK_O": 16, "BLOCK_I": 16, "BLOCK_P": 64}, 4, 1)),
        (17, Tile({"BLOCK_O": 32, "BLOCK_I": 16, "BLOCK_P": 64}, 8, 2)),
        (33, Tile({"BLOCK_O": 64, "BLOCK_I": 16, "BLOCK_P": 64}, 8, 1)),
    ],
    "mix sm_80": [
        (1, Tile({"BLOCK_O": 16, "BLOCK_I": 16, "BLOCK_P": 64}, 4, 1)),
        (17, Tile({"BLOCK_O": 32, "BLOCK_I": 16, "BLOCK_P": 64}, 8, 2)),
        (33, Tile({"BLOCK_O": 64, "BLOCK_I": 16, "BLOCK_P": 16}, 8, 1)),
    ],
    "mix sm_100": [
        (1, Tile({"BLOCK_O": 16, "BLOCK_I": 16, "BLOCK_P": 64}, 4, 1)),
        (17, Tile({"BLOCK_O": 32, "BLOCK_I": 16, "BLOCK_P": 64}, 8, 2)),
        (33, Tile({"BLOCK_O": 64, "BLOCK_I": 16, "BLOCK_P": 32}, 8, 1)),
    ],
    "mix gfx942": [
        (1, Tile({"BLOCK_O": 16, "BLOCK_I": 16, "BLOCK_P": 64}, 8, 1)),
        (17, Tile({"BLOCK_O": 32, "BLOCK_I": 16, "BLOCK_P": 64}, 8, 1)),
        (33, Tile({"BLOCK_O": 64, "BLOCK_I": 16, "BLOCK_P": 64}, 8, 1)),
    ],
    "mix-many-jets": [(1, Tile({"BLOCK_O": 16, "BLOCK_I": 16, "BLOCK_P": 32}, 8, 1))],
    "mix-many-jets sm_80": [(1, Tile({"BLOCK_O": 16, "BLOCK_I": 16, "BLOCK_P": 16}, 4, 1))],
    "depthwise": [(1, Tile({"BLOCK_C": 4, "BLOCK_P": 128}, 4, 1))],
    "depthwise-weight-grad": [(1, Tile({"BLOCK_O": 4, "BLOCK_I": 1, "BLOCK_P": 128}, 4, 1))],
    "weight-grad": [
        (1, Tile({"BLOCK_O": 16, "BLOCK_I": 16, "BLOCK_P": 16}, 2, 1)),
        (17, Tile({"BLOCK_O": 32, "BLOCK_I": 16, "BLOCK_P": 16}, 2, 1)),
    ],
    "weight-grad sm_90": [
        (1, Tile({"BLOCK_O": 16, "BLOCK_I": 16, "BLOCK_P": 16}, 2, 1)),
        (17, Tile({"BLOCK_O": 32, "BLOCK_I": 16, "BLOCK_P": 16}, 2, 1)),
        (33, Tile({"BLOCK_O": 64, "BLOCK_I": 16, "BLOCK_P": 32}, 8, 1)),
    ],
    # Transforms of the last axis, along which memory is contiguous, have entries of their own.
    "analysis": [
        (1, Tile({"BLOCK_M": 16, "BLOCK_V": 64, "BLOCK_K": 16}, 4, 2)),
        (97, Tile({"BLOCK_M": 32, "BLOCK_V": 64, "BLOCK_K": 16}, 8, 2)),
    ],
    "analysis sm_80": [(1, Tile({"BLOCK_M": 16, "BLOCK_V": 64, "BLOCK_K": 16}, 4, 2))],
    "analysis gfx942": [(1, Tile({"BLOCK_M": 16, "BLOCK_V": 64, "BLOCK_K": 16}, 4, 2))],
    "analysis-last": [(1, Tile({"BLOCK_M": 16, "BLOCK_V": 32, "BLOCK_K": 16}, 4, 2))],
    "synthesis": [
        (1, Tile({"BLOCK_M": 16, "BLOCK_V": 32, "BLOCK_K": 16}, 4, 2)),
        (97, Tile({"BLOCK_M": 32, "BLOCK_V": 64, "BLOCK_K": 16}, 8, 2)),
    ],
    "synthesis gfx942": [(1, Tile({"BLOCK_M": 16, "BLOCK_V": 64, "BLOCK_K": 16}, 4, 2))],
    "synthesis-last": [(1, Tile({"BLOCK_M": 16, "BLOCK_V": 32, "BLOCK_K": 16}, 4, 2))],
    "spectral-mix": [
        (1, Tile({"BLOCK_R": 16, "BLOCK_I": 16, "BLOCK_P": 64}, 4, 2)),
        (17, Tile({"BLOCK_R": 32, "BLOCK_I": 16, "BLOCK_P": 64}, 4, 2)),
        (33, Tile({"BLOCK_R": 64, "BLOCK_I": 16, "BLOCK_P": 32}, 4, 2)),
    ],
    "spectral-mix sm_80": [
        (1, Tile({"BLOCK_R": 16, "BLOCK_I": 16, "BLOCK_P": 64}, 4, 2)),
        (33, Tile({"BLOCK_R": 64, "BLOCK_I": 16, "BLOCK_P": 32}, 4, 2)),
    ],
    # Sigma of its own for every summed channel, or for every channel of the result.
    "spectral-mix-inner": [(1, Tile({"BLOCK_R": 16, "BLOCK_I": 16, "BLOCK_P": 32}, 4, 2))],
    "spectral-mix-rows": [(1, Tile({"BLOCK_R": 16, "BLOCK_I": 16, "BLOCK_P": 32}, 4, 2))],
    "spectral-mix-inner sm_80": [(1, Tile({"BLOCK_R": 16, "BLOCK_I": 16, "BLOCK_P": 32}, 4, 1))],
    "spectral-depthwise": [(1, Tile({"BLOCK_R": 4, "BLOCK_I": 1, "BLOCK_P": 128}, 4, 1))],
    "spectral-weight": [
        (1, Tile({"BLOCK_O": 32, "BLOCK_I": 32, "BLOCK_P": 16}, 4, 2)),
        (33, Tile({"BLOCK_O": 64, "BLOCK_I": 32, "BLOCK_P": 16}, 4, 2)),
    ],
    "spectral-weight-own": [(1, Tile({"BLOCK_O": 32, "BLOCK_I": 16, "BLOCK_P": 16}, 4, 2))],
    "spectral-depthwise-weight gfx942": [(1, Tile({"BLOCK_O": 4, "BLOCK_I": 1, "BLOCK_P": 128}, 8, 1))],
    "spectral-depthwise-weight": [(1, Tile({"BLOCK_O": 4, "BLOCK_I": 1, "BLOCK_P": 128}, 4, 1))],
}
_INTERPRETED = {"BLOCK_M": 16, "BLOCK_V": 16, "BLOCK_K": 16, "BLOCK_P": 32, "BLOCK_O": 16, "BLOCK_I": 16, "BLOCK_C": 4}
_INTERPRETED |= {"BLOCK_R": 16}


@lru_cache(maxsize=8)
def target_of(device: torch.device) -> str:
    """The name in `configuration.CHIPS` that serves a device."""
    if device.type != "cuda":
        return "sm_80"
    if torch.version.hip:
        return "gfx942"
    major, _ = torch.cuda.get_device_capability(device)
    return "sm_100" if major >= 10 else "sm_90" if major == 9 else "sm_80"


def precision_of(target: str) -> str:
    """Products of float32 quality: three passes of tf32, or six of bf16 where there is no tf32x3."""
    return "bf16x6" if target == "gfx942" else "tf32x3"


def precision(device: torch.device) -> str:
    """`precision_of` the target of a device."""
    return precision_of(target_of(device))


def entries(kernel: str, target: str) -> list[tuple[int, Tile]]:
    """The tiles of a kernel on a target, each with the smallest extent that it serves."""
    return _TILES.get(f"{kernel} {target}", _TILES[kernel])


def choose(kernel: str, target: str, extent: int) -> Tile:
    """The tile of a kernel for an axis, or a channel count, of `extent`."""
    return next(entry for least, entry in reversed(entries(kernel, target)) if extent >= least)


def tile(kernel: str, device: torch.device, extent: int) -> Tile:
    """The tile that a launch on `device` takes."""
    chosen = choose(kernel, target_of(device), extent)
    if not interpreting():
        return chosen
    return Tile({name: min(value, _INTERPRETED[name]) for name, value in chosen.blocks.items()}, 1, 1)
