"""From operators of the graph to rules: which rule an operator is, with which data.

`Interpreter.run` walks the graph once, in order. A value is a `Constant`, a `Type`, or what went wrong on the way to it
(`Refuted`, `NoRule`), which every later value inherits.
"""

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any, cast

import torch
from torch import Tensor, nn

from . import core
from .constants import DRAWS, Constant, Digests, drawn_parameters, evaluate, spread, varies
from .domain import Atom, NoRule, Refuted, Slice, Terms, Type, invented, size
from .graph import Graph, Node, is_random

Value = Constant | Type | Refuted | NoRule
LOWERINGS: dict[str, Callable[["Interpreter", Node], Any]] = {}


def lowering(*names: str) -> Callable[[Any], Any]:
    """Register a function for operators."""

    def register(function: Any) -> Any:
        for name in names:
            LOWERINGS[name if "." in name or name == "getitem" else f"aten.{name}"] = function
        return function

    return register


@dataclass
class Interpreter:
    """Abstract run of one graph.

    Args:
        graph: The graph.
        module: Where the parameters come from.
        canvas: "fixed" or "scales".
        input_shape: Shape of the image.
        dtype: Of the image.
    """

    graph: Graph
    module: nn.Module
    canvas: str
    input_shape: tuple[int, ...]
    dtype: torch.dtype = torch.float32
    terms: Terms = field(default_factory=Terms)
    digest: Digests = field(default_factory=Digests)
    values: dict[Node, Any] = field(default_factory=dict)
    steps: list[dict[str, Any]] = field(default_factory=list)
    faults: dict[str, Node] = field(default_factory=dict)
    jets: list[dict[str, Any]] = field(default_factory=list)
    scale_weights: dict[str, dict[str, Any]] = field(default_factory=dict)
    filled: bool = False

    @property
    def ndim(self) -> int:
        """Number of spatial axes."""
        return len(self.input_shape) - 2

    def run(self) -> list[Any]:
        """Values of the outputs."""
        draws = drawn_parameters(self.module)
        self.terms.number("image")
        for node in self.graph.nodes:
            self.values[node] = self._value(node, draws)
        return [self.values[node] for node in self.graph.outputs]

    def _value(self, node: Node, draws: list[dict[str, Tensor]]) -> Any:
        if node.op == "constant":
            if node.parameter is not None and node.parameter in draws[0]:
                return Constant(tuple(draw[node.parameter] for draw in draws))
            return Constant((node.value,) * len(draws))
        if node.op == "placeholder":
            kind = core.image(self.input_shape)
            self.record(node, "image", [], {"shape": list(self.input_shape)}, kind)
            return kind
        operands = [self.values[n] for n in _operands(node)]
        if is_random(node) and not any(isinstance(v, (NoRule, Refuted)) for v in operands):
            from .lower_canvas import random_value

            found = random_value(self, node)
            if isinstance(found, Refuted) or node.op not in LOWERINGS:
                return self._stop(node, found)
        if all(isinstance(v, Constant) for v in operands):
            try:
                return evaluate(node, self.values)
            except Exception as error:
                return self._stop(node, NoRule(f"{node.op} of constants: {type(error).__name__}"))
        stopped: list[Any] = [v for v in operands if isinstance(v, NoRule)]
        stopped = stopped or [v for v in operands if isinstance(v, Refuted)]
        if stopped:
            return stopped[0]
        function = LOWERINGS.get(node.op)
        if function is None:
            return self._stop(node, NoRule(f"no rule for {node.op}"))
        try:
            return self._signed(node, function(self, node))
        except (Refuted, NoRule) as error:
            return self._stop(node, self.checked_background(node, error))
        except Exception as error:  # PyTorch's operators, run on odd arguments, raise of every kind
            return self._stop(node, NoRule(f"{node.op} in a form without a rule ({type(error).__name__}: {error})"))

    def _signed(self, node: Node, value: Any) -> Any:
        """The value with the operator's own numbers (eps, axes, groups, shapes) made part of its terms.

        Scale channels that are computed one by one agree only if these do. Operators whose numbers are part of the
        term already, or say which scale channel is meant, are left out. A new axis before the first one aligns nothing
        else; any other says which channel of one value meets which of another.
        """
        aligned = node.op in ("aten.squeeze", "aten.unsqueeze") and node.args[1:] not in ((), (0,), ([0],))
        if (node.op in SIGNED_BY_RULE and not aligned) or not isinstance(value, Type):
            return value
        signature = (node.op, repr(_static(node.args)), repr(_static(node.kwargs)))

        def sign(term: int) -> int:
            return self.terms.number("signed", signature, term)

        slices = tuple(replace(s, term=sign(s.term)) for s in value.slices)
        pool = value.pool and (value.pool[0], sign(value.pool[1]), *value.pool[2:])
        return replace(value, slices=slices, pool=pool)

    def background(self, node: Node) -> list[float]:
        """Largest value of what `node` computes on a black image, at the network's own and at drawn weights."""
        from .links import replay

        image = torch.zeros(self.input_shape, dtype=self.dtype)
        found = []
        for draw in range(DRAWS + 1):
            values = replay(self.graph, self, image, draw, only=node)
            found.append(max((float(v.double().abs().max()) for v in values if v.numel()), default=0.0))
        return found

    def checked_background(self, node: Node, error: Exception) -> Exception:
        """A refutation that rests on a background unequal 0, with the background that was found, or none."""
        if not isinstance(error, Refuted) or error.witness.get("background") != "?":
            return error
        field = next(n for n in _operands(node) if isinstance(self.values[n], Type))
        found = self.background(field)
        draw = next((k for k, value in enumerate(found) if value > BLACK), None)
        if draw is None:
            return NoRule(f"{error}; but on a black image they are 0 at these weights and at drawn ones")
        value = Fraction(found[draw]).limit_denominator(10**6)
        error.witness.update(background=str(value), own_weights=draw == 0)
        return error

    def _stop(self, node: Node, error: Any) -> Any:
        error.node = node
        return error

    def record(self, node: Node, rule: str, premises: Sequence[Node], data: dict[str, Any], kind: Type) -> Type:
        """Write the step down."""
        for p in premises:
            operand = self.values[p]
            more = invented(kind, operand, self.input_shape[2:]) if isinstance(operand, Type) else ""
            self.filled = self.filled or (bool(more) and node.op != "aten.roll")
            if more == "cut" or (more == "all" and self.filled):
                raise NoRule("samples beyond the edge of a value that was cut")
        self.steps.append(
            {
                "node": node.name,
                "op": node.op,
                "path": node.path,
                "source": node.source,
                "rule": rule,
                "from": [p.name for p in premises],
                "data": data,
                "type": kind.to_json(),
            }
        )
        return kind

    def apply(self, node: Node, rule: str, premises: Sequence[Node], /, **data: Any) -> Type:
        """One rule on one operand."""
        function = getattr(core, rule)
        kinds = [self.values[p] for p in premises]
        arguments = dict(data)
        if "terms" in function.__annotations__:
            kind = function(kinds[0], self.terms, **arguments)
        else:
            kind = function(kinds[0], **arguments)
        return self.record(node, rule, premises, _plain(data), kind)

    def type_of(self, value: Any) -> Type:
        """The type of an operand that must be a field."""
        found = self.values[value]
        if not isinstance(found, Type):
            raise NoRule("a constant where features are expected")
        return found

    def constant(self, value: Any) -> Constant:
        """The constant behind an operand or number."""
        if isinstance(value, Node):
            found = self.values[value]
            if not isinstance(found, Constant):
                raise NoRule("features where a constant is expected")
            return found
        return Constant((value,) * 3)

    def codes(self, constant: Constant, kind: Type, node: Node, factor: bool = False) -> tuple[list[int], list[Tensor]]:
        """One number per scale channel for a constant that meets a value pointwise; refuted if it varies over space."""
        tensors = spread(constant, kind)
        atoms = [a for axis in kind.axes for a in axis]
        for k, tensor in enumerate(tensors):
            if any(a.kind in "XPW" and tensor.shape[i] > 1 and varies(tensor, i) for i, a in enumerate(atoms)):
                raise absolute_position(tensor, atoms, factor, k == 0, self.canvas)
        scale = next((i for i, a in enumerate(atoms) if a.kind == "S"), None)
        if scale is None or all(t.shape[scale] == 1 for t in tensors):
            return [self.digest(tensors)], tensors
        n = atoms[scale].size
        return [self.digest([t.select(scale, i) for t in tensors]) for i in range(n)], tensors

    def meet(
        self, constant: Constant, kind: Type, node: Node, factor: bool = False
    ) -> tuple[Type, list[int], list[Tensor]]:
        """`codes`, and the type in which copies that the constant makes different are features."""
        codes, tensors = self.codes(constant, kind, node, factor)
        axes, i = [], 0
        for axis in kind.axes:
            atoms = []
            for atom in axis:
                differs = atom.kind == "R" and any(t.shape[i] > 1 and varies(t, i) for t in tensors)
                atoms.append(Atom("C", atom.size) if differs else atom)
                i += 1
            axes.append(tuple(atoms))
        return replace(kind, axes=tuple(axes)), codes, tensors


