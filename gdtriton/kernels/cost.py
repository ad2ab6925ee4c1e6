"""The two numbers before any kernel: bytes that must move and operations that must happen."""

from typing import NamedTuple


class Cost(NamedTuple):
    """Bytes to and from memory, and floating-point operations (a multiply-add is two)."""

    bytes: int
    flops: int

    def __add__(self, other: object) -> "Cost":
        if not isinstance(other, Cost):
            return NotImplemented
        return Cost(self.bytes + other.bytes, self.flops + other.flops)
