"""Operators that act at every point: activations, arithmetic, choices."""

import math
from dataclasses import replace
from fractions import Fraction
from typing import Any

import torch

from . import core
from .constants import Constant
from .domain import NoRule, Refuted, Type
from .graph import Node
from .lower import Interpreter, lowering

HOMOGENEOUS = {
    "relu": 1,
    "abs": 1,
    "neg": 1,
    "leaky_relu": 1,
    "square": 2,
    "sqrt": Fraction(1, 2),
    "rsqrt": Fraction(-1, 2),
    "reciprocal": -1,
    "sign": 0,
    "isneginf": 0,
    "isposinf": 0,
    "isinf": 0,
    "isnan": 0,
    "isfinite": 0,
}
ZERO_AT_ZERO = {
    "relu",
    "abs",
    "neg",
    "leaky_relu",
    "square",
    "sqrt",
    "sign",
    "gelu",
    "silu",
    "tanh",
    "elu",
    "mish",
    "hardswish",
    "sin",
    "tan",
    "asinh",
    "erf",
    "expm1",
    "log1p",
    "softshrink",
    "hardshrink",
    "atan",
    "celu",
    "selu",
    "hardtanh",
    "round",
    "floor",
    "ceil",
    "trunc",
}
ARBITRARY = {
    "gelu",
    "silu",
    "sigmoid",
    "tanh",
    "elu",
    "celu",
    "selu",
    "softplus",
    "mish",
    "hardswish",
    "hardsigmoid",
    "hardtanh",
    "exp",
    "exp2",
    "log",
    "log2",
    "log10",
    "sin",
    "cos",
    "tan",
    "atan",
    "asinh",
    "erf",
    "log1p",
    "expm1",
    "log_sigmoid",
    "softshrink",
    "hardshrink",
    "clamp",
    "clamp_min",
    "clamp_max",
    "threshold",
    "round",
    "floor",
    "ceil",
    "trunc",
    "log_sigmoid_forward",
    "nan_to_num",
    "logical_not",
    "bitwise_not",
    "cosh",
    "sinh",
}
COMPARE = {"gt", "lt", "ge", "le", "eq", "ne"}


def _unary(self: Interpreter, node: Node) -> Type:
    function = node.op.removeprefix("aten.")
    numbers = [repr(a) for a in node.args[1:]] + [f"{k}={v!r}" for k, v in sorted(node.kwargs.items())]
    if any(isinstance(a, Node) for a in node.args[1:]):
        raise NoRule(f"{function} with a tensor argument")
    degree = HOMOGENEOUS.get(function)
    if function in ("clamp_min", "clamp") and node.args[1:] in ((0,), (0.0,), (0, None), (0.0, None)):
        degree = 1
    bounds = [float(a) for a in node.args[1:3] if isinstance(a, (int, float))]
    zero = (
        function in ZERO_AT_ZERO
        or (function in ("clamp", "clamp_min", "clamp_max") and degree == 1)
        or (function in ("clamp",) and len(bounds) == 2 and bounds[0] <= 0 <= bounds[1])
    )
    if function == "hardtanh" and len(bounds) == 2:
        zero = bounds[0] <= 0 <= bounds[1]
    return _pointwise(self, node, [node.args[0]], function + "(" + ", ".join(numbers) + ")", degree, zero)


for _name in ARBITRARY | set(HOMOGENEOUS):
    lowering(_name)(_unary)


def _pointwise(
    self: Interpreter, node: Node, operands: list[Node], function: str, degree: Any, zero: bool, extra: Any = ()
) -> Type:
    kinds = [self.type_of(n) for n in operands]
    if any(k.index for k in kinds):
        raise NoRule("arithmetic with the number of a scale channel")
    kind = core.pointwise(
        kinds,
        self.terms,
        function=function,
        degree=None if degree is None else Fraction(degree),
        zero=zero,
        extra=extra,
    )
    data = {
        "function": function,
        "degree": None if degree is None else str(degree),
        "zero": zero,
        "constants": list(extra),
    }
    return self.record(node, "pointwise", operands, data, kind)


