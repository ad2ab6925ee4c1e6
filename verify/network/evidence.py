"""Numbers for the refutations that rest on a comparison of scale channels: the network is run on what they claim.

Scale channels are one function of sigma: set all of them to one sigma and they must agree. What becomes of them is one
function of their sequence: a response that moves to the neighbouring scale channel must not be seen.
"""

import math
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from .constants import DRAWS, Constant
from .domain import TOLERANCE, NoRule, Refuted, Type
from .graph import Graph, Node
from .links import replay
from .lower import Interpreter, _operands

ROUNDING = 512


def with_numbers(run: Interpreter, graph: Graph, error: Refuted, dtype: torch.dtype) -> Refuted | NoRule:
    """The refutation with the numbers of a run in its witness; NoRule if the run does not bear it out."""
    generator = torch.Generator().manual_seed(5)
    image = torch.rand(run.input_shape, generator=generator).to(dtype)
    if error.witness["kind"] == "unshared":
        return _compared(run, graph, error, image)
    if error.rule == "fixed-sigma" and error.witness["kind"] == "fixed-sigma":
        return _shifted(run, graph, error, image)
    if error.rule == "unequal-ratio" and error.node.op in REORDERING:  # type: ignore[attr-defined]
        return _reordered(run, graph, error, image)
    if error.rule in ("weight", "bias", "mixed-orders"):
        from .rescaled import taken_back

        if taken_back(run, graph, error.node, image):  # type: ignore[attr-defined]
            return NoRule(f"{error}; but further on, the scale channels change by one power of S again")
    return error


REORDERING = ("aten.index", "aten.index_select", "aten.gather", "aten.cat", "aten.stack", "aten.roll")


def _reordered(run: Interpreter, graph: Graph, error: Refuted, image: Tensor) -> Refuted | NoRule:
    """Scale channels in another order do no harm where the order is not seen, or where the sigmas follow."""
    node: Node = error.node  # type: ignore[attr-defined]
    fields = [
        n for n in graph.nodes[: graph.nodes.index(node)] if isinstance(k := run.values[n], Type) and k.slices[0].anchor
    ]
    most = max((run.values[n].n_scales for n in fields), default=1)
    source = next((n for n in reversed(fields) if run.values[n].n_scales == most), None)
    if source is None or most < 2:
        return error
    if any(_out_of_order(run, n) for n in graph.nodes if n.op == "gdtriton.jet_conv"):
        return NoRule(f"{error}; but a layer has its sigmas in another order too")
    before = dict(error.witness)
    found = _moved_along(run, graph, error, image, source)
    if isinstance(found, NoRule):
        return found
    error.witness = before
    return error


def _out_of_order(run: Interpreter, jet: Node) -> bool:
    sigma = run.values[jet.args[2]]
    if not isinstance(sigma, Constant):
        return False
    rows = sigma.real.double().reshape(sigma.real.shape[0], -1)[:, 0].tolist()
    return rows not in (sorted(rows), sorted(rows, reverse=True))


def _compared(run: Interpreter, graph: Graph, error: Refuted, image: Tensor) -> Refuted | NoRule:
    node: Node = error.node  # type: ignore[attr-defined]
    found = _scale_axis(run, node)
    if found is None:
        return NoRule(f"{error}; but the scale channels could not be told apart in a run")
    for draw in range(DRAWS + 1):
        values = replay(graph, run, image, draw, at_one_sigma(run), only=node)
        channels = _split(values[0], *found)
        for i in range(1, channels.shape[0]):
            pair = _differ(channels[0], channels[i], _has_gain(run, node))
            if pair is not None:
                error.witness.update(channels=[0, i], values=list(pair), own_weights=draw == 0)
                return error
    return _equivariant(run, graph, error, image, found)


def _equivariant(
    run: Interpreter, graph: Graph, error: Refuted, image: Tensor, found: tuple[int, int, int]
) -> Refuted | NoRule:
    """A response that moves to the neighbouring scale channel must move along in what the node computes."""
    node: Node = error.node  # type: ignore[attr-defined]
    source = next(
        (n for n in graph.nodes if isinstance(k := run.values[n], Type) and k.n_scales > 1 and k.slices[0].anchor), None
    )
    before = _scale_axis(run, source) if source is not None else None
    if source is not None and before is not None and before[1] == found[1]:
        for draw in (0, 1):
            maps = [
                _split(
                    replay(graph, run, image, draw, {**at_one_sigma(run), source: _bump(k, before)}, only=node)[0],
                    *found,
                )
                for k in range(found[1])
            ]
            for k in range(found[1] - 1):
                pair = _differ(maps[k][:-1], maps[k + 1][1:], False)
                if pair is not None:
                    error.witness = {"kind": "scale-shift", "channels": [k, k + 1], "values": list(pair)}
                    error.witness["own_weights"] = draw == 0
                    return error
    return NoRule(f"{error}; but at one sigma all scale channels give the same numbers")


