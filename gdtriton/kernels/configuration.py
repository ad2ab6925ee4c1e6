"""What a kernel file offers for compilation ahead of time, and the chips it is compiled for."""

from typing import Any, NamedTuple


class Chip(NamedTuple):
    """What triton calls a chip, and how much shared memory one block of threads may use."""

    backend: str
    arch: int | str
    warp_size: int
    shared_bytes: int


CHIPS = {
    "sm_80": Chip("cuda", 80, 32, 163 * 1024),
    "sm_90": Chip("cuda", 90, 32, 227 * 1024),
    "sm_100": Chip("cuda", 100, 32, 227 * 1024),
    "gfx942": Chip("hip", "gfx942", 64, 64 * 1024),
}
"""By the name of the target that `configurations(target)` of every kernel file is called with."""


class Configuration(NamedTuple):
    """One compilation of a kernel.

    Pointers are taken to be multiples of 16 bytes. An integer that is 1 in most launches is worth a constant: triton
    makes it one then.

    Attributes:
        name: Unique within the kernel file, and the same for every target that has it.
        kernel: The jit function.
        types: Types by argument name: "*fp32", "i64", "fp32"; a tuple of them for an argument that is a tuple. What is
            neither here nor a constant is "i32".
        constants: Values by argument name, of every constexpr and of integers that are fixed; for an argument that is
            a tuple a tuple with None where the value is not fixed.
        num_warps: Warps of a block.
        num_stages: Stages of the software pipeline.
        divisible: Names of integers that are multiples of 16.
        uses_dot: Whether its products must run on the chip's matrix units.
    """

    name: str
    kernel: Any
    types: dict[str, Any]
    constants: dict[str, Any]
    num_warps: int = 4
    num_stages: int = 3
    divisible: tuple[str, ...] = ()
    uses_dot: bool = False