@lowering(
    "clone",
    "detach",
    "alias",
    "contiguous",
    "_to_copy",
    "to",
    "dropout",
    "native_dropout",
    "lift_fresh_copy",
    "lift_fresh",
    "feature_dropout",
    "alpha_dropout",
    "positive",
    "type_as",
)
def _identity(self: Interpreter, node: Node) -> Type:
    if "dropout" in node.op and len(node.args) > 2 and node.args[2] and node.args[1]:
        raise NoRule("dropout in training")
    kind = self.type_of(node.args[0])
    dtype = next((a for a in [*node.args[1:], *node.kwargs.values()] if isinstance(a, torch.dtype)), None)
    if node.op == "aten.type_as" and isinstance(self.values[node.args[1]], Constant):
        dtype = self.constant(node.args[1]).real.dtype
    elif node.op == "aten.type_as":
        raise NoRule("numbers of the type of other features")
    if dtype is not None and dtype.is_complex:
        raise NoRule("complex features")
    if dtype is not None and not dtype.is_floating_point:
        return _pointwise(self, node, [node.args[0]], f"as {dtype}", 0 if dtype == torch.bool else None, True)
    if dtype is not None and torch.finfo(dtype).bits < 16:
        raise NoRule(f"features rounded to {dtype}")
    if dtype is not None and torch.finfo(dtype).bits == 16:
        rounded = tuple(replace(s, term=self.terms.number("rounded", str(dtype), s.term)) for s in kind.slices)
        kind = replace(kind, slices=rounded)
    return self.record(node, "identity", [node.args[0]], {}, kind)


@lowering("prelu", "_prelu_kernel")
def _prelu(self: Interpreter, node: Node) -> Type:
    kind = self.type_of(node.args[0])
    slope = self.constant(node.args[1])
    if slope.real.numel() > 1 and any(a.kind not in "BCR" for a in kind.axes[1]):
        raise NoRule("prelu over an axis that does not hold channels")
    kind = _copies_as_channels(kind, [1]) if slope.real.numel() > 1 else kind
    return _constant_step(self, node, node.args[0], kind, "prelu", 1, True, [self.digest(slope.values)])


def _is_field(self: Interpreter, value: Any) -> bool:
    return isinstance(value, Node) and isinstance(self.values[value], Type)


@lowering("add", "sub", "rsub", "maximum", "minimum", "max", "min")
def _sum(self: Interpreter, node: Node) -> Any:
    name = node.op.removeprefix("aten.")
    if name in ("max", "min") and (len(node.args) < 2 or not isinstance(node.args[1], Node)):
        return _max_dim(self, node)
    name = {"maximum": "max", "minimum": "min"}.get(name, name)
    a, b = node.args[:2]
    alpha = node.kwargs.get("alpha", 1)
    if _is_field(self, a) and _is_field(self, b):
        kinds = [self.type_of(a), self.type_of(b)]
        if any(k.index for k in kinds):
            raise NoRule("arithmetic with the number of a scale channel")
        extra = () if alpha == 1 else (self.digest([torch.tensor(float(alpha))] * 3),)
        kind = core.same_weight(kinds, self.terms, function=name, extra=extra)
        return self.record(node, "same-weight", [a, b], {"function": name, "constants": list(extra)}, kind)
    field, other = (a, b) if _is_field(self, a) else (b, a)
    constant, kind = self.constant(other), self.type_of(field)
    real = constant.real
    if name in ("add", "sub") and real.numel() == 1 and float(real) == 0 and not isinstance(other, Node):
        return self.record(node, "identity", [field], {}, kind)
    widened = _widen(kind, real.ndim, real.shape)
    widened, codes, _ = self.meet(constant, widened, node)
    infinite = bool(torch.isinf(real.double()).all()) and real.numel() > 0
    if kind.weight and not infinite:
        nonzero = any(bool((torch.as_tensor(v) != 0).any()) for v in constant.values)
        if nonzero and name in ("add", "sub", "rsub"):
            raise Refuted(
                "bias",
                f"an offset is added to features of weight {kind.weight}",
                {"kind": "weights", "weights": [str(kind.weight), "0"]},
            )
    zero = bool((real == 0).all()) if name in ("add", "sub", "rsub") else False
    what = f"{name} constant" if field is a else f"{name} from constant"
    if alpha != 1:
        what += f" times {alpha!r}"
    return _constant_step(self, node, field, widened, what, None, zero, codes)


def _constant_step(
    self: Interpreter, node: Node, field: Node, widened: Type, function: str, degree: Any, zero: bool, codes: list[int]
) -> Type:
    kind = core.pointwise(
        [widened],
        self.terms,
        function=function,
        degree=None if degree is None else Fraction(degree),
        zero=zero,
        extra=codes,
    )
    data = {
        "function": function,
        "degree": None if degree is None else str(degree),
        "zero": zero,
        "constants": codes,
        "shape": list(widened.shape),
    }
    return self.record(node, "pointwise", [field], data, kind)


