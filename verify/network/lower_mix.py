"""Operators on channels: normalisation, linear maps, softmax."""

from dataclasses import replace
from typing import Any

import torch

from . import core
from .domain import NoRule, Refuted, Type
from .graph import Node
from .lower import Interpreter, arguments, dims, linear_over_space, lowering
from .lower_point import _constant_step, _copies_as_channels, _is_field, _pointwise, covers


@lowering(
    "batch_norm",
    "_native_batch_norm_legit_no_training",
    "cudnn_batch_norm",
    "_native_batch_norm_legit_functional",
    "_native_batch_norm_legit",
    "native_batch_norm",
    "_batch_norm_with_update_functional",
)
def _batch_norm(self: Interpreter, node: Node) -> Type:
    training = node.op != "aten._native_batch_norm_legit_no_training" and (
        node.op
        not in (
            "aten.batch_norm",
            "aten.native_batch_norm",
            "aten._native_batch_norm_legit",
            "aten._native_batch_norm_legit_functional",
        )
        or any(a is True for a in node.args[3:7])
    )
    training = training or node.args[3] is None or node.args[3] is True
    field = node.args[0]
    kind = self.type_of(field)
    if training:
        if self.canvas == "fixed":
            raise Refuted(
                "batch-statistics",
                "batch normalisation by the statistics of the batch: their shares of object and background change with "
                "scale on a canvas of fixed size",
                {"kind": "canvas", "background": "0"},
            )
        raise NoRule("batch normalisation by the statistics of the batch")
    return _channel_affine(self, node, field, kind, 1, node.args[1:5])


def _channel_affine(self: Interpreter, node: Node, field: Node, kind: Type, axis: int, tensors: Any) -> Type:
    atoms = kind.axes[axis]
    constants = [self.constant(t) for t in tensors if t is not None]
    if any(a.kind == "X" for a in atoms):
        raise NoRule("normalisation whose channel axis holds space")
    if kind.weight:
        core.fold(kind, self.terms, "an offset")
    codes: list[int] = []
    for c in constants:
        shaped = type(c)(tuple(torch.as_tensor(v).reshape(-1, *(1,) * (len(kind.axes) - axis - 1)) for v in c.values))
        kind, own, _ = self.meet(shaped, kind, node)
        codes = (
            own
            if not codes
            else [
                self.terms.number("pair", codes[i % len(codes)], own[i % len(own)])
                for i in range(max(len(codes), len(own)))
            ]
        )
    return _constant_step(self, node, field, kind, "affine", None, False, codes)


@lowering("group_norm", "native_group_norm", "instance_norm", "layer_norm", "native_layer_norm")
def _norm(self: Interpreter, node: Node) -> Type:
    name = node.op.removeprefix("aten.").removeprefix("native_")
    field = node.args[0]
    kind = self.type_of(field)
    if name == "layer_norm":
        count = len(node.args[1])
        axes = list(range(len(kind.axes) - count, len(kind.axes)))
        affine = [t for t in node.args[2:4] if isinstance(t, Node)]
        for t in affine:
            kind = self.meet(self.constant(t), kind, node)[0]
    else:
        axes = list(range(2, len(kind.axes))) + ([1] if name == "group_norm" else [])
        affine = [
            t for t in (node.args[2:4] if node.op == "aten.group_norm" else node.args[1:3]) if isinstance(t, Node)
        ]
    if name == "instance_norm" and node.args[5] is False:
        return _channel_affine(self, node, field, kind, 1, node.args[1:5])
    touched = {a.kind for i in axes for a in kind.axes[i]}
    if "S" in touched:
        raise NoRule("normalisation over scale channels")
    if "X" in touched and self.canvas == "fixed":
        raise Refuted(
            "canvas-norm",
            "normalisation by mean and variance over a canvas of fixed size: shares of object and background change "
            "with scale",
            {"kind": "canvas", "background": "0"},
        )
    if "X" in touched and not _covers(self, kind, axes):
        raise NoRule("normalisation over part of the canvas")
    if affine and name != "layer_norm":
        kind = _copies_as_channels(kind, [1])
    extra = [self.digest(self.constant(t).values) for t in affine]
    if any(a.kind == "S" for a in (kind.axes[1] if name != "layer_norm" else ())):
        raise NoRule("normalisation whose channel axis holds scale channels")
    codes = [self.terms.number("affine", *extra)] if extra else []
    return _constant_step(self, node, field, kind, name, None, False, codes)


@lowering("linear", "addmm", "mm", "matmul", "bmm")
def _linear(self: Interpreter, node: Node) -> Type:
    name = node.op.removeprefix("aten.")
    bias = None
    if name == "linear":
        x, weight, bias = arguments(node, "input", "weight", "bias")
        transposed = True
    elif name == "addmm":
        bias, x, weight = node.args[:3]
        transposed = False
    else:
        x, weight = node.args[:2]
        transposed = False
    if not _is_field(self, x):
        if name in ("mm", "matmul", "bmm") and _is_field(self, weight) and not _is_field(self, x):
            return _left_product(self, node, x, weight)
        raise NoRule("a product with features in the weights")
    if _is_field(self, weight):
        raise NoRule("a matrix product of two values")
    kind = self.type_of(x)
    tensors = [torch.as_tensor(v) for v in self.constant(weight).values]
    if tensors[0].ndim == 1:
        tensors = [t[None] if transposed else t[:, None] for t in tensors]
        raise NoRule("a product with a vector")
    matrices = [t.mT if transposed else t for t in tensors]  # [..., in, out]
    return _mix(self, node, x, kind, len(kind.axes) - 1, matrices, bias)


