"""Operators that take axes away or together: reductions, joins, splits."""

from dataclasses import replace
from fractions import Fraction
from typing import Any

import torch

from . import core
from .domain import Atom, NoRule, Refuted, Type, size
from .graph import Node
from .lower import Interpreter, dims, lowering
from .lower_point import _is_field, covers, sampled_finely
from .lower_space import Parts, _channels, _take
from .lower_windows import _refuse_pool, refused_window

REDUCTIONS = {
    "amax": "max",
    "amin": "min",
    "max": "max",
    "min": "min",
    "mean": "mean",
    "sum": "sum",
    "logsumexp": "logsumexp",
    "all": "all",
    "any": "any",
    "var": "var",
    "std": "std",
    "prod": "prod",
    "argmax": "argmax",
    "median": "median",
    "linalg_vector_norm": "norm",
    "norm": "norm",
}
HOMOGENEOUS = {"max", "min", "mean", "sum", "argmax", "median", "std", "norm"}


@lowering(
    "amax",
    "amin",
    "mean",
    "sum",
    "logsumexp",
    "all",
    "any",
    "argmax",
    "var",
    "std",
    "prod",
    "median",
    "linalg_vector_norm",
)
def reduction(self: Interpreter, node: Node) -> Any:
    """A reduction over any axes, one kind of axis after the other."""
    field = node.args[0]
    kind = self.type_of(field)
    if kind.index:
        raise NoRule("arithmetic with the number of a scale channel")
    name = REDUCTIONS[node.op.removeprefix("aten.")]
    counted = node.kwargs.get("dtype")
    if counted is not None and counted not in (torch.float32, torch.float64):
        raise NoRule(f"{name} in numbers of type {counted}")
    if name == "norm" and len(node.args) > 1 and float(node.args[1]) == 0:
        raise NoRule("a count of entries that are not 0")
    position = 2 if name == "norm" else 1
    raw = node.args[position] if len(node.args) > position else node.kwargs.get("dim")
    keep = bool(node.args[position + 1]) if len(node.args) > position + 1 else bool(node.kwargs.get("keepdim", False))
    pair = node.op in ("aten.max", "aten.min", "aten.median") and raw is not None
    if name in ("var", "std") and len(node.args) > 2:
        keep = bool(node.kwargs.get("keepdim", False))
    axes = dims(raw, len(kind.axes))
    reduced = [a for i in axes for a in kind.axes[i]]
    if name in ("max", "min") and any(
        w.kind == "W" and x.kind == "X" and w.axis == x.axis for w in reduced for x in reduced
    ):
        raise NoRule(f"{name} over windows and over where they are at once")
    result = kind
    for axis in sorted(axes, reverse=True):
        result = _reduce_axis(self, node, result, name, axis, keep)
    data = {"function": name, "axes": axes, "keep": keep, "canvas": self.canvas}
    if name == "norm" and len(node.args) > 1:
        data["power"] = float(node.args[1])
    self.record(node, "reduce", [field], data, result)
    if not pair:
        return result
    if all(a.kind == "S" for i in axes for a in kind.axes[i]) and kind.n_scales > 1 and name != "median":
        return Parts([result, replace(result, index=True, weight=Fraction(0))])
    return Parts([result, NoRule("an index")])


def _reduce_axis(self: Interpreter, node: Node, kind: Type, name: str, axis: int, keep: bool) -> Type:
    while True:
        atoms = kind.axes[axis]
        scale = any(a.kind == "S" for a in atoms)
        space = next((a for a in atoms if a.kind == "X"), None)
        if scale:
            if len(atoms) > 1 and name in ("argmax", "var", "std"):
                raise NoRule(f"{name} of a merged scale axis")
            if kind.slices[0].anchor is None and kind.n_scales < 2:
                raise NoRule("a scale axis of one channel")
            if name == "argmax" and kind.slices[0].anchor is None:
                raise NoRule("argmax over copies")
            kind = core.pool_scales(
                kind, self.terms, function=name, axis=axis, keep=True, homogeneous=name in HOMOGENEOUS
            )
            if name == "argmax":
                kind = replace(kind, weight=Fraction(0))
            continue
        window = next((a for a in atoms if a.kind == "W"), None)
        if window is not None:
            raise refused_window(name, window.places)
        rearranged = next((a for a in atoms if a.kind == "P"), None)
        if rearranged is not None:
            grid = set(core.image(self.input_shape).axes[2 + rearranged.axis][0].positions)
            if set(rearranged.places) != grid or name not in ("max", "min"):
                raise NoRule(f"{name} of rearranged samples")
            space = replace(rearranged, kind="X", spacing=Fraction(1), offset=min(grid), places=())
            kind = replace(kind, axes=tuple(tuple(space if a is rearranged else a for a in one) for one in kind.axes))
            continue
        if space is not None:
            if len(atoms) > 1 and name not in ("max", "min", "mean", "sum"):
                raise NoRule(f"{name} of a merged axis")
            pair = self.input_shape[2 + space.axis] % 2 == 0 and space.size == 2
            if pair and name == "mean" and abs(space.spacing) == 1 and space.offset + space.spacing / 2 == 0:
                axes = list(kind.axes)
                axes[axis] = tuple(a for a in atoms if a is not space)
                slices = tuple(replace(s, term=self.terms.number("even centre mean", s.term)) for s in kind.slices)
                kind = replace(kind, axes=tuple(axes), slices=slices)
                continue
            full = covers(self, space)
            sampled_finely(kind, space)
            if name in ("var", "std", "logsumexp", "median") or (name == "norm" and len(node.args) > 1):
                kind = _statistic(self, node, kind, name, axis, space, full)
                continue
            if not full and name == "mean" and abs(space.spacing) * space.size <= 5:
                _refuse_pool(kind, [axis], [space.size], "mean") if len(atoms) == 1 else None
            kind = core.over_space(
                kind, self.terms, function=name, axis=axis, keep=True, canvas=self.canvas, full=full, ndim=self.ndim
            )
            continue
        break
    atoms = kind.axes[axis]
    axes = list(kind.axes)
    if keep:
        axes[axis] = ()
    else:
        del axes[axis]
    reduced = replace(kind, axes=tuple(axes), pool=None)
    if not atoms:
        return (
            reduced
            if name not in ("logsumexp", "var", "std", "all", "any", "argmax", "prod", "norm")
            else _changed(self, reduced, name)
        )
    if name in ("all", "any", "argmax"):
        return _changed(self, replace(reduced, weight=Fraction(0), black=False), name)
    degree = Fraction(2) if name == "var" else Fraction(1) if name in HOMOGENEOUS else None
    if name == "prod":
        degree = Fraction(size(atoms))
    return core.pointwise(
        [reduced], self.terms, function=f"{name} of channels {axis}", degree=degree, zero=name not in ("logsumexp",)
    )


