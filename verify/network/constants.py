"""Values that depend on weights, buffers and numbers only: computed, at the network's weights and at drawn ones.

What a rule asks of a constant (equal along space, equal in every scale channel, sigmas in geometric progression) must
hold for all weights, so it is asked at the real weights and at `DRAWS` random ones. Values that depend on no parameter
are what they are.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from .domain import Type, size
from .graph import Node

DRAWS = 2


@dataclass(frozen=True)
class Constant:
    """One tensor (or number) per draw of the weights; the first at the network's own."""

    values: tuple[Any, ...]

    @property
    def real(self) -> Tensor:
        """At the network's own weights."""
        return torch.as_tensor(self.values[0])


def drawn_parameters(module: nn.Module) -> list[dict[str, Tensor]]:
    """Parameter values: the real ones, then DRAWS random changes of them; tied parameters stay tied."""
    generator = torch.Generator().manual_seed(20220207)
    real = {name: p.detach() for name, p in module.named_parameters(remove_duplicate=False)}
    result = [real]
    for _ in range(DRAWS):
        moved: dict[int, Tensor] = {}
        draw = {}
        for name, value in real.items():
            key = value.data_ptr() if value.numel() else id(value)
            if key not in moved:
                noise = torch.rand(value.shape, generator=generator, dtype=torch.float64) * 0.5 + 0.1
                moved[key] = (value.double() + noise).to(value.dtype) if value.is_floating_point() else value
            draw[name] = moved[key].reshape(value.shape)
        result.append(draw)
    return result


def evaluate(node: Node, constants: dict[Node, Constant]) -> Constant:
    """The node's value at every draw."""

    def at(argument: Any, draw: int) -> Any:
        if isinstance(argument, Node):
            return constants[argument].values[draw]
        if isinstance(argument, (list, tuple)):
            return type(argument)(at(a, draw) for a in argument)
        return argument

    with torch.no_grad():
        values = tuple(
            node.target(*at(node.args, k), **{key: at(v, k) for key, v in node.kwargs.items()})
            for k in range(DRAWS + 1)
        )
    return Constant(values)


class Digests:
    """Equal tensors (to float32's rounding) get equal numbers."""

    def __init__(self) -> None:
        self._known: dict[Any, list[tuple[tuple[Tensor, ...], int]]] = {}
        self._count = 0

    def __call__(self, values: Sequence[Tensor]) -> int:
        """The number of a tensor given at every draw."""
        tensors = tuple(torch.as_tensor(v).detach().to(torch.float64) for v in values)
        shape, total = tuple(tensors[0].shape), float(tensors[0].abs().sum().nan_to_num(0, 0, 0))
        bucket = round(total, 3)
        for near in {round(total - 1e-3, 3), bucket, round(total + 1e-3, 3)}:
            for known, number in self._known.get((shape, near), ()):
                if all(_equal(a, b) for a, b in zip(known, tensors, strict=True)):
                    return number
        self._count += 1
        self._known.setdefault((shape, bucket), []).append((tensors, self._count))
        return self._count


def _equal(a: Tensor, b: Tensor) -> bool:
    if a.shape != b.shape:
        return False
    return torch.equal(a, b) or torch.allclose(a, b, rtol=1e-6, atol=1e-30, equal_nan=True)


def spread(constant: Constant, kind: Type) -> list[Tensor]:
    """Every draw with one tensor axis per atom of the value it meets: size 1 where the constant does not vary."""
    result = []
    for value in constant.values:
        tensor = torch.as_tensor(value)
        tensor = tensor.reshape(*(1,) * (len(kind.axes) - tensor.ndim), *tensor.shape)
        shape: list[int] = []
        for axis, n in zip(kind.axes, tensor.shape, strict=True):
            if n == 1:
                shape += [1] * len(axis)
            elif n == size(axis):
                shape += [a.size for a in axis]
            else:
                raise ValueError("shapes do not broadcast")
        result.append(tensor.reshape(shape))
    return result


def varies(tensor: Tensor, axis: int) -> bool:
    """Whether entries along `axis` differ."""
    first = tensor.narrow(axis, 0, 1).expand_as(tensor)
    return not (
        torch.equal(tensor, first) or torch.allclose(tensor.double(), first.double(), rtol=1e-6, atol=0, equal_nan=True)
    )


def logarithms(values: Sequence[Any]) -> tuple[float, ...]:
    """Natural logarithm of a positive number at every draw."""
    return tuple(math.log(float(v)) for v in values)
