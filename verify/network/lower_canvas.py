"""Operators over the whole canvas, over windows of scale channels, in place, at random; resampling by coordinates."""

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Any

import torch
from torch import Tensor

from . import core
from .constants import DRAWS, Constant
from .domain import Atom, NoRule, Refuted, Type
from .graph import Node
from .lower import Interpreter, absolute_position, arguments, lowering
from .lower_point import _is_field, _pointwise, covers


@lowering("zeros_like", "ones_like", "full_like", "new_zeros", "new_ones", "new_full", "empty_like")
def _like(self: Interpreter, node: Node) -> Constant:
    if node.op == "aten.empty_like":
        raise NoRule("memory that was not written")
    example = torch.zeros(self.type_of(node.args[0]).shape, dtype=self.dtype)
    value = node.target(example, *node.args[1:], **node.kwargs)
    return Constant((value,) * (DRAWS + 1))


for _name in ("atan2", "hypot", "fmod", "remainder", "logaddexp", "copysign", "xlogy", "nextafter"):

    @lowering(_name)
    def _binary(self: Interpreter, node: Node) -> Type:
        a, b = node.args[:2]
        if not (_is_field(self, a) and _is_field(self, b)):
            raise NoRule(f"{node.op} of features and a constant")
        return _pointwise(self, node, [a, b], node.op.removeprefix("aten."), None, False)


def refused_statistic(self: Interpreter, node: Node, kind: Type, name: str) -> Refuted | NoRule:
    """A statistic over space that is no maximum, mean or sum."""
    if self.canvas != "fixed":
        return NoRule(f"{name} over space")
    shares = "shares of object and background change with scale"
    if name in ("var", "std", "softmax", "log_softmax", "attention"):
        background = "1" if "softmax" in name or name == "attention" else "0"
        witness: dict[str, Any] = {"kind": "canvas", "background": background}
        return Refuted("canvas-norm", f"{name} over a canvas of fixed size: {shares}", witness)
    if name == "logsumexp":
        witness = {"kind": "canvas", "background": "1"}
        return Refuted("canvas-mean", f"a sum of exponentials over a canvas of fixed size: {shares}", witness)
    if name == "median":
        witness = {"kind": "canvas", "background": "0", "function": "median"}
        return Refuted("canvas-rank", f"a middle rank over a canvas of fixed size: {shares}", witness)
    return NoRule(f"{name} over space")


@lowering("scaled_dot_product_attention", "_scaled_dot_product_flash_attention_for_cpu")
def _attention(self: Interpreter, node: Node) -> Type:
    key = self.type_of(node.args[1])
    if any(a.kind in "XPW" for a in key.axes[-2]):
        raise refused_statistic(self, node, key, "attention")
    raise NoRule("attention between channels or images")


def running_sum(self: Interpreter, node: Node, kind: Type, axis: int) -> Type:
    """Cumsum over space: the integral up to half a pixel beyond every sample; of weight w + 1 on a black background."""
    (atom,) = kind.axes[axis]
    if self.canvas != "fixed" or not covers(self, atom) or atom.spacing < 0:
        raise NoRule("a running sum over part of the canvas, or on a canvas that is scaled")
    if not kind.black:
        raise Refuted(
            "canvas-mean",
            "a running sum over a canvas of fixed size of features that are not 0 on a black background",
            {"kind": "canvas", "background": "?"},
        )
    axes = list(kind.axes)
    axes[axis] = (replace(atom, offset=atom.offset + atom.spacing / 2),)
    slices = tuple(replace(s, term=self.terms.number("running sum", atom.axis, s.term)) for s in kind.slices)
    return replace(kind, axes=tuple(axes), weight=kind.weight + 1, slices=slices, black=False, flat=False, pool=None)


@lowering("copy")
def _copy(self: Interpreter, node: Node) -> Any:
    target, source = node.args[:2]
    shape = node.shape or ()
    if not _is_field(self, target) and not self.constant(target).real.is_floating_point():
        raise NoRule("features are written into integers")
    if not _is_field(self, source):
        value = self.constant(source)
        dtype = self.dtype if _is_field(self, target) else self.constant(target).real.dtype
        return Constant(tuple(torch.as_tensor(v).to(dtype).expand(shape) for v in value.values))
    if _is_field(self, target) and node.args[0].dtype != node.args[1].dtype:
        raise NoRule("features are written into numbers of another type")
    kind = self.type_of(source)
    if kind.shape != tuple(shape):
        kind = core.expand(kind, shape)
    return self.record(node, "identity", [source], {}, kind)


