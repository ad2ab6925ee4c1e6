"""Operators that only move entries: indexing, gathering, unfolding, strides, patches.

What they do is read off by running them once on the numbers of the entries. Every factor of the input's axes is then a
function of the output's axes: kept, selected, or, for space, an arithmetic grid, rearranged samples ("P"), or a grid
of windows ("X" and "W").
"""

from collections.abc import Hashable, Sequence
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from . import core
from .domain import Atom, NoRule, Type
from .graph import Node
from .lower import Interpreter, arguments, lowering


def moved(self: Interpreter, node: Node, split: Sequence[int] | None = None) -> Type:
    """The type after `node`; `split` gives its output more axes, one for each factor."""
    field = node.args[0]
    kind = self.type_of(field)
    number = torch.arange(1, int(torch.tensor(kind.shape).prod()) + 1, dtype=torch.float64).reshape(kind.shape)
    out: Tensor = node.target(*_given(node.args, self, number), **_given(node.kwargs, self, number))
    shape = tuple(out.shape)
    out = out.reshape(split if split is not None else shape)
    filled = out == 0
    if bool(filled.any()):
        from .lower_windows import _constant_margin

        _constant_margin(self, node, kind, 0)
    digits = _digits(out.long() - 1, [a.size for axis in kind.axes for a in axis])
    atoms = [a for axis in kind.axes for a in axis]
    places: list[list[Atom]] = [[] for _ in out.shape]
    scales: list[int] | None = None
    lost = kind.lost
    for atom, digit in zip(atoms, digits, strict=True):
        found, picked = _read(atom, digit, filled)
        for axis, new in found:
            places[axis].append(new)
        if atom.kind == "S":
            scales = picked
    if any(len(axis) > 1 for axis in places):
        raise NoRule("two axes are run through at once")
    axes = tuple(
        tuple(axis) if axis else ((Atom("R", n),) if n > 1 else ()) for axis, n in zip(places, out.shape, strict=True)
    )
    result = replace(kind, axes=axes, pool=None)
    if scales is not None:
        slices = tuple(kind.slices[i] for i in scales)
        lost = (lost or node.name) if len(slices) == 1 else lost
        result = replace(result, slices=slices, lost=lost)
    where = _rearrangement(digits, [a.kind for a in atoms], filled)
    key = self.terms.number("moved to", node.op, where)
    result = replace(
        result, slices=tuple(replace(s, term=self.terms.number("moved", key, s.term)) for s in result.slices)
    )
    result = core.settle(result)
    if split is not None:
        result = core.reshape(result, shape)
    return self.record(node, "moved", [field], {"shape": list(shape), "picked": scales}, result)


def _rearrangement(digits: Sequence[Tensor], kinds: Sequence[str], filled: Tensor) -> Hashable:
    """What became of every axis but the scale channels': two of them may agree only if their entries moved alike."""
    rows: list[Hashable] = []
    for digit, kind in zip(digits, kinds, strict=True):
        if kind != "S":
            along = [tuple(_row(digit, filled, d)) for d in range(digit.ndim) if digit.shape[d] > 1]
            rows.append((kind, tuple(sorted(row for row in along if len(set(row)) > 1)), int(digit.flatten()[0])))
    return tuple(rows)


def _digits(number: Tensor, sizes: Sequence[int]) -> list[Tensor]:
    """Mixed-radix digits, slowest first."""
    digits = []
    for n in reversed(sizes):
        digits.append(number % n)
        number = number.div(n, rounding_mode="floor")
    return digits[::-1]