def absolute_position(
    tensor: Tensor, atoms: Sequence[Atom], factor: bool, own_weights: bool, canvas: str
) -> Refuted | NoRule:
    """What a constant c(x) that differs between points means: c(m x) against c(x) at points of one ray.

    Added, it must be equal there; as a factor, c(m x) = m^k c(x) with one k everywhere is admitted by scaling too.
    """
    if canvas != "fixed":
        return NoRule("a constant that differs from point to point, on a canvas whose points it may follow")
    spatial = [i for i, a in enumerate(atoms) if a.kind == "X" and tensor.shape[i] > 1]
    if len(spatial) != sum(a.kind in "XPW" and tensor.shape[i] > 1 for i, a in enumerate(atoms)):
        return NoRule("a constant that differs along rearranged points")
    table = tensor.double().movedim(spatial, list(range(-len(spatial), 0)))
    flat = table.reshape(-1, *table.shape[table.ndim - len(spatial) :])
    places = [[atoms[i].offset + atoms[i].spacing * k for k in range(atoms[i].size)] for i in spatial]
    where = [{p: k for k, p in enumerate(row)} for row in places]
    first: tuple[float, float, Any, Any] | None = None
    for m in (2, 3, 5):
        for index in itertools.product(*(range(len(row)) for row in places)):
            point = [row[k] for row, k in zip(places, index, strict=True)]
            target = [w.get(m * p) for w, p in zip(where, point, strict=True)]
            if not any(point) or any(k is None for k in target):
                continue
            a, b = (flat[(slice(None), *cast(Any, place))] for place in (index, target))
            channel = int((a - b).abs().argmax())
            x, y = float(a[channel]), float(b[channel])
            points = [[str(p) for p in point], [str(m * p) for p in point]]
            if not factor and abs(x - y) > 1e-6 * max(abs(x), abs(y)):
                witness = {"kind": "position", "values": [x, y], "points": points, "own_weights": own_weights}
                return _position(witness)
            if factor:
                first = first if first is not None and first[3] == m else (x, y, points, m)
                values = [*first[:2], x, y]
                witness = {"kind": "position-factor", "values": values, "points": [first[2], points]}
                if _factor_defect(values) > 1e-6:
                    return _position({**witness, "own_weights": own_weights})
    return NoRule("a constant that differs from point to point as a power of the distance, or by direction only")