def _widen(kind: Type, rank: int, shape: Any) -> Type:
    """The type after broadcasting against a constant of this shape."""
    lead = max(0, rank - len(kind.axes))
    target = list((1,) * lead + kind.shape)
    own = (1,) * (len(target) - rank) + tuple(shape)
    target = [b if a == 1 else a for a, b in zip(target, own, strict=True)]
    if tuple(target) == kind.shape:
        return kind
    return core.expand(replace(kind, axes=((),) * lead + kind.axes), target)


@lowering("mul", "div")
def _product(self: Interpreter, node: Node) -> Type:
    name = node.op.removeprefix("aten.")
    a, b = node.args[:2]
    if node.kwargs.get("rounding_mode"):
        raise NoRule("integer division")
    if _is_field(self, a) and _is_field(self, b):
        if self.type_of(a).index or self.type_of(b).index:
            raise NoRule("arithmetic with the number of a scale channel")
        kind = core.product(self.type_of(a), self.type_of(b), self.terms, function=name)
        return self.record(node, "product", [a, b], {"function": name}, kind)
    field, other = (a, b) if _is_field(self, a) else (b, a)
    if name == "div" and field is b:
        kind = self.type_of(field)
        constant = self.constant(other)
        kind, codes, _ = self.meet(constant, _widen(kind, constant.real.ndim, constant.real.shape), node, factor=True)
        return _constant_step(self, node, field, kind, "divide constant by", -1, False, codes)
    constant, kind = self.constant(other), self.type_of(field)
    if kind.index:
        raise NoRule("arithmetic with the number of a scale channel")
    widened = _widen(kind, constant.real.ndim, constant.real.shape)
    widened, codes, tensors = self.meet(constant, widened, node, factor=True)
    if kind.anchored or len(codes) > 1 or kind.pool:
        factored = _factored(self, widened, tensors, name)
        if factored is not None:
            rest, logs = factored
            pooled = widened.pool and widened.free
            if rest is not None:
                label = f"{name} constant"
                widened = core.pointwise(
                    [widened], self.terms, function=label, degree=Fraction(1), zero=True, extra=[rest]
                )
            kind = core.scale_factor(widened, self.terms, logs=logs, code=codes[0])
            kind = replace(kind, free=True) if pooled else kind
            data = {"logs": [list(x) for x in logs], "constants": [] if rest is None else [rest]}
            return self.record(node, "factor", [field], data, kind)
    return _constant_step(self, node, field, widened, f"{name} constant", 1, True, codes)


def _factored(
    self: Interpreter, kind: Type, tensors: list[torch.Tensor], name: str
) -> tuple[int | None, list[tuple[float, ...]]] | None:
    """A constant as one positive factor per scale channel times what they share: (number of the rest, logarithms)."""
    scale = next((i for i, a in enumerate(a for axis in kind.axes for a in axis) if a.kind == "S"), None)
    n = tensors[0].shape[scale] if scale is not None else 1
    parts = [[(t.select(scale, i) if scale is not None else t).double().flatten() for i in range(n)] for t in tensors]
    place = int(parts[0][0].abs().argmax())
    sizes = [[float(v[place].abs()) for v in row] for row in parts]
    if any(not x > 0 or not math.isfinite(x) for row in sizes for x in row):
        return None
    rests = [self.digest([row[i] / size[i] for row, size in zip(parts, sizes, strict=True)]) for i in range(n)]
    if len(set(rests)) > 1:
        return None
    one = all(bool((row[0] == size[0]).all()) for row, size in zip(parts, sizes, strict=True))
    sign = -1.0 if name == "div" else 1.0
    return None if one else rests[0], [tuple(sign * math.log(row[i]) for row in sizes) for i in range(n)]


@lowering("pow")
def _power(self: Interpreter, node: Node) -> Type:
    base, exponent = node.args[:2]
    if isinstance(exponent, Node) or isinstance(base, (int, float)):
        raise NoRule("a power with features in the exponent")
    return _pointwise(self, node, [base], f"pow({exponent})", Fraction(str(float(exponent))), float(exponent) > 0)


for _name in COMPARE:

    @lowering(_name)
    def _compare(self: Interpreter, node: Node) -> Type:
        a, b = node.args[:2]
        name = node.op.removeprefix("aten.")
        if _is_field(self, a) and _is_field(self, b):
            kinds = [self.type_of(a), self.type_of(b)]
            kind = replace(core.same_weight(kinds, self.terms, function=name), weight=Fraction(0), black=False)
            return self.record(node, "compare", [a, b], {"function": name}, kind)
        field, other = (a, b) if _is_field(self, a) else (b, a)
        constant, kind = self.constant(other), self.type_of(field)
        kind, codes, _ = self.meet(constant, _widen(kind, constant.real.ndim, constant.real.shape), node)
        degree = 0 if bool((constant.real == 0).all()) and not isinstance(other, Node) else None
        what = name if field is a else f"{name} by constant"
        return _constant_step(self, node, field, kind, what, degree, False, codes)