def _left_product(self: Interpreter, node: Node, weight: Node, x: Node) -> Type:
    kind = self.type_of(x)
    matrices = [torch.as_tensor(v).mT for v in self.constant(weight).values]
    if len(kind.axes) < 2:
        raise NoRule("a product with a vector")
    return _mix(self, node, x, kind, len(kind.axes) - 2, matrices, None)


def _mix(
    self: Interpreter, node: Node, x: Node, kind: Type, axis: int, matrices: list[torch.Tensor], bias: Any
) -> Type:
    atoms = kind.axes[axis]
    while matrices[0].ndim > 2 and matrices[0].shape[0] == 1:
        matrices = [m[0] for m in matrices]
    if any(a.kind in "XPW" for a in atoms):
        if matrices[0].ndim == 2:
            linear_over_space(self, [m.mT for m in matrices], atoms)
        raise NoRule("a linear map over space")
    code = [self.digest(matrices)]
    if matrices[0].ndim > 2:
        heads = replace(kind, axes=kind.axes[: matrices[0].ndim - 2])
        sizes = list(matrices[0].shape[:-2])
        if len(sizes) > len(kind.axes) - 2 + (axis == len(kind.axes) - 2):
            raise NoRule("a batched product that adds axes")
        kind = _copies_as_channels(kind, [i for i, n in enumerate(sizes) if n > 1])
        heads = replace(kind, axes=kind.axes[: matrices[0].ndim - 2])
        flags = [a.kind for ax in heads.axes for a in ax]
        if any(f == "X" for f in flags):
            raise NoRule("weights along space")
        scale_axis = next((i for i, ax in enumerate(heads.axes) if any(a.kind == "S" for a in ax)), None)
        if scale_axis is not None and sizes[scale_axis] > 1:
            if len(heads.axes[scale_axis]) > 1:
                raise NoRule("weights along a merged scale axis")
            code = [self.digest([m.select(scale_axis, i) for m in matrices]) for i in range(sizes[scale_axis])]
    b = self.constant(bias) if bias is not None else None
    if b is not None:
        code = [self.terms.number("pair", c, self.digest(b.values)) for c in code]
    size_out = int(matrices[0].shape[-1])
    if any(a.kind == "S" for a in atoms):
        kind = _over_scales(self, node, kind, axis, matrices)
    result = core.mix(kind, self.terms, axis=axis, size_out=size_out, code=code, bias=b is not None, node=node.name)
    data = {"axis": axis, "size_out": size_out, "code": code, "bias": b is not None}
    return self.record(node, "mix", [x], data, result)


def _over_scales(self: Interpreter, node: Node, kind: Type, axis: int, matrices: list[torch.Tensor]) -> Type:
    """A linear map over an axis that holds scale channels: the type after their sum, if all get the same weights."""
    atoms = kind.axes[axis]
    index = next(i for i, a in enumerate(atoms) if a.kind == "S")
    if matrices[0].ndim > 2:
        return kind
    for draw, m in enumerate(matrices):
        table = m.double().reshape(*[a.size for a in atoms], -1).movedim(index, 0).flatten(1)
        gaps = (table - table[:1]).abs().amax(0)
        if float(gaps.max()) > 1e-6 * float(table.abs().max()):
            row = table[:, int(gaps.argmax())].tolist()
            self.scale_weights.setdefault(
                node.name, {"kind": "scale-weights", "weights": row, "own_weights": draw == 0}
            )
            return kind
    return core.pool_scales(kind, self.terms, function="sum", axis=axis, keep=True, homogeneous=True)


@lowering("softmax", "_softmax", "log_softmax", "_log_softmax", "cumsum", "sort", "topk")
def _softmax(self: Interpreter, node: Node) -> Type:
    name = node.op.removeprefix("aten.").removeprefix("_")
    field = node.args[0]
    kind = self.type_of(field)
    (axis,) = dims(node.args[1] if name not in ("sort", "topk") else -1, len(kind.axes))
    kinds = {a.kind for a in kind.axes[axis]}
    if name in ("softmax", "log_softmax") and "X" in kinds:
        from .lower_canvas import refused_statistic

        raise refused_statistic(self, node, kind, name)
    if name == "cumsum" and [a.kind for a in kind.axes[axis]] == ["X"]:
        from .lower_canvas import running_sum

        return self.record(node, "running-sum", [field], {"axis": axis}, running_sum(self, node, kind, axis))
    if not kinds <= set("CBR") and not (kinds == {"S"} and name in ("softmax", "log_softmax")):
        raise NoRule(f"{name} along an axis of {sorted(kinds)}")
    if name in ("sort", "topk"):
        raise NoRule(name)
    if name == "cumsum" and "R" in kinds:
        raise NoRule("copies are added up")
    label = f"{name} over scales" if kinds == {"S"} else f"{name} of axis {axis}"
    return _pointwise(self, node, [field], label, None, False)


def _covers(self: Interpreter, kind: Type, axes: list[int]) -> bool:
    """Whether the reduced axes hold all of space."""
    found = {a.axis for i in axes for a in kind.axes[i] if a.kind == "X"}
    return found == set(range(self.ndim)) and all(covers(self, a) for i in axes for a in kind.axes[i] if a.kind == "X")