def _position(witness: dict[str, Any]) -> Refuted:
    return Refuted(
        "position",
        "a constant that differs from point to point is combined with the features: absolute position",
        witness,
    )


def _factor_defect(values: Sequence[float]) -> float:
    """How far (c(p), c(m p)), (c(q), c(m q)) are from one power of m; infinite where no power fits one pair."""
    a, b, c, d = values
    if any((x == 0) != (y == 0) or x * y < 0 for x, y in ((a, b), (c, d))):
        return math.inf
    size = max(abs(a * d), abs(b * c))
    return abs(c * b - a * d) / size if size else 0.0


SIGNED_BY_RULE = {
    *("aten.mul", "aten.div", "aten.add", "aten.sub", "aten.rsub", "aten.where", "aten.masked_fill", "getitem"),
    *("aten.select", "aten.slice", "aten.unbind", "aten.split", "aten.split_with_sizes", "aten.index_select"),
    *("aten.cat", "aten.stack", "aten.clone", "aten.detach", "aten.alias", "aten.contiguous", "aten._to_copy"),
    *(
        "aten.expand",
        "aten.squeeze",
        "aten.unsqueeze",
        "aten.dropout",
        "aten.index",
        "aten.lift_fresh_copy",
        "aten.copy",
    ),
    *("aten.maximum", "aten.minimum", "gdtriton.jet_conv", "gdtriton.gaussian_jet"),
}
"""Operators whose numbers are in the terms already, or say which scale channel is meant, or mean nothing."""
BLACK = 1e-6
"""Below it a value on a black image is rounding; drawn offsets are 0.1 and more."""


