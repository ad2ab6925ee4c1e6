"""What a kernel file offers for compilation ahead of time, and the chips it is compiled for."""

from typing import Any, NamedTuple


class Target(NamedTuple):
    """A chip: what triton calls it and how much shared memory one block of threads may use."""

    backend: str
    arch: int | str
    warp_size: int
    shared_bytes: int


TARGETS = {
    "sm_80": Target("cuda", 80, 32, 163 * 1024),
    "sm_90": Target("cuda", 90, 32, 227 * 1024),
    "sm_100": Target("cuda", 100, 32, 227 * 1024),
    "gfx942": Target("hip", "gfx942", 64, 64 * 1024),
}
"""By the name that `configurations(target)` of every kernel file is called with."""


class Configuration(NamedTuple):
    """One compilation of a kernel.

    Attributes:
        name: Unique within the kernel file, the same for every target that has it.
        kernel: The jit function.
        signature: Type of every argument by name ("*fp32", "i64", "constexpr"; a tuple of types for a tuple).
        constants: Value of every "constexpr"; for a tuple argument a tuple with None where the value is not fixed.
        num_warps: Warps of a block.
        num_stages: Stages of the software pipeline.
        divisible: Names of arguments (pointers, strides) that are multiples of 16.
        uses_dot: Whether its products must run on the chip's matrix units.
    """

    name: str
    kernel: Any
    signature: dict[str, Any]
    constants: dict[str, Any]
    num_warps: int = 4
    num_stages: int = 3
    divisible: tuple[str, ...] = ()
    uses_dot: bool = False