def _statistic(self: Interpreter, node: Node, kind: Type, name: str, axis: int, space: Atom, full: bool) -> Type:
    """A norm of a black background grows with the object's area; any other statistic is refused."""
    from .lower_canvas import refused_statistic

    if name != "norm":
        raise refused_statistic(self, node, kind, name)
    power = Fraction(str(float(node.args[1])))
    if power <= 0 or not full:
        raise NoRule("a norm over space")
    weight = kind.weight
    result = core.over_space(
        kind, self.terms, function="sum", axis=axis, keep=True, canvas=self.canvas, full=full, ndim=self.ndim
    )
    slices = tuple(replace(s, term=self.terms.number("norm", str(power), s.term)) for s in result.slices)
    return replace(result, weight=weight + 1 / power, slices=slices)


def _changed(self: Interpreter, kind: Type, name: str) -> Type:
    return core.pointwise([kind], self.terms, function=name, degree=None, zero=False)


@lowering("cat", "stack")
def _join(self: Interpreter, node: Node) -> Type:
    parts = list(node.args[0])
    new = node.op == "aten.stack"
    fields = [p for p in parts if _is_field(self, p)]
    kinds: list[Type] = []
    rank = len(self.type_of(fields[0]).axes)
    raw = node.args[1] if len(node.args) > 1 else node.kwargs.get("dim", 0)
    axis = raw % (rank + (1 if new else 0))
    reference = self.type_of(fields[0])
    for p in parts:
        if _is_field(self, p):
            kinds.append(self.type_of(p))
            continue
        constant = self.constant(p)
        host = reference
        if not new:
            axes = list(reference.axes)
            n = int(constant.real.shape[axis])
            axes[axis] = (Atom("C", n),) if n > 1 else ()
            host = replace(reference, axes=tuple(axes))
        host, codes, _ = self.meet(constant, host, node)
        if reference.weight and bool((constant.real != 0).any()):
            raise Refuted(
                "bias",
                f"a constant is joined to features of weight {reference.weight}",
                {"kind": "weights", "weights": [str(reference.weight), "0"]},
            )
        slices = tuple(
            replace(s, term=self.terms.number("constant", codes[i if len(codes) > 1 else 0]))
            for i, s in enumerate(host.slices)
        )
        kinds.append(core.settle(replace(host, slices=slices, black=bool((constant.real == 0).all()))))
    result = core.join(kinds, self.terms, axis=axis, new=new)
    before = max(k.n_scales for k in kinds)
    data = {"axis": axis, "new": new, "parts": len(parts), "scales": result.n_scales > before}
    return self.record(node, "join", fields, data, result)


@lowering("unbind", "split", "split_with_sizes", "chunk", "tensor_split")
def _split(self: Interpreter, node: Node) -> Any:
    field = node.args[0]
    kind = self.type_of(field)
    place = 1 if node.op == "aten.unbind" else 2
    raw = node.args[place] if len(node.args) > place else node.kwargs.get("dim", 0)
    axis = raw % len(kind.axes) if isinstance(raw, int) else 0
    n = kind.shape[axis]
    if node.op == "aten.unbind":
        counts = [1] * n
    elif node.op == "aten.split":
        counts = [min(node.args[1], n - i) for i in range(0, n, node.args[1])]
    elif node.op == "aten.split_with_sizes":
        counts = list(node.args[1])
    else:
        raise NoRule(node.op)
    keep = node.op != "aten.unbind"
    self.record(node, "split", [field], {"axis": axis, "counts": counts}, kind)
    own_steps = len(self.steps)
    items: list[Any] = []
    start = 0
    kinds = [a.kind for a in kind.axes[axis]]
    for count in counts:
        indices = list(range(start, start + count))
        start += count
        if kinds == ["S"]:
            items.append(core.pick_scales(kind, axis=axis, indices=indices, keep=keep, node=node.name))
        elif set(kinds) <= set("BCR"):
            if keep:
                items.append(_channels(self, node, field, kind, axis, count, ("split", indices[0], count)))
            else:
                items.append(_take(self, node, field, kind, axis, indices[0], keep=False))
        elif kinds == ["X"] and count == 1:
            items.append(core.select_space(kind, self.terms, axis=axis, index=indices[0], keep=keep))
        elif kinds == ["X"]:
            items.append(core.regrid(kind, axis=axis, start=indices[0], step=1, count=count))
        else:
            raise NoRule("a split of a merged axis")
    del self.steps[own_steps:]  # every part has a step where it is taken
    return Parts(items, counts, kind.n_scales)