def _static(argument: Any) -> Any:
    """Arguments without the operands."""
    if isinstance(argument, Node):
        return "*"
    if isinstance(argument, (list, tuple)):
        return [_static(a) for a in argument]
    if isinstance(argument, dict):
        return {k: _static(v) for k, v in argument.items() if k not in ("device", "layout", "pin_memory")}
    return argument


def _operands(node: Node) -> list[Node]:
    found: list[Node] = []

    def visit(argument: Any) -> None:
        if isinstance(argument, Node):
            found.append(argument)
        elif isinstance(argument, (list, tuple)):
            for a in argument:
                visit(a)
        elif isinstance(argument, dict):
            for a in argument.values():
                visit(a)

    visit(node.args)
    visit(node.kwargs)
    return found


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value]
    return str(value) if isinstance(value, Fraction) else value


def arguments(node: Node, *names: str, **defaults: Any) -> list[Any]:
    """Arguments by position or name."""
    values = []
    for i, name in enumerate(names):
        if i < len(node.args):
            values.append(node.args[i])
        else:
            values.append(node.kwargs.get(name, defaults.get(name)))
    return values


def dims(raw: Any, rank: int) -> list[int]:
    """Non-negative axes of a reduction; all of them for None or []."""
    if raw is None or raw == []:
        return list(range(rank))
    raw = raw if isinstance(raw, (list, tuple)) else [raw]
    return [d % rank for d in raw]


@lowering("gdtriton.jet_conv")
def _jet_conv(self: Interpreter, node: Node) -> Type:
    features, weight, sigma, bias, order, zero_order, groups, power, discretisation, border = node.args[:10]
    kind = self.type_of(features)
    if self.ndim != kind.axes.__len__() - 3:
        raise NoRule("a jet layer over another number of spatial axes than the image has")
    from .lower_point import whole_canvas

    whole_canvas(self, kind)
    w, s = self.constant(weight), self.constant(sigma)
    b = self.constant(bias) if bias is not None else None
    channels = kind.axes[-self.ndim - 1]
    if any(a.kind == "W" for a in channels) and groups == 1:
        linear_over_space(self, [torch.as_tensor(v).movedim(1, 2) for v in w.values], channels)
    n_scales, n_out, n_in = kind.shape[0], int(w.real.shape[0]), int(w.real.shape[1]) * groups
    rows = [torch.as_tensor(v).double().reshape(n_scales, -1) for v in s.values]
    logs = [tuple(tuple(float(r[i, c].log()) for r in rows) for c in range(rows[0].shape[1])) for i in range(n_scales)]
    atoms = kind.axes[0]
    if any(a.kind == "S" for a in atoms) and len(atoms) > 1:
        logs = _per_scale(logs, atoms)
    per_channel = rows[0].shape[1] > 1
    if per_channel and s.real.ndim == 3 and s.real.shape[2] > 1 and not _one_channel_axis(kind, self.ndim):
        raise NoRule("sigma per input channel of a merged channel axis")
    orders = list(range(0 if zero_order else 1, order + 1))
    code = self.digest(w.values)
    if b is not None:
        code = self.terms.number("pair", code, self.digest(b.values))
    code = self.terms.number("layer", code, order, zero_order, groups, power, discretisation, border, per_channel)
    self.jets.append(
        {
            "node": node,
            "sigma": torch.as_tensor(s.values[0]).double(),
            "weight": w.real,
            "bias": b.real if b else None,
            "order": order,
            "zero_order": zero_order,
            "groups": groups,
            "norm_power": power,
            "discretisation": discretisation,
            "border": border,
            "channels": (n_in, n_out),
            "impl": node.args[10],
        }
    )
    return self.apply(
        node,
        "jet",
        [features],
        logs=logs,
        orders=orders,
        power=Fraction(str(power)),
        code=code,
        bias=b is not None,
        border=border,
        canvas=self.canvas,
        ndim=self.ndim,
        out_channels=n_out,
    )


def _one_channel_axis(kind: Type, ndim: int) -> bool:
    return all(a.kind in "CR" for a in kind.axes[-ndim - 1])


