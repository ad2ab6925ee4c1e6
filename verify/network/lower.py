"""From operators of the graph to rules: which rule an operator is, with which data.

`Interpreter.run` walks the graph once, in order. A value is a `Constant`, a `Type`, or what went wrong on the way to it
(`Refuted`, `NoRule`), which every later value inherits.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any

import torch
from torch import Tensor, nn

from . import core
from .constants import Constant, Digests, drawn_parameters, evaluate, spread, varies
from .domain import Atom, NoRule, Refuted, Slice, Terms, Type, size
from .graph import Graph, Node

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
    """

    graph: Graph
    module: nn.Module
    canvas: str
    input_shape: tuple[int, ...]
    terms: Terms = field(default_factory=Terms)
    digest: Digests = field(default_factory=Digests)
    values: dict[Node, Any] = field(default_factory=dict)
    steps: list[dict[str, Any]] = field(default_factory=list)
    faults: dict[str, Node] = field(default_factory=dict)
    jets: list[dict[str, Any]] = field(default_factory=list)

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
        if all(isinstance(v, Constant) for v in operands):
            if node.op in RANDOM:
                return self._stop(node, NoRule("a random value"))
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
            return function(self, node)
        except (Refuted, NoRule) as error:
            return self._stop(node, error)
        except (ValueError, IndexError, KeyError, TypeError, AttributeError) as error:
            return self._stop(node, NoRule(f"{node.op} in a form without a rule ({type(error).__name__}: {error})"))

    def _stop(self, node: Node, error: Any) -> Any:
        error.node = node
        return error

    def record(self, node: Node, rule: str, premises: Sequence[Node], data: dict[str, Any], kind: Type) -> Type:
        """Write the step down."""
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

    def codes(self, constant: Constant, kind: Type, node: Node) -> tuple[list[int], list[Tensor]]:
        """One number per scale channel for a constant that meets a value pointwise; refuted if it varies over space."""
        tensors = spread(constant, kind)
        atoms = [a for axis in kind.axes for a in axis]
        for k, tensor in enumerate(tensors):
            for i, atom in enumerate(atoms):
                if atom.kind == "X" and tensor.shape[i] > 1 and varies(tensor, i):
                    raise self.position(tensor, i, k)
        scale = next((i for i, a in enumerate(atoms) if a.kind == "S"), None)
        if scale is None or all(t.shape[scale] == 1 for t in tensors):
            return [self.digest(tensors)], tensors
        n = atoms[scale].size
        return [self.digest([t.select(scale, i) for t in tensors]) for i in range(n)], tensors

    def meet(self, constant: Constant, kind: Type, node: Node) -> tuple[Type, list[int], list[Tensor]]:
        """`codes`, and the type in which copies that the constant makes different are features."""
        codes, tensors = self.codes(constant, kind, node)
        axes, i = [], 0
        for axis in kind.axes:
            atoms = []
            for atom in axis:
                differs = atom.kind == "R" and any(t.shape[i] > 1 and varies(t, i) for t in tensors)
                atoms.append(Atom("C", atom.size) if differs else atom)
                i += 1
            axes.append(tuple(atoms))
        return replace(kind, axes=tuple(axes)), codes, tensors

    def position(self, tensor: Tensor, axis: int, draw: int) -> Refuted:
        """A constant that differs between two points of the image."""
        flat = tensor.double().movedim(axis, -1).flatten(0, -2) if tensor.ndim > 1 else tensor.double()[None]
        row = flat[(flat - flat[:, :1]).abs().amax(1).argmax()]
        k = int((row - row[0]).abs().argmax())
        return Refuted(
            "position",
            "a constant that differs from point to point is combined with the features: absolute position",
            {"kind": "position", "values": [float(row[0]), float(row[k])], "own_weights": draw == 0},
        )


RANDOM = {
    "aten.rand",
    "aten.randn",
    "aten.bernoulli",
    "aten.rand_like",
    "aten.randn_like",
    "aten.randint",
    "aten.randperm",
}


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
    w, s = self.constant(weight), self.constant(sigma)
    b = self.constant(bias) if bias is not None else None
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
    )
    if n > 1:
        widened = Type(widened.axes, kind.weight, kind.slices * n, kind.at, kind.black, kind.free, None, kind.lost)
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
    index = next(i for i, a in enumerate(atoms) if a.kind == "X")
    atom = atoms[index]
    for k, w in enumerate(weights):
        table = w.double().reshape(-1, *[a.size for a in atoms]).movedim(index + 1, -1)
        rows = table.reshape(-1, atom.size)
        positions = [atom.offset + atom.spacing * i for i in range(atom.size)]
        away = [i for i, p in enumerate(positions) if p != 0]
        strength = rows[:, away].abs().amax(1)
        if not bool((strength > 0).any()):
            continue
        if not bool((rows - rows[:, :1]).abs().amax() > 0):
            raise NoRule("a uniform linear map over space")
        row = rows[strength.argmax()]
        taps = [[str(p), str(Fraction(float(v)))] for p, v in zip(positions, row.tolist(), strict=True) if v]
        raise Refuted(
            "dense-over-space",
            "a linear map over the pixels gives different points different weights: features move between them when "
            "the image is scaled",
            {"kind": "taps", "taps": taps, "own_weights": k == 0},
        )
    raise NoRule("a linear map over space that reads the centre only")


__all__ = ["Interpreter", "Slice", "arguments", "dims", "linear_over_space", "lowering"]