@lowering("logical_and", "logical_or", "bitwise_and", "bitwise_or")
def _logic(self: Interpreter, node: Node) -> Type:
    return _pointwise(self, node, list(node.args[:2]), node.op.removeprefix("aten."), None, False)


@lowering("where", "masked_fill")
def _where(self: Interpreter, node: Node) -> Type:
    if node.op == "aten.masked_fill":
        value, mask, other = node.args[:3]
        choices = [value, other]
    else:
        mask, *choices = node.args[:3]
    premises = [n for n in [mask, *choices] if _is_field(self, n)]
    fields = [n for n in choices if _is_field(self, n)]
    constants = [self.constant(n) for n in [mask, *choices] if not _is_field(self, n)]
    if not fields:
        raise NoRule("a choice between constants")
    kinds = [self.type_of(n) for n in fields]
    codes = []
    for c in constants:
        kinds[0], own, _ = self.meet(c, kinds[0], node)
        if len(own) > 1 and len(set(own)) > 1:
            raise Refuted(
                "unshared", "a constant differs between scale channels", {"kind": "unshared", "channels": [0, 1]}
            )
        codes.append(own[0])
        neutral = bool(((c.real == 0) | torch.isinf(c.real.double())).all())
        if any(k.weight for k in kinds) and not neutral and c.real.dtype != torch.bool:
            raise NoRule("a constant is chosen instead of features of nonzero weight")
    places = tuple(_is_field(self, n) for n in (mask, *choices))
    extra = (self.terms.number("constants", places, *codes),)
    base = (
        core.same_weight(kinds, self.terms, function=node.op, extra=extra)
        if len(kinds) > 1
        else core.pointwise(kinds, self.terms, function=node.op, degree=Fraction(1), zero=False, extra=extra)
    )
    if _is_field(self, mask):
        m = self.type_of(mask)
        weight, free = base.weight, base.free
        base = core.combine(
            [base, replace(m, weight=Fraction(0))],
            self.terms,
            function="choose",
            weight=weight,
            codes=[[s.term for s in base.slices], [s.term for s in m.slices]],
            zero=False,
        )
        base = core.settle(replace(base, free=base.free or (free and m.free)))
    dark = all(bool((c.real == 0).all()) for c in constants if c.real.dtype != torch.bool)
    black = dark and all(core.dark(self.type_of(n), base.axes) for n in fields)
    return self.record(node, "choose", premises, {"constants": codes, "black": black}, replace(base, black=black))


def covers(self: Interpreter, atom: Any) -> bool:
    """Whether the samples of a spatial axis span the canvas symmetrically."""
    n = self.input_shape[2 + atom.axis]
    first, last = atom.offset, atom.offset + atom.spacing * (atom.size - 1)
    low, high = min(first, last), max(first, last)
    step = abs(atom.spacing)
    return bool(low - step < -Fraction(n - 1, 2) <= low and high <= Fraction(n - 1, 2) < high + step)


def whole_canvas(self: Interpreter, kind: Type) -> None:
    """On a canvas that is scaled an edge that was cut or padded by a number of pixels does not scale along."""
    if self.canvas == "scales" and any(a.size > 1 and not covers(self, a) for a in kind.atoms("X")):
        raise NoRule("a jet layer on part of a canvas that is scaled")


def sampled_finely(kind: Type, atom: Any) -> None:
    """Whether a stride leaves enough samples for a read-out over space: at most pi sigma apart.

    There the spectrum exp(-sigma^2 omega^2 / 2) of the finest kernel has fallen below exp(-1/2) at the Nyquist
    frequency pi / spacing; beyond, the samples are points of their own, and those at the edge do not scale.
    """
    finest = min((s.anchor[0] for s in kind.slices if s.anchor is not None), default=0.0)
    if abs(atom.spacing) > max(1.0, math.pi * math.exp(finest)):
        raise NoRule(f"a read-out over samples {abs(atom.spacing)} pixels apart, too far for the finest sigma")


def _copies_as_channels(kind: Type, axes: list[int]) -> Type:
    """The type once constants of their own have met the copies along `axes`."""
    changed = [
        tuple(replace(a, kind="C") if a.kind == "R" and i in axes else a for a in axis)
        for i, axis in enumerate(kind.axes)
    ]
    return replace(kind, axes=tuple(changed))


def _max_dim(self: Interpreter, node: Node) -> Any:
    from .lower_reduce import reduction

    return reduction(self, node)