def _read(atom: Atom, digit: Tensor, filled: Tensor) -> tuple[list[tuple[int, Atom]], list[int]]:
    """Where a factor went: (axis of the output, what it is there), and which entries were picked."""
    rows = {d: _row(digit, filled, d) for d in range(digit.ndim) if digit.shape[d] > 1}
    along = {d: row for d, row in rows.items() if len(set(row)) > 1}
    first = {d: row[0] for d, row in along.items()}
    start = _origin(digit, filled, along)
    total = torch.full(digit.shape, float(start), dtype=torch.float64)
    for d, row in along.items():
        step = torch.tensor([x - first[d] for x in row], dtype=torch.float64)
        total = total + step.reshape(*(-1 if k == d else 1 for k in range(digit.ndim)))
    if not bool((total == digit)[~filled].all()):
        raise NoRule("entries move along with others")
    if atom.kind != "X":
        if atom.kind in "PW" and list(along.values()) != [list(range(atom.size))]:
            raise NoRule("rearranged samples are rearranged again")
        if not along:
            return [], [start]
        if len(along) > 1:
            raise NoRule("one axis is spread over two")
        ((axis, row),) = along.items()
        entries = [int(x - row[0]) + start for x in row]
        if entries == list(range(atom.size)):
            return [(axis, atom)], entries
        if atom.kind == "S":
            return ([(axis, replace(atom, size=len(entries)))] if len(entries) > 1 else []), entries
        return [(axis, Atom("C" if atom.kind != "B" else "B", len(entries)))], entries
    if not along:
        raise NoRule("one pixel is picked by an index")
    ordered = sorted(along, key=lambda d: -len(along[d]))
    outer = ordered[0]
    offset = atom.offset + atom.spacing * start
    result: list[tuple[int, Atom]] = []
    for d in ordered[1:]:
        shifts = [Fraction(int(x - along[d][0])) for x in along[d]]
        middle = (max(shifts) + min(shifts)) / 2
        offset += atom.spacing * middle
        places = tuple(atom.spacing * (x - middle) for x in shifts)
        result.append((d, Atom("W", len(places), atom.axis, places=places)))
    row = along[outer]
    steps = {int(b - a) for a, b in pairwise(row)}
    if len(steps) == 1:
        spacing = atom.spacing * steps.pop()
        return [(outer, Atom("X", len(row), atom.axis, spacing, offset)), *result], []
    if result:
        raise NoRule("windows around rearranged samples")
    places = tuple(offset + atom.spacing * int(x - row[0]) for x in row)
    return [(outer, Atom("P", len(places), atom.axis, places=places))], []


def _row(digit: Tensor, filled: Tensor, axis: int) -> list[float]:
    """A line of the digit along an axis that meets no filled entry; extrapolated where there is none."""
    lines = digit.movedim(axis, -1).reshape(-1, digit.shape[axis])
    gaps = filled.movedim(axis, -1).reshape(-1, digit.shape[axis])
    best = int(gaps.sum(1).argmin())
    line, gap = lines[best].tolist(), gaps[best].tolist()
    known = [i for i, g in enumerate(gap) if not g]
    if len(known) < 2 and any(gap):
        raise NoRule("windows that lie outside the image")
    if any(gap):
        step = (line[known[1]] - line[known[0]]) // (known[1] - known[0])
        line = [line[known[0]] + step * (i - known[0]) for i in range(len(line))]
    return [float(x) for x in line]


def _origin(digit: Tensor, filled: Tensor, along: dict[int, list[float]]) -> int:
    """The digit at index 0 of every axis, also where that entry is filled."""
    place = (~filled).nonzero()[0].tolist()
    value = float(digit[tuple(place)])
    for d, row in along.items():
        value -= row[place[d]] - row[0]
    return int(value)


@lowering("unfold", "gather", "index")
def _moved(self: Interpreter, node: Node) -> Type:
    if node.op == "aten.index" and len({n for n in node.args[1] if n is not None}) != 1:
        raise NoRule("several axes are indexed at once")
    return moved(self, node)


@lowering("as_strided")
def _as_strided(self: Interpreter, node: Node) -> Type:
    if not node.args[0].contiguous:
        raise NoRule("strides of memory in another order")
    return moved(self, node)


@lowering("im2col")
def _patches(self: Interpreter, node: Node) -> Type:
    kind = self.type_of(node.args[0])
    _, kernel, dilation, padding, stride = arguments(
        node, "self", "kernel_size", "dilation", "padding", "stride", dilation=[1, 1], padding=[0, 0], stride=[1, 1]
    )
    n, c, h, w = kind.shape
    count = [
        (size + 2 * p - d * (k - 1) - 1) // s + 1
        for size, k, d, p, s in zip((h, w), kernel, dilation, padding, stride, strict=True)
    ]
    return moved(self, node, [n, c, *kernel, *count])


def _given(values: Any, self: Interpreter, number: Tensor) -> Any:
    """Arguments with the entries' numbers for the features and values for constants."""
    if isinstance(values, Node):
        known = self.values[values]
        return number if isinstance(known, Type) else self.constant(values).real
    if isinstance(values, (list, tuple)):
        return type(values)(_given(v, self, number) for v in values)
    if isinstance(values, dict):
        return {k: _given(v, self, number) for k, v in values.items()}
    return values
