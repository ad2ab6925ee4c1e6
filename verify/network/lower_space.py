"""Operators on axes: reshapes, reads, grids, channels, scale channels."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from . import core
from .domain import Atom, NoRule, Type, size
from .graph import Node
from .lower import Interpreter, _plain, arguments, dims, lowering


@lowering(
    "view", "reshape", "_unsafe_view", "flatten", "squeeze", "unsqueeze", "unflatten", "view_copy", "squeeze_copy"
)
def _reshape(self: Interpreter, node: Node) -> Type:
    if node.shape is None:
        raise NoRule("a reshape of unknown result")
    try:
        return self.apply(node, "reshape", [node.args[0]], shape=list(node.shape))
    except NoRule as error:
        from .lower_moved import moved

        if "spatial" not in str(error):
            raise
        return moved(self, node)


@lowering("permute", "transpose", "movedim", "t", "mT", "numpy_T", "swapaxes")
def _permute(self: Interpreter, node: Node) -> Type:
    rank = len(self.type_of(node.args[0]).axes)
    order = list(range(rank))
    if node.op == "aten.permute":
        order = [d % rank for d in node.args[1]]
    elif node.op in ("aten.transpose", "aten.swapaxes"):
        a, b = (d % rank for d in node.args[1:3])
        order[a], order[b] = order[b], order[a]
    elif node.op == "aten.t" and rank == 2:
        order = [1, 0]
    else:
        raise NoRule(node.op)
    return self.apply(node, "permute", [node.args[0]], dims=order)


@lowering("expand", "broadcast_to", "repeat")
def _expand(self: Interpreter, node: Node) -> Type:
    kind = self.type_of(node.args[0])
    shape = list(node.shape or ())
    lead = len(shape) - len(kind.axes)
    if any(n not in (1, m) for n, m in zip(kind.shape, shape[lead:], strict=True)):
        raise NoRule("repetition of an axis of several entries")
    if any(
        m > 1 and n == 1 and i >= len(shape) - self.ndim
        for i, (n, m) in enumerate(zip(kind.shape, shape[lead:], strict=True), lead)
    ):
        raise NoRule("one value is repeated over space")
    return self.apply(node, "expand", [node.args[0]], shape=shape)


@lowering("getitem")
def _getitem(self: Interpreter, node: Node) -> Any:
    source, index = node.args
    value = self.values[source]
    parts = getattr(value, "parts", None)
    if isinstance(value, Parts):
        part = value.items[index]
        if not isinstance(part, Type):
            return part
        data: dict[str, Any] = {"index": index}
        if value.counts and part.n_scales < value.n_scales:
            start = sum(value.counts[:index])
            data["picked"] = list(range(start, start + part.n_scales))
        return self.record(node, "part", [source], data, part)
    del parts
    if index == 0 and isinstance(value, Type):
        return self.record(node, "identity", [source], {}, value)
    raise NoRule(f"output {index} of {source.op}")


class Parts:
    """A tuple of types."""

    def __init__(self, items: Sequence[Any], counts: Sequence[int] = (), n_scales: int = 1) -> None:
        self.items, self.counts, self.n_scales = list(items), list(counts), n_scales


@lowering("select")
def _select(self: Interpreter, node: Node) -> Type:
    field, axis, index = node.args[:3]
    kind = self.type_of(field)
    axis %= len(kind.axes)
    return _take(self, node, field, kind, axis, int(index), keep=False)


def _take(self: Interpreter, node: Node, field: Node, kind: Type, axis: int, index: int, *, keep: bool) -> Type:
    atoms = kind.axes[axis]
    n = size(atoms)
    index %= n
    if not atoms or {a.kind for a in atoms} <= set("BCR"):
        axes = list(kind.axes)
        if keep:
            axes[axis] = ()
        else:
            del axes[axis]
        picked = all(a.kind == "R" for a in atoms)
        kind = replace(kind, axes=tuple(axes), pool=None)
        if not atoms and axis and not keep:
            terms = tuple(replace(s, term=self.terms.number("dropped", axis, s.term)) for s in kind.slices)
            kind = replace(kind, slices=terms)
        if not picked:
            terms = tuple(replace(s, term=self.terms.number("channel", axis, index, s.term)) for s in kind.slices)
            kind = replace(kind, slices=terms)
        data = {"axis": axis, "index": index, "keep": keep}
        return self.record(node, "channel", [field], data, kind)
    if [a.kind for a in atoms] == ["S"]:
        result = core.pick_scales(kind, axis=axis, indices=[index], keep=keep, node=node.name)
        return self.record(node, "pick-scales", [field], {"axis": axis, "picked": [index], "keep": keep}, result)
    if [a.kind for a in atoms] == ["W"]:
        return _take_phase(self, node, field, kind, axis, index, keep)
    if [a.kind for a in atoms] in (["X"], ["P"]):
        result = core.select_space(kind, self.terms, axis=axis, index=index, keep=keep)
        return self.record(node, "read", [field], {"axis": axis, "index": index, "keep": keep}, result)
    raise NoRule("an entry of a merged axis")


def _take_phase(self: Interpreter, node: Node, field: Node, kind: Type, axis: int, index: int, keep: bool) -> Type:
    """One sample of every window: the grid of the windows, shifted."""
    (window,) = kind.axes[axis]
    axes = [
        tuple(
            replace(a, offset=a.offset + window.places[index]) if a.kind == "X" and a.axis == window.axis else a
            for a in one
        )
        for one in kind.axes
    ]
    axes[axis] = ()
    if not keep:
        del axes[axis]
    result = replace(kind, axes=tuple(axes), pool=None)
    return self.record(node, "moved", [field], {"shape": list(result.shape)}, result)


@lowering("slice")
def _slice(self: Interpreter, node: Node) -> Type:
    field, axis, start, end, step = arguments(node, "self", "dim", "start", "end", "step", dim=0, step=1)
    kind = self.type_of(field)
    axis %= len(kind.axes)
    n = kind.shape[axis]
    first, last, stride = slice(start, end, step).indices(n)
    indices = list(range(first, last, stride))
    atoms = kind.axes[axis]
    if len(indices) == n and stride == 1:
        return self.record(node, "identity", [field], {}, kind)
    kinds = [a.kind for a in atoms]
    if not indices:
        raise NoRule("an empty slice")
    if kinds == ["X"]:
        if len(indices) == 1:
            return _take(self, node, field, kind, axis, indices[0], keep=True)
        data = {"axis": axis, "start": first, "step": stride, "count": len(indices)}
        return self.record(node, "regrid", [field], data, core.regrid(kind, **data))
    if kinds == ["S"]:
        result = core.pick_scales(kind, axis=axis, indices=indices, keep=True, node=node.name)
        return self.record(node, "pick-scales", [field], {"axis": axis, "picked": indices, "keep": True}, result)
    if set(kinds) <= set("BCR"):
        return _channels(self, node, field, kind, axis, len(indices), ("slice", first, stride, len(indices)))
    raise NoRule("a slice of a merged axis")


def _channels(self: Interpreter, node: Node, field: Node, kind: Type, axis: int, count: int, key: Any) -> Type:
    """Another selection, order or symmetric function of the channels."""
    result = _channels_of(self, kind, axis, count, key)
    return self.record(node, "channels", [field], {"axis": axis, "count": count, "what": _plain(key)}, result)


def _channels_of(self: Interpreter, kind: Type, axis: int, count: int, key: Any) -> Type:
    axes = list(kind.axes)
    letter = "B" if all(a.kind == "B" for a in kind.axes[axis]) and kind.axes[axis] else "C"
    axes[axis] = (Atom(letter, count),) if count > 1 else ()
    slices = tuple(replace(s, term=self.terms.number("channels", axis, key, s.term)) for s in kind.slices)
    return replace(kind, axes=tuple(axes), slices=slices, pool=None)


@lowering("flip")
def _flip(self: Interpreter, node: Node) -> Type:
    kind = self.type_of(node.args[0])
    axes = [d % len(kind.axes) for d in node.args[1]]
    data: dict[str, Any] = {"axes": axes}
    for axis in axes:
        kinds = [a.kind for a in kind.axes[axis]]
        if kinds == ["X"]:
            n = kind.shape[axis]
            kind = core.regrid(kind, axis=axis, start=n - 1, step=-1, count=n)
        elif kinds == ["S"]:
            data["picked"] = list(range(kind.n_scales)[::-1])
            kind = core.pick_scales(kind, axis=axis, indices=data["picked"], keep=True, node=node.name)
        elif not set(kinds) <= set("BCR"):
            raise NoRule("a flip of a merged axis")
        else:
            kind = replace(
                kind, slices=tuple(replace(s, term=self.terms.number("flip", axis, s.term)) for s in kind.slices)
            )
    return self.record(node, "flip", [node.args[0]], data, kind)


@lowering("roll")
def _roll(self: Interpreter, node: Node) -> Type:
    kind = self.type_of(node.args[0])
    shifts, axes = node.args[1], dims(node.args[2] if len(node.args) > 2 else None, len(kind.axes))
    data: dict[str, Any] = {"shifts": list(shifts), "axes": axes}
    for shift, axis in zip(shifts, axes, strict=True):
        n = kind.shape[axis]
        shift = (int(shift) + n // 2) % n - n // 2  # the way round that moves the centre least
        if not shift:
            continue
        if [a.kind for a in kind.axes[axis]] == ["S"]:
            order = [(i - shift) % n for i in range(n)]
            data["picked"] = order
            kind = core.pick_scales(kind, axis=axis, indices=order, keep=True, node=node.name)
            continue
        if [a.kind for a in kind.axes[axis]] != ["X"]:
            raise NoRule("a rolled axis that is not spatial")
        kind = core.regrid(kind, axis=axis, start=-shift, step=1, count=n)
    return self.record(node, "roll", [node.args[0]], data, kind)


@lowering("index_select")
def _index_select(self: Interpreter, node: Node) -> Type:
    field, axis, index = node.args[:3]
    kind = self.type_of(field)
    axis %= len(kind.axes)
    indices = [int(i) for i in self.constant(index).real.tolist()]
    kinds = [a.kind for a in kind.axes[axis]]
    if kinds == ["S"]:
        result = core.pick_scales(kind, axis=axis, indices=indices, keep=True, node=node.name)
        return self.record(node, "pick-scales", [field], {"axis": axis, "picked": indices, "keep": True}, result)
    if set(kinds) <= set("BCR"):
        return _channels(self, node, field, kind, axis, len(indices), ("index", tuple(indices)))
    if kinds == ["X"]:
        from .lower_moved import moved

        return moved(self, node)
    raise NoRule("an index along an axis that does not hold channels")