@lowering("select_scatter", "slice_scatter", "index_put")
def _scatter(self: Interpreter, node: Node) -> Type:
    """Some entries along an axis replaced."""
    if node.op == "aten.index_put":
        field, where, source = node.args[:3]
        if (node.args[3] if len(node.args) > 3 else False) or sum(i is not None for i in where) != 1:
            raise NoRule("entries are added at indices")
        axis = next(i for i, n in enumerate(where) if n is not None)
        index = self.constant(where[axis]).real
        n = self.type_of(field).shape[axis]
        entries = torch.arange(n)[index].flatten().tolist()
    else:
        field, source, axis = node.args[:3]
        axis %= len(self.type_of(field).axes)
        n = self.type_of(field).shape[axis]
        if node.op == "aten.select_scatter":
            entries = [int(node.args[3]) % n]
        else:
            start, end, step = arguments(node, "self", "src", "dim", "start", "end", "step", step=1)[3:]
            entries = list(range(n))[slice(start, end, step)]
    if not _is_field(self, field):
        raise NoRule("features are written into a constant")
    kind = self.type_of(field)
    atoms = kind.axes[axis]
    kinds = {a.kind for a in atoms}
    if len(entries) == n and _is_field(self, source) and self.type_of(source).shape == kind.shape:
        return self.record(node, "identity", [source], {}, self.type_of(source))
    if kinds == {"X"}:
        written = torch.zeros(n, dtype=torch.float64)
        written[entries] = 1
        raise absolute_position(written, list(atoms), True, True, self.canvas)
    if kinds == {"S"} and not _is_field(self, source):
        raise Refuted(
            "unshared", "one scale channel is overwritten", {"kind": "unshared", "channels": _two(entries, n)}
        )
    if not kinds <= set("BCR"):
        raise NoRule("entries are replaced along this axis")
    others = [kind]
    codes: list[int] = []
    zero = True
    if _is_field(self, source):
        own = self.type_of(source)
        if own.weight != kind.weight:
            raise NoRule("features of another weight are written")
        flat = [a for i, a in enumerate(kind.axes) if i != axis]
        mine = list(own.axes) if len(own.axes) == len(flat) else [a for i, a in enumerate(own.axes) if i != axis]
        if [a for a in mine if a] != [a for a in flat if a] and any("X" in {b.kind for b in a} for a in mine):
            raise NoRule("features of another layout are written")
        others.append(own)
    else:
        value = self.constant(source)
        if any(torch.as_tensor(v).numel() > 1 for v in value.values) or (kind.weight and bool((value.real != 0).any())):
            raise NoRule("a constant is written")
        codes, zero = [self.digest(value.values)], bool((value.real == 0).all())
    flat_kinds = [replace(k, axes=()) for k in others]
    terms = [[self.terms.number("gain", s.term, self.terms.snap(s.gain)) for s in k.slices] for k in others]
    merged = core.combine(
        flat_kinds,
        self.terms,
        function=f"written {axis} {entries}",
        weight=kind.weight,
        codes=terms,
        zero=zero,
        extra=codes,
    )
    axes = list(kind.axes)
    axes[axis] = (Atom("B" if kinds == {"B"} else "C", n),) if n > 1 else ()
    result = core.settle(
        replace(merged, axes=tuple(axes), black=merged.black and all(core.dark(k, axes) for k in others))
    )
    premises = [field, *([source] if _is_field(self, source) else [])]
    return self.record(node, "written", premises, {"axis": axis, "entries": entries, "constants": codes}, result)


def _two(entries: Sequence[int], n: int) -> list[int]:
    other = next((i for i in range(n) if i not in entries), 0)
    return [other, entries[0]]


def scale_window(
    self: Interpreter, node: Node, kind: Type, axis: int, size: int, step: int, padding: int, what: Any
) -> Type:
    """A function of `size` neighbouring scale channels, the same at every scale, neutral beyond the ends.

    The anchors move to the middle of the window; a grid with room for one window only leaves one fixed sigma.
    """
    n = kind.n_scales
    if step != 1 or [a.kind for a in kind.axes[axis]] != ["S"] or kind.slices[0].anchor is None:
        raise NoRule("a window over scale channels with steps, or of copies")
    count = n + 2 * padding - size + 1
    anchors = [s.anchor for s in kind.slices if s.anchor is not None]
    ratio = tuple(b - a for a, b in zip(anchors[0], anchors[1], strict=True))
    term = self.terms.number("scale window", kind.slices[0].term, size, padding, what, self.terms.snap(ratio))
    middle = (size - 1) / 2 - padding
    places = [tuple(a + r * (i + middle) for a, r in zip(anchors[0], ratio, strict=True)) for i in range(count)]
    slices = tuple(replace(kind.slices[0], term=term, anchor=place) for place in places)
    axes = list(kind.axes)
    axes[axis] = (Atom("S", count),) if count > 1 else ()
    lost = kind.lost or (node.name if count == 1 else None)
    return core.settle(replace(kind, axes=tuple(axes), slices=slices, lost=lost, pool=None))


