"""Operators with windows: padding, convolutions, pooling, resampling."""

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import torch

from . import core
from .domain import Atom, NoRule, Refuted, Type
from .graph import Node
from .lower import BLACK, Interpreter, arguments, lowering
from .lower_point import _is_field, covers, sampled_finely
from .lower_space import _channels_of


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
    divisor = (
        arguments(node, "self", "kernel", "stride", "padding", "ceil", "pad", "divisor_override")[6]
        if "avg" in node.op
        else None
    )
    if divisor is not None and any(k > 1 for k in kernels) and self.canvas == "scales":
        raise NoRule("a window's sum over a number, on a canvas that is scaled")
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
            if kernels[i] == 2 and not kind.axes[axis][0].offset + kind.axes[axis][0].spacing / 2:
                raise NoRule("a window over the two middle pixels of an even size")
            sampled_finely(kind, kind.axes[axis][0])
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
            if self.canvas == "scales":
                raise NoRule("windows that grow with the canvas")
            _refuse_pool(kind, [axis], [-(-size_in // targets[i])], function)
        sampled_finely(kind, kind.axes[axis][0])
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