def _bump(k: int, found: tuple[int, int, int]) -> Any:
    """Replace a value by one that is 0 but for scale channel k; the first of a tuple."""

    def put(value: Any, _: Any) -> Any:
        own = value[0] if isinstance(value, tuple) else value
        channels = torch.zeros_like(_split(own, *found))
        noise = torch.rand(channels[0].shape, generator=torch.Generator().manual_seed(6)) + 1
        channels[k] = noise.to(own.dtype)
        result = channels.movedim(0, own.ndim + found[0] + 1).reshape(own.shape)
        return (result, *value[1:]) if isinstance(value, tuple) else result

    return put


def at_one_sigma(run: Interpreter) -> dict[Node, Any]:
    """For `replay`: every jet layer with all its scale channels moved to the finest sigma."""
    anchors = [s.anchor[0] for v in run.values.values() if isinstance(v, Type) for s in v.slices if s.anchor]
    finest = min(anchors, default=0.0)
    changes: dict[Node, Any] = {}
    for jet in run.jets:
        node = jet["node"]
        kind = run.values[node]
        if not isinstance(kind, Type) or any(s.anchor is None for s in kind.slices):
            kind = run.values[_operands(node)[0]]
        if not isinstance(kind, Type) or any(s.anchor is None for s in kind.slices):
            continue
        logs = [finest - s.anchor[0] for s in kind.slices if s.anchor is not None]

        def moved(value: Any, given: Any, node: Node = node, logs: list[float] = logs) -> Any:
            features, sigma, n = given[0], torch.as_tensor(given[2]), len(logs)
            factor = torch.tensor(logs, dtype=torch.float64).exp()
            if sigma.shape[0] == 1 and n > 1 and features.shape[0] == 1 and features.shape[1] % n == 0:
                features = features.reshape(n, -1, *features.shape[2:])  # the scale channels lie in the batch
            elif sigma.shape[0] % n:
                return value
            else:
                factor = factor.repeat_interleave(sigma.shape[0] // n)
            sigma = sigma * factor.reshape(-1, *(1,) * (sigma.ndim - 1)).to(sigma.dtype)
            out = node.target(features, given[1], sigma, *given[3:])
            return (out[0].reshape(value[0].shape), *value[1:])

        changes[node] = moved
    return changes


def _scale_axis(run: Interpreter, node: Node) -> tuple[int, int, int] | None:
    """Axis of the scale channels in what `node` computes, counted from the last, with their number and inner size."""
    known = run.values.get(node)
    if node.op == "aten.cat":
        rank = len(node.shape or ())
        dim = (node.args[1] if len(node.args) > 1 else 0) % rank
        parts = [run.values[n] for n in node.args[0]]
        if any(isinstance(k, Type) and [a.kind for a in k.axes[dim]] == ["S"] for k in parts):
            return dim - rank, (node.shape or ())[dim], 1
    kinds = [run.values[n] for n in _operands(node) if isinstance(run.values[n], Type)]
    if isinstance(known, Type):
        kinds.insert(0, known)
    for kind in kinds:
        for position, axis in enumerate(kind.axes):
            for k, atom in enumerate(axis):
                if atom.kind == "S" or (atom.kind == "R" and position == 0 and node.op.startswith("gdtriton")):
                    inner = math.prod(a.size for a in axis[k + 1 :])
                    return position - len(kind.axes), atom.size, inner
    if node.op in ("aten.stack", "aten.cat"):
        parts = node.args[0]
        dim = node.args[1] if len(node.args) > 1 else 0
        rank = len(node.shape or ())
        return dim % rank - rank, len(parts), (node.shape or (0,))[dim] // len(parts)
    return None


def _split(value: Tensor, axis: int, n: int, inner: int) -> Tensor:
    shape = list(value.shape)
    axis += value.ndim
    return value.reshape(*shape[:axis], -1, n, inner, *shape[axis + 1 :]).movedim(axis + 1, 0)


def _has_gain(run: Interpreter, node: Node) -> bool:
    """Whether the scale channels carry factors of their own, powers of sigma, that one sigma does not take away."""
    kinds = [run.values[n] for n in _operands(node) if isinstance(run.values[n], Type)]
    return any(k.weight or any(any(s.gain) for s in k.slices) for k in kinds)


def _differ(a: Tensor, b: Tensor, up_to_factor: bool) -> tuple[float, float] | None:
    """The entries that differ most, or None if none differ by more than rounding."""
    x, y = a.double().flatten(), b.double().flatten()
    if up_to_factor and float(y @ y) > 0:
        y = y * float(x @ y) / float(y @ y)
    gap = torch.nan_to_num((x - y).abs(), nan=0.0)
    k = int(gap.argmax())
    size = float(torch.nan_to_num(x.abs(), 0, 0, 0).max())
    unit = torch.finfo(a.dtype).eps if a.is_floating_point() else 0.0
    return (float(x[k]), float(y[k])) if float(gap[k]) > ROUNDING * unit * max(size, 1e-30) else None


def _shifted(run: Interpreter, graph: Graph, error: Refuted, image: Tensor) -> Refuted | NoRule:
    """Give single scale channels a response and move it to the neighbour."""
    node: Node = error.node  # type: ignore[attr-defined]
    channels = _frontier(run, graph)
    if len(channels) < 2:
        field = next((n for n in _operands(node) if isinstance(run.values[n], Type)), None)
        if field is not None and run.values[field].n_scales > 1:
            return _moved_along(run, graph, error, image, field)
        return error
    logs = [list(run.values[n].slices[0].anchor) for n in channels]
    steps = [[b[k] - a[k] for a, b in pairwise(logs)] for k in range(len(logs[0]))]
    if any(max(row) - min(row) > TOLERANCE for row in steps):
        ratio: dict[str, Any] = {"kind": "ratio", "logs": [[a[k] for a in logs] for k in range(len(logs[0]))]}
        changed = Refuted("unequal-ratio", "the sigmas of the scale channels are not geometric", ratio)
        changed.node = node  # type: ignore[attr-defined]
        return changed
    shapes = {tuple(n.shape or ()) for n in channels}
    if len(shapes) > 1:
        return NoRule(f"{error}; but its scale channels have different shapes")
    for draw in range(DRAWS + 1):
        values = [replay(graph, run, image, draw, at_one_sigma(run), only=n)[0] for n in channels]
        for i in range(1, len(channels)):
            pair = _differ(values[0], values[i], _has_gain(run, channels[i]))
            if pair is not None:
                place = _first_difference(run, graph, channels[0], channels[i])
                witness = {"kind": "unshared", "channels": [0, i], "values": list(pair), "own_weights": draw == 0}
                changed = Refuted(
                    "unshared", f"scale channel {i} does not compute what scale channel 0 computes", witness
                )
                changed.node = place  # type: ignore[attr-defined]
                return changed
    shape = next(iter(shapes))

    def response(k: int) -> dict[Node, Any]:
        bump = torch.rand(shape, generator=torch.Generator().manual_seed(6)).to(image.dtype) + 1
        return {n: lambda v, _, i=i: bump if i == k else torch.zeros_like(bump) for i, n in enumerate(channels)}

    return _decided(run, graph, error, image, [response(k) for k in range(len(channels))])


def _moved_along(run: Interpreter, graph: Graph, error: Refuted, image: Tensor, field: Node) -> Refuted | NoRule:
    found = _scale_axis(run, field)
    assert found is not None

    return _decided(run, graph, error, image, [{field: _bump(k, found)} for k in range(found[1])])


def _decided(
    run: Interpreter, graph: Graph, error: Refuted, image: Tensor, responses: list[dict[Node, Any]]
) -> Refuted | NoRule:
    for draw in (0, 1):
        outputs = [replay(graph, run, image, draw, changes) for changes in responses]
        for k, (one, other) in enumerate(pairwise(outputs)):
            for a, b in zip(one, other, strict=True):
                pair = _differ(a, b, False)
                if pair is not None:
                    error.witness = {"kind": "scale-shift", "channels": [k, k + 1], "values": list(pair)}
                    error.witness["own_weights"] = draw == 0
                    return error
    return NoRule(f"{error}; but a response that moves from scale channel to scale channel is not seen at the output")


def _frontier(run: Interpreter, graph: Graph) -> list[Node]:
    """Values of one scale channel that meet those of others, by their sigma."""
    found: dict[Node, float] = {}
    for node in graph.nodes:
        single = {
            n: kind.slices[0].anchor[0]
            for n in _operands(node)
            if isinstance(kind := run.values[n], Type) and kind.anchored and kind.slices[0].anchor
        }
        pooled = any(isinstance(k := run.values[n], Type) and k.pool and k.free for n in _operands(node))
        if len(set(single.values())) > 1 or (pooled and single):
            found.update(single)
    after: set[Node] = set()
    for node in graph.nodes:
        if any(n in found or n in after for n in _operands(node)):
            after.add(node)
    return sorted((n for n in found if n not in after), key=lambda n: found[n])


def _first_difference(run: Interpreter, graph: Graph, one: Node, other: Node) -> Node:
    """The first step of the second branch that has no counterpart in the first."""
    a, b = (_branch(run, graph, n) for n in (one, other))
    for x, y in zip(a, b, strict=False):
        if run.values[x].slices[0].term != run.values[y].slices[0].term:
            return y
    return other


def _branch(run: Interpreter, graph: Graph, end: Node) -> list[Node]:
    wanted, result = {end}, []
    for node in reversed(graph.nodes):
        if node in wanted:
            wanted |= set(_operands(node))
            kind = run.values[node]
            if isinstance(kind, Type) and kind.slices[0].anchor is not None:
                result.append(node)
    return result[::-1]