def random_value(self: Interpreter, node: Node) -> Refuted | NoRule:
    """Two runs of a random operator on the same operands."""

    def take(argument: Any) -> Any:
        if isinstance(argument, Node):
            known = self.values[argument]
            if isinstance(known, Type):
                return torch.ones(known.shape, dtype=self.dtype)
            return self.constant(argument).real
        if isinstance(argument, (list, tuple)):
            return type(argument)(take(a) for a in argument)
        return argument

    def run() -> Tensor:
        out = node.target(*take(node.args), **{k: take(v) for k, v in node.kwargs.items()})
        first = out[0] if isinstance(out, tuple) else out
        return torch.as_tensor(first).double().flatten()

    try:
        for _ in range(3):
            one, other = run(), run()
            k = int((one - other).abs().argmax())
            if float(one[k]) != float(other[k]):
                witness = {"kind": "random", "values": [float(one[k]), float(other[k])]}
                return Refuted("random", f"{node.op} draws random numbers: two runs on one image differ", witness)
    except (RuntimeError, TypeError, ValueError, IndexError):
        pass
    return NoRule("a random value")


@lowering("grid_sampler_2d", "grid_sampler_3d", "grid_sampler")
def _grid_sample(self: Interpreter, node: Node) -> Type:
    self.constant(node.args[1])
    raise resampled(self, node)


def resampled(self: Interpreter, node: Node) -> Refuted | NoRule:
    """What a linear resampling of space means: the taps of a sample near the centre that lies between pixels."""
    kind = self.type_of(node.args[0])
    if self.canvas != "fixed":
        return NoRule("resampling on a canvas that is scaled")
    n = self.ndim
    atoms = [axis[0] for axis in kind.axes[-n:] if len(axis) == 1 and axis[0].kind == "X"]
    if len(atoms) != n:
        return NoRule("resampling of axes that are not the image's")
    with torch.enable_grad():
        image = torch.zeros(kind.shape, dtype=self.dtype, requires_grad=True)
        rest = [self.constant(a).real if isinstance(a, Node) else a for a in node.args[1:]]
        out = node.target(image, *rest, **node.kwargs)
        middle = [m // 2 for m in out.shape[-n:]]
        for shift in ([0] * n, [0] * (n - 1) + [1], [1] + [0] * (n - 1), [1] * n, [2] * n, [-1] * n):
            place = tuple(min(max(m + d, 0), k - 1) for m, d, k in zip(middle, shift, out.shape[-n:], strict=True))
            (row,) = torch.autograd.grad(out[(0,) * (out.ndim - n) + place], image, retain_graph=True)
            table = row[(0,) * (row.ndim - n)].double()
            for axis in range(n):
                line = table.sum([k for k in range(n) if k != axis]).tolist()
                mean = sum(v * float(p) for v, p in zip(line, atoms[axis].positions, strict=True))
                taps = [
                    [str((p - Fraction(mean)).limit_denominator(1000)), str(Fraction(v).limit_denominator(1000))]
                    for v, p in zip(line, atoms[axis].positions, strict=True)
                    if abs(v) > 1e-3
                ]
                if len(taps) > 1:
                    return Refuted(
                        "resampling",
                        "features are interpolated on another grid: what a pixel gets depends on where it lies "
                        "between the old ones",
                        {"kind": "taps", "taps": taps},
                    )
        first = torch.autograd.grad(out[(0,) * (out.ndim - n) + tuple(middle)], image)[0]
    table = first[(0,) * (first.ndim - n)]
    read = [int(k) for k in torch.unravel_index(table.abs().argmax(), table.shape)]
    here = [a.positions[k] for a, k in zip(atoms, read, strict=True)]
    spans = [Fraction(m - 1, 2) for m in out.shape[-n:]]
    for position, span, m in zip(here, spans, middle, strict=True):
        if tuple(out.shape[-n:]) == kind.shape[-n:] and position != m - span:
            return Refuted(
                "resampling",
                f"features are read {abs(position - (m - span))} pixels beside the pixel that gets them",
                {"kind": "read", "position": str(position - (m - span))},
            )
    return NoRule("resampling on the same points")