def _per_scale(logs: list[Any], atoms: Sequence[Atom]) -> list[Any]:
    """Sigmas of a folded scale-and-batch axis: one per scale channel, equal within the batch."""
    index = next(i for i, a in enumerate(atoms) if a.kind == "S")
    inner = size(tuple(atoms[index + 1 :]))
    outer = size(tuple(atoms[:index]))
    n = atoms[index].size
    table = [[logs[(o * n + s) * inner + i] for o in range(outer) for i in range(inner)] for s in range(n)]
    if any(
        max(abs(x - y) for a, b in zip(e, row[0], strict=True) for x, y in zip(a, b, strict=True)) > 1e-6
        for row in table
        for e in row
    ):
        raise NoRule("sigma differs within the batch")
    return [row[0] for row in table]


@lowering("gdtriton.gaussian_jet")
def _gaussian_jet(self: Interpreter, node: Node) -> Type:
    features, sigma, ndim, order, zero_order, power, discretisation, border = node.args[:8]
    kind = self.type_of(features)
    if ndim != self.ndim:
        raise NoRule("jets over another number of axes than the image has")
    from .lower_point import whole_canvas

    whole_canvas(self, kind)
    values = [torch.as_tensor(v).double().reshape(-1) for v in self.constant(sigma).values]
    n = len(values[0])
    if n > 1 and kind.n_scales > 1:
        raise NoRule("jets at several sigmas of every scale channel")
    orders = list(range(0 if zero_order else 1, order + 1))
    n_jet = int((node.shape or ())[-ndim - 1])
    lead = (Atom("S", n),) if n > 1 else ()
    widened = Type(
        (lead, *kind.axes[:-ndim], (), *kind.axes[-ndim:]),
        kind.weight,
        kind.slices,
        kind.at,
        kind.black,
        kind.free,
        None,
        kind.lost,
        flat=kind.flat,
    )
    if n > 1:
        widened = replace(widened, slices=kind.slices * n)
    logs = [(tuple(float(v[i].log()) for v in values),) for i in range(n)]
    code = self.terms.number("jets", order, zero_order, power, discretisation, border)
    if float(power) != 1.0 and len(orders) > 1 and _multiplied(self, node):
        raise NoRule("derivatives of several orders, normalised by hand")
    result = core.jet(
        widened,
        self.terms,
        logs=logs,
        orders=orders,
        power=Fraction(str(power)),
        code=code,
        bias=False,
        border=border,
        canvas=self.canvas,
        ndim=ndim,
        out_channels=n_jet,
    )
    data = {
        "logs": _plain(logs),
        "orders": orders,
        "power": str(power),
        "code": code,
        "bias": False,
        "border": border,
        "canvas": self.canvas,
        "ndim": ndim,
        "out_channels": n_jet,
        "materialised": True,
    }
    return self.record(node, "jet", [features], data, result)


def _multiplied(self: Interpreter, node: Node) -> bool:
    """Whether a product follows, which may be the normalisation."""
    return any(n.op in ("aten.mul", "aten.div") for n in self.graph.nodes)


def refuse_position(kind: Type, axis: int) -> None:
    """Raise where an axis holds space in a place where only channels may be."""
    if any(a.kind == "X" for a in kind.axes[axis]):
        raise NoRule("an operation along space")


def linear_over_space(self: Interpreter, weights: Sequence[Tensor], atoms: Sequence[Atom]) -> None:
    """Refute sum_p w[..., p] f(x_p) unless it reads the centre; weights [rows, *atom sizes] per draw."""
    index = next(i for i, a in enumerate(atoms) if a.kind in "XPW")
    atom = atoms[index]
    for k, w in enumerate(weights):
        table = w.double().reshape(-1, *[a.size for a in atoms]).movedim(index + 1, -1)
        rows = table.reshape(-1, atom.size)
        positions = atom.positions
        away = [i for i, p in enumerate(positions) if p != 0]
        strength = rows[:, away].abs().amax(1)
        if not bool((strength > 0).any()):
            continue
        if atom.kind != "W" and not bool((rows - rows[:, :1]).abs().amax() > 0):
            raise NoRule("a uniform linear map over space")
        row = rows[strength.argmax()]
        taps = [[str(p), str(Fraction(float(v)))] for p, v in zip(positions, row.tolist(), strict=True) if v]
        raise Refuted(
            "fixed-window" if atom.kind == "W" else "dense-over-space",
            "a linear map over the pixels gives different points different weights: features move between them when "
            "the image is scaled",
            {"kind": "taps", "taps": taps, "own_weights": k == 0},
        )
    raise NoRule("a linear map over space that reads the centre only")


__all__ = ["Interpreter", "Slice", "arguments", "dims", "linear_over_space", "lowering"]
