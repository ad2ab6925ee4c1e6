"""Operators on axes: reshapes, reads, grids, windows, reductions, joins, scale channels."""

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Any

import torch

from . import core
from .domain import Atom, NoRule, Refuted, Type, size
from .graph import Node
from .lower import BLACK, Interpreter, _plain, arguments, dims, lowering
from .lower_point import _constant_step, _is_field, covers


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
        result = core.select_space(kind, axis=axis, index=index, keep=keep)
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


@lowering(
    "pad",
    "constant_pad_nd",
    "reflection_pad1d",
    "reflection_pad2d",
    "reflection_pad3d",
    "replication_pad1d",
    "replication_pad2d",
    "replication_pad3d",
)
def _pad(self: Interpreter, node: Node) -> Type:
    kind = self.type_of(node.args[0])
    pads = list(node.args[1])
    mode = "other"
    if node.op == "aten.constant_pad_nd":
        mode, value = "constant", arguments(node, "self", "pad", "value", value=0)[2]
    elif node.op == "aten.pad":
        mode, value = arguments(node, "self", "pad", "mode", "value", mode="constant")[2:]
    value = 0 if mode != "constant" or value is None else value
    for i in range(len(pads) // 2):
        axis = len(kind.axes) - 1 - i
        before, after = pads[2 * i : 2 * i + 2]
        if not before and not after:
            continue
        if [a.kind for a in kind.axes[axis]] != ["X"]:
            raise NoRule("padding of an axis that is not spatial")
        if mode == "constant":
            _constant_margin(self, node, kind, value)
        kind = core.regrid(kind, axis=axis, start=-before, step=1, count=kind.shape[axis] + before + after)
    return self.record(node, "pad", [node.args[0]], {"pads": pads}, kind)


def _constant_margin(self: Interpreter, node: Node, kind: Type, value: float) -> None:
    """Refute a constant beside features that have another value on a black background."""
    if self.canvas != "fixed":
        raise NoRule("padding by a constant on a canvas that is scaled")
    if value == 0 and kind.black:
        return
    found = self.background(node.args[0])
    draw = next((k for k, b in enumerate(found) if abs(b - abs(value)) > BLACK), None)
    if draw is None:
        raise NoRule("padding by a constant next to features that are not known there")
    raise Refuted(
        "padding",
        f"{value} is put beside features that differ from it on a black background: an edge that does not scale",
        {"kind": "position", "values": [float(value), found[draw]], "own_weights": draw == 0},
    )


@lowering("conv_transpose1d", "conv_transpose2d", "conv_transpose3d")
def _transposed(self: Interpreter, node: Node) -> Type:
    kind = self.type_of(node.args[0])
    w = [torch.as_tensor(v) for v in self.constant(node.args[1]).values]
    for i in range(w[0].ndim - 2):
        atoms = kind.axes[len(kind.axes) - w[0].ndim + 2 + i]
        if w[0].shape[2 + i] > 1 and [a.kind for a in atoms] == ["X"]:
            _fixed_window(w, i, atoms[0], 1, 0, 1)
    raise NoRule("a transposed convolution")


def _pair(value: Any, n: int) -> list[int]:
    values = list(value) if isinstance(value, (list, tuple)) else [value]
    return [int(v) for v in (values * n if len(values) == 1 else values)]


@lowering("convolution", "conv1d", "conv2d", "conv3d")
def _convolution(self: Interpreter, node: Node) -> Type:
    field, weight, bias = arguments(node, "input", "weight", "bias")
    stride, padding, dilation = (node.args[i] if i < len(node.args) else d for i, d in ((3, 1), (4, 0), (5, 1)))
    if node.op == "aten.convolution":
        if node.args[6]:
            raise NoRule("a transposed convolution")
        groups = node.args[8]
    else:
        groups = node.args[6] if len(node.args) > 6 else 1
    if not _is_field(self, field):
        raise NoRule("a convolution with features in the weights")
    kind = self.type_of(field)
    w = [torch.as_tensor(v) for v in self.constant(weight).values]
    n = w[0].ndim - 2
    spatial = list(range(len(kind.axes) - n, len(kind.axes)))
    strides, dilations = _pair(stride, n), _pair(dilation, n)
    if isinstance(padding, str):
        paddings = [
            0 if padding == "valid" else d * (k - 1) // 2 for d, k in zip(dilations, w[0].shape[2:], strict=True)
        ]
    else:
        paddings = _pair(padding, n)
    handled = []
    over_scales: dict[str, Any] = {}
    for i, axis in enumerate(spatial):
        k, kinds = w[0].shape[2 + i], [a.kind for a in kind.axes[axis]]
        window = (k, strides[i], paddings[i], dilations[i])
        if kinds == ["S"] and window != (1, 1, 0, 1):
            from .lower_canvas import scale_window

            if dilations[i] != 1:
                raise NoRule("a window over scale channels that skips some")
            over_scales = {"scale_window": [k, paddings[i]]}
            kind = scale_window(self, node, kind, axis, k, strides[i], paddings[i], "convolution")
            handled.append(i)
        elif window != (1, 1, 0, 1) and kinds and set(kinds) <= set("CR"):
            kind = _channels_of(self, kind, axis, int((node.shape or ())[axis]), ("convolution", window))
            handled.append(i)
    for i, axis in enumerate(spatial):
        k = w[0].shape[2 + i]
        atoms = kind.axes[axis]
        if k == 1 or i in handled:
            continue
        if [a.kind for a in atoms] != ["X"]:
            raise NoRule("a convolution along an axis that is not spatial")
        _fixed_window(w, i, atoms[0], dilations[i], paddings[i], strides[i])
    for i, axis in enumerate(spatial):
        atoms = kind.axes[axis]
        k, p, s, d = w[0].shape[2 + i], paddings[i], strides[i], dilations[i]
        if (k == 1 and p == 0 and s == 1) or i in handled:
            continue
        if [a.kind for a in atoms] != ["X"]:
            raise NoRule("a stride along an axis that is not spatial")
        beyond = p - d * (k - 1) // 2
        if beyond > 0:
            _constant_margin(self, node, kind, 0)
        kind = core.regrid(kind, axis=axis, start=d * ((k - 1) // 2) - p, step=s, count=int((node.shape or ())[axis]))
    axis = len(kind.axes) - n - 1
    if any(a.kind not in "BCR" for a in kind.axes[axis]):
        if any(a.kind == "S" for a in kind.axes[axis]) and groups == 1:
            pass
        else:
            raise NoRule("a convolution whose channel axis holds scale channels or space")
    code = self.terms.number("convolution", self.digest(w), groups)
    if bias is not None:
        code = self.terms.number("pair", code, self.digest(self.constant(bias).values))
    result = core.mix(
        kind, self.terms, axis=axis, size_out=int(w[0].shape[0]), code=[code], bias=bias is not None, node=node.name
    )
    data = {
        "axis": axis,
        "size_out": int(w[0].shape[0]),
        "code": [code],
        "bias": bias is not None,
        "strides": strides,
        "paddings": paddings,
        "kernel": list(w[0].shape[2:]),
        "dilations": dilations,
        "n": n,
        **over_scales,
    }
    return self.record(node, "mix", [field], data, result)


def _fixed_window(w: list[torch.Tensor], i: int, atom: Atom, dilation: int, padding: int, stride: int) -> None:
    """Refute a window with weight away from its middle."""
    k = w[0].shape[2 + i]
    middle = (k - 1) // 2
    for draw, t in enumerate(w):
        rows = t.double().movedim(2 + i, -1).reshape(-1, k)
        away = [j for j in range(k) if j != middle or k % 2 == 0]
        strength = rows[:, away].abs().amax(1)
        if not bool((strength > 0).any()):
            continue
        row = rows[strength.argmax()]
        taps = [
            [str(atom.spacing * dilation * (Fraction(j) - Fraction(k - 1, 2))), str(Fraction(float(v)))]
            for j, v in enumerate(row.tolist())
            if v
        ]
        raise Refuted(
            "fixed-window",
            f"a convolution with {k} taps of fixed distance: the window does not grow with the image",
            {"kind": "taps", "taps": taps, "own_weights": draw == 0},
        )


@lowering(
    "avg_pool1d",
    "avg_pool2d",
    "avg_pool3d",
    "max_pool1d",
    "max_pool2d",
    "max_pool3d",
    "max_pool2d_with_indices",
    "max_pool3d_with_indices",
    "max_pool1d_with_indices",
)
def _window_pool(self: Interpreter, node: Node) -> Type:
    field, kernel, stride, padding = arguments(node, "self", "kernel_size", "stride", "padding", stride=[], padding=0)
    kind = self.type_of(field)
    function = "mean" if "avg" in node.op else "max"
    n = int(node.op.split("pool")[1][0])
    kernels = _pair(kernel, n)
    strides = _pair(stride, n) if stride not in (None, [], ()) else kernels
    paddings = _pair(padding, n)
    spatial = list(range(len(kind.axes) - n, len(kind.axes)))
    dilated = function == "max" and len(node.args) > 4 and any(d != 1 for d in _pair(node.args[4], n))
    if dilated and any(k > 1 for k in kernels):
        _refuse_pool(kind, spatial, kernels, function)
    over_scales: dict[str, Any] = {}
    whole = [kernels[i] == kind.shape[axis] and not paddings[i] for i, axis in enumerate(spatial)]
    for i, axis in enumerate(spatial):
        kinds = [a.kind for a in kind.axes[axis]]
        if kinds == ["S"] and kernels[i] > 1 and function == "max" and not dilated:
            from .lower_canvas import scale_window

            over_scales = {"scale_window": [kernels[i], paddings[i]]}
            kind = scale_window(self, node, kind, axis, kernels[i], strides[i], paddings[i], "maximum")
        elif kernels[i] > 1 and kinds and set(kinds) <= set("CR"):
            if kind.weight and function != "max":
                raise NoRule("a window over channels of nonzero weight")
            kind = _channels_of(self, kind, axis, int((node.shape or ())[axis]), (function, kernels[i], strides[i]))
        elif whole[i] and kernels[i] > 1 and kinds == ["X"]:
            full = covers(self, kind.axes[axis][0])
            kind = core.over_space(
                kind, self.terms, function=function, axis=axis, keep=True, canvas=self.canvas, full=full, ndim=self.ndim
            )
        elif kernels[i] > 1:
            _refuse_pool(kind, [axis], [kernels[i]], function)
        elif strides[i] > 1:
            if [a.kind for a in kind.axes[axis]] != ["X"]:
                raise NoRule("a stride along an axis that is not spatial")
            kind = core.regrid(
                kind, axis=axis, start=-paddings[i], step=strides[i], count=int((node.shape or ())[axis])
            )
    data = {"function": function, "kernels": kernels, "strides": strides, "paddings": paddings, "n": n, **over_scales}
    return self.record(node, "window", [field], data, kind)


def _refuse_pool(kind: Type, spatial: Sequence[int], kernels: Sequence[int], function: str) -> None:
    for axis, k in zip(spatial, kernels, strict=True):
        if k == 1:
            continue
        if [a.kind for a in kind.axes[axis]] != ["X"]:
            raise NoRule("a window along an axis that is not spatial")
        spacing = kind.axes[axis][0].spacing
        raise refused_window(function, [spacing * (Fraction(j) - Fraction(k - 1, 2)) for j in range(k)])


def refused_window(function: str, places: Sequence[Fraction]) -> Refuted | NoRule:
    """What a symmetric function of the samples of a window means."""
    k = len(places)
    if function in ("mean", "sum"):
        tap = f"1/{k}" if function == "mean" else "1"
        witness: dict[str, Any] = {"kind": "taps", "taps": [[str(p), tap] for p in places]}
    elif function in ("max", "min"):
        witness = {"kind": "max-window", "positions": [str(p) for p in places]}
    elif function in ("var", "std", "norm"):
        witness = {"kind": "window-spread", "function": function, "positions": [str(p) for p in places]}
    else:
        return NoRule(f"{function} over a window")
    return Refuted(
        "window-pooling", f"{function} over a window of {k} pixels: the window does not grow with the image", witness
    )


@lowering(
    "adaptive_avg_pool1d",
    "adaptive_avg_pool2d",
    "adaptive_avg_pool3d",
    "_adaptive_avg_pool2d",
    "_adaptive_avg_pool3d",
    "adaptive_max_pool1d",
    "adaptive_max_pool2d",
    "adaptive_max_pool3d",
)
def _adaptive(self: Interpreter, node: Node) -> Type:
    field, target = node.args[:2]
    kind = self.type_of(field)
    function = "mean" if "avg" in node.op else "max"
    n = int(node.op.removesuffix("d")[-1])
    targets = _pair(target, n)
    for i, axis in enumerate(range(len(kind.axes) - n, len(kind.axes))):
        size_in = kind.shape[axis]
        if targets[i] == size_in:
            continue
        if [a.kind for a in kind.axes[axis]] != ["X"]:
            raise NoRule("a window along an axis that is not spatial")
        if targets[i] != 1:
            _refuse_pool(kind, [axis], [-(-size_in // targets[i])], function)
        kind = core.over_space(
            kind,
            self.terms,
            function=function,
            axis=axis,
            keep=True,
            canvas=self.canvas,
            full=covers(self, kind.axes[axis][0]),
            ndim=self.ndim,
        )
    return self.record(node, "window", [field], {"function": function, "targets": targets, "n": n}, kind)


@lowering(
    "upsample_bilinear2d",
    "upsample_nearest2d",
    "upsample_linear1d",
    "upsample_nearest1d",
    "upsample_bicubic2d",
    "upsample_trilinear3d",
    "upsample_nearest3d",
    "_upsample_bilinear2d_aa",
    "_upsample_bicubic2d_aa",
)
def _resample(self: Interpreter, node: Node) -> Type:
    field = node.args[0]
    kind = self.type_of(field)
    if node.shape == kind.shape:
        return self.record(node, "identity", [field], {}, kind)
    from .lower_canvas import resampled
    from .lower_moved import moved

    if "nearest" in node.op and self.canvas == "fixed":
        return moved(self, node)
    raise resampled(self, node)


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
    if name == "norm" and len(node.args) > 1 and float(node.args[1]) == 0:
        raise NoRule("a count of entries that are not 0")
    position = 2 if name == "norm" else 1
    raw = node.args[position] if len(node.args) > position else node.kwargs.get("dim")
    keep = bool(node.args[position + 1]) if len(node.args) > position + 1 else bool(node.kwargs.get("keepdim", False))
    pair = node.op in ("aten.max", "aten.min", "aten.median") and raw is not None
    if name in ("var", "std") and len(node.args) > 2:
        keep = bool(node.kwargs.get("keepdim", False))
    axes = dims(raw, len(kind.axes))
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
            items.append(core.select_space(kind, axis=axis, index=indices[0], keep=keep))
        elif kinds == ["X"]:
            items.append(core.regrid(kind, axis=axis, start=indices[0], step=1, count=count))
        else:
            raise NoRule("a split of a merged axis")
    del self.steps[own_steps:]  # every part has a step where it is taken
    return Parts(items, counts, kind.n_scales)


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


__all__ = ["Parts", "_constant_step", "reduction"]
