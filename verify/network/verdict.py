"""The verdict about a module: certificate, refutation or unknown, with its four links.

Scope of every verdict: one image shape, scale factors in ratio^Z, the canvas that was named, evaluation mode unless
asked otherwise, the architecture for all weights (what cancels at the given weights only is said separately).
"""

import math
import platform
import time
from collections import deque
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, Literal

import torch
from torch import nn

from ... import __version__
from . import lower_canvas, lower_mix, lower_moved, lower_reduce, lower_windows
from .domain import TOLERANCE, NoRule, Refuted, Type
from .graph import Graph, Node, TracingError, evaluation_copy, quiet_state, read_graph
from .lower import LOWERINGS, Interpreter, _operands, _static
from .lower_space import Parts
from .witness import defect

Canvas = Literal["fixed", "scales"]
FORMAT = "gdtriton-network-1"
OPERATORS = (lower_canvas, lower_mix, lower_moved, lower_reduce, lower_windows)
"""Importing them registers their operators."""
UNTRACED = "the module could not be traced"


HISTORY: deque[tuple[str, "Verdict"]] = deque(maxlen=200)
"""The latest verdicts of this process, for the pytest plugin's summary."""


class NotCertified(AssertionError):
    """`require` was not met."""


@dataclass(frozen=True)
class Verdict:
    """What was found out about a module.

    Attributes:
        verdict: "covariant", "invariant", "refuted" or "unknown".
        offender: Path of the first module that breaks the claim, "" for the root, None without one.
        reason: Why, in one sentence.
        data: Everything, as `to_json` returns it.
    """

    verdict: str
    offender: str | None
    reason: str
    data: dict[str, Any] = field(repr=False)

    def __bool__(self) -> bool:
        return False

    def require(self, claim: Literal["covariant", "invariant"]) -> "Verdict":
        """Return self if `claim` is certified (what is invariant is covariant).

        Raises:
            NotCertified: If it is not.
            ValueError: If claim is neither.
        """
        if claim not in ("covariant", "invariant"):
            raise ValueError(f"require: claim must be 'covariant' or 'invariant', got {claim!r}")
        if self and (claim == self.verdict or claim == "covariant"):
            return self
        where = self.data.get("offender") or {}
        place = " ".join(x for x in (where.get("path") and f"in {where['path']}", where.get("source")) if x)
        raise NotCertified(
            f"{claim} was required, the verdict is {self.verdict}{': ' + place if place else ''}: {self.reason}"
        )

    def to_json(self) -> dict[str, Any]:
        """Claim, verdict, canvas, offender, reason, links, boundary, proof, versions: plain JSON."""
        return self.data

    def to_html(self) -> str:
        """A page with the graph, the type at every node, the offender in red, the links and the theorems."""
        from .report import page

        return page(self.data)


class Certificate(Verdict):
    """The claim holds; the only verdict that is true."""

    def __bool__(self) -> bool:
        return True


class Refutation(Verdict):
    """The claim fails, with a witness."""


class Unknown(Verdict):
    """No rule decides."""


Outcome = Certificate | Refutation | Unknown


def certify(
    module: nn.Module, input_shape: tuple[int, ...], *, canvas: Canvas = "fixed", training: bool = False
) -> Certificate | Refutation | Unknown:
    """Decide whether a network is scale covariant or invariant, and say why.

    The module is copied; its weights, buffers, mode and the random state are left as they are.

    Args:
        module: forward(image [B, C, *spatial]) with one, two or three spatial axes.
        input_shape: Shape of the image, every axis.
        canvas: "fixed": an object changes size in an image of given size and black background; "scales": the whole
            image is resized.
        training: Judge training mode.

    Returns:
        A verdict; `.require("invariant")` raises unless it is certified.

    Raises:
        TypeError: If module is no `nn.Module`.
        ValueError: If input_shape or canvas are not admitted.
    """
    if not isinstance(module, nn.Module):
        raise TypeError(f"certify: module must be a torch.nn.Module, got {type(module).__name__}")
    shape = tuple(int(n) for n in input_shape)
    if not 3 <= len(shape) <= 5 or any(n < 1 for n in shape):
        raise ValueError(f"certify: input_shape must be [B, C, *spatial] with 1 to 3 spatial axes, got {list(shape)}")
    if canvas not in ("fixed", "scales"):
        raise ValueError(f"certify: canvas must be 'fixed' or 'scales', got {canvas!r}")
    duplicate = evaluation_copy(module, training)
    floats = sorted(
        ((p.numel(), p.dtype) for p in duplicate.parameters() if p.is_floating_point()), key=lambda pair: pair[0]
    )
    dtype = floats[-1][1] if floats else torch.get_default_dtype()
    second = (*shape[:2], *(n + 8 * -(-n // 8) for n in shape[2:]))  # the same parity, and that of the halves
    with quiet_state(), torch.no_grad():
        found = _judge(duplicate, shape, canvas, dtype, training)
        if isinstance(found, Certificate):
            found = _second_size(duplicate, second, canvas, dtype, training, found)
        elif isinstance(found, Refutation) and canvas == "scales":
            found = _follows_the_size(duplicate, second, dtype, training, found)
    HISTORY.append((type(module).__name__, found))
    return found


def _second_size(
    module: nn.Module, shape: tuple[int, ...], canvas: str, dtype: torch.dtype, training: bool, found: Certificate
) -> Certificate | Unknown | Refutation:
    """The same verdict must come out at another size: a branch on the shape is not seen at one."""
    other = _judge(module, shape, canvas, dtype, training, links=False)
    found.data["second_shape"] = {"shape": list(shape), "verdict": other.verdict, "reason": other.reason}
    one_size = other.reason.startswith(UNTRACED) and canvas == "fixed"  # a canvas of fixed size needs no second one
    if other.verdict == found.verdict and canvas == "scales" and _numbers_of(found) != _numbers_of(other):
        reason = (
            f"the network computes with other numbers for {list(shape)}: what they are on a scaled canvas is not read"
        )
        return Unknown("unknown", None, reason, {**found.data, "verdict": "unknown", "reason": reason})
    if other.verdict == found.verdict or one_size:
        return found
    reason = f"{found.verdict} for this image shape, but {other.verdict} for {list(shape)}: the network computes "
    data = {**found.data, "verdict": other.verdict, "offender": other.data["offender"]}
    data["reason"] = f"{reason}something else at another size ({other.reason})"
    if isinstance(other, Refutation):
        data["witness"], data["zero_at_these_weights"] = other.data["witness"], other.data["zero_at_these_weights"]
        return Refutation("refuted", other.offender, data["reason"], data)
    data["verdict"] = "unknown"
    return Unknown("unknown", other.offender, data["reason"], data)


def _follows_the_size(
    module: nn.Module, shape: tuple[int, ...], dtype: torch.dtype, training: bool, found: Refutation
) -> Unknown | Refutation:
    """On a canvas that is scaled, what is computed with the size of the image may scale along: no refutation."""
    other = _judge(module, shape, "scales", dtype, training, links=False)
    if other.reason.startswith(UNTRACED):
        return found
    rows = [v.data["proof"]["graph"]["nodes"] for v in (found, other)]
    place = next(i for i, row in enumerate(rows[0]) if row["name"] == found.data["offender"]["node"])
    same = len(rows[0]) == len(rows[1]) and rows[0][place]["static"] == rows[1][place]["static"]
    if same and _numbers_of(found) == _numbers_of(other):
        return found
    reason = f"{found.reason}; but the network computes with other numbers for {list(shape)}, which may follow the size"
    return Unknown("unknown", found.offender, reason, {**found.data, "verdict": "unknown", "reason": reason})


def _numbers_of(found: Verdict) -> list[tuple[str, str]]:
    """What the graph computes with: every operator with its own numbers, and the constants that are no weights.

    Left out is what follows the size of the image without entering a value: shapes, and the middle of an axis.
    """
    numbers = []
    for row in found.data["proof"]["graph"]["nodes"]:
        name = row["op"].removeprefix("aten.")
        own = row["static"].split("], ", 1)[-1] if name == "full" else row["static"]
        numbers.append((name, "" if name in SHAPES else own))
    return numbers + [("constant", value) for value in found.data["constants"]]


SHAPES = {
    *("view", "_unsafe_view", "reshape", "expand", "select", "slice", "flatten", "unflatten", "squeeze", "unsqueeze"),
    *("zeros", "ones", "new_zeros", "new_ones", "adaptive_max_pool2d", "placeholder", "constant", "arange"),
    *("avg_pool1d", "avg_pool2d", "avg_pool3d", "max_pool1d", "max_pool2d", "max_pool2d_with_indices", "max_pool3d"),
}
"""Operators whose numbers are shapes, or decided by the place they read."""


def _judge(
    module: nn.Module, shape: tuple[int, ...], canvas: str, dtype: torch.dtype, training: bool, links: bool = True
) -> Certificate | Refutation | Unknown:
    base: dict[str, Any] = {
        "format": FORMAT,
        "claim": {
            "input_shape": list(shape),
            "canvas": canvas,
            "training": training,
            "scope": "scale factors in ratio^Z, all weights of this architecture",
        },
        "verdict": "unknown",
        "canvas": canvas,
        "offender": None,
        "reason": "",
        "links": [],
        "boundary": None,
        "proof": None,
        "versions": {"gdtriton": __version__, "torch": torch.__version__, "python": platform.python_version()},
    }
    traced = evaluation_copy(module, training)  # it may keep a tracer's tensors, where a module keeps what it computes
    try:
        graph = read_graph(traced, shape, dtype, LOWERINGS)
    except TracingError as error:
        return _unknown(base, f"{UNTRACED}: {error}", None, "")
    start = time.perf_counter()
    run = Interpreter(graph, traced, canvas, shape, dtype)
    outputs = run.run()
    seconds = time.perf_counter() - start
    from .check import graph_digest

    rows = graph_rows(graph)
    proof = {
        "format": FORMAT,
        "canvas": canvas,
        "input_shape": list(shape),
        "graph": {"nodes": rows, "sha256": graph_digest(rows)},
        "tracer": graph.tracer,
        "steps": run.steps,
        "outputs": [n.name for n in graph.outputs],
    }
    base["proof"] = proof
    base["constants"] = [
        f"{list(node.value.shape)} {node.value.flatten()[:64].tolist()} {float(node.value.double().sum())}"
        for node in graph.nodes
        if node.value is not None and node.parameter is None and not node.value.is_complex()
    ]
    verdict = _conclude(run, graph, outputs, base, dtype)
    base["links"].append(
        {
            "name": "network",
            "verdict": verdict.verdict,
            "numbers": {"nodes": len(graph.nodes), "steps": len(run.steps), "seconds": round(seconds, 4)},
        }
    )
    if not links or isinstance(verdict, Unknown):
        return verdict
    from .links import all_links

    others = all_links(evaluation_copy(module, training), graph, run, shape, dtype)
    base["links"] = [*others[:2], base["links"][0], *others[2:]]
    failed = [link for link in others if link["verdict"] == "failed"]
    if isinstance(verdict, Certificate) and failed:
        reason = (
            f"the derivation says {verdict.verdict}, but the link '{failed[0]['name']}' failed: {failed[0]['reason']}"
        )
        return _unknown(base, reason, None, "link")
    return verdict


def graph_rows(graph: Graph) -> list[dict[str, Any]]:
    """The graph for the checker: names, operators, operands, shapes, the operators' own numbers."""
    outputs = set(graph.outputs)
    return [
        {
            "name": node.name,
            "op": node.op,
            "operands": sorted({n.name for n in _operands(node)}),
            "static": repr((_static(node.args), _static(node.kwargs))),
            "shape": None if node.shape is None else list(node.shape),
            "output": node in outputs,
        }
        for node in graph.nodes
    ]


def _unknown(base: dict[str, Any], reason: str, node: Node | None, rule: str) -> Unknown:
    base["verdict"], base["reason"] = "unknown", reason
    base["offender"] = _place(node, rule)
    return Unknown("unknown", node.path if node else None, reason, base)


def _place(node: Node | None, rule: str) -> dict[str, str] | None:
    if node is None:
        return None
    return {"path": node.path, "source": node.source, "rule": rule, "node": node.name, "op": node.op}


def _conclude(run: Interpreter, graph: Graph, outputs: list[Any], base: dict[str, Any], dtype: torch.dtype) -> Outcome:
    flat: list[tuple[Node, Any]] = []
    for node, value in zip(graph.outputs, outputs, strict=True):
        flat += [(node, item) for item in (value.items if isinstance(value, Parts) else [value])]
    position = {node: i for i, node in enumerate(graph.nodes)}
    for _, value in sorted(((n, v) for n, v in flat if isinstance(v, NoRule)), key=lambda p: position[p[0]]):
        node = value.node  # type: ignore[attr-defined]
        return _unknown(base, f"{value} ({node.op})", node, "no rule")
    for node, value in flat:
        reason = _undecided(run, value) if isinstance(value, Type) else None
        if reason:
            return _unknown(base, reason, node, "no rule")
    refuted = [v for _, v in flat if isinstance(v, Refuted)]
    for node, value in flat:
        if isinstance(value, Type):
            refuted += _output_faults(run, graph, node, value)
    if refuted:
        first = min(refuted, key=lambda v: position[v.node])  # type: ignore[attr-defined]
        return _refute(base, first, run, graph, dtype)
    types = [v for _, v in flat if isinstance(v, Type)]
    if not types:
        return _unknown(base, "no output depends on the image", None, "constant")
    for node, value in flat:
        if isinstance(value, Type) and value.anchored and run.values:
            return _unknown(
                base,
                "one scale channel only: there is no second one to compare it with, and its sigma does not follow "
                "the image",
                node,
                "one-scale-channel",
            )
    return _certificate(base, types)


def _output_faults(run: Interpreter, graph: Graph, node: Node, value: Type) -> list[Refuted]:
    faults = []
    for axis, position in value.at:
        error = Refuted(
            "off-centre",
            f"features are read {abs(position)} pixels from the centre of axis {axis}: that point moves when the image "
            "is scaled",
            {"kind": "read", "position": str(position)},
        )
        error.node = _reader(run, graph, axis, position) or node  # type: ignore[attr-defined]
        faults.append(error)
    for atom in value.atoms("P") + value.atoms("W"):
        place = next((p for p in atom.places if p), None)
        error = Refuted(
            "rearranged",
            "an output on rearranged points: their places are no grid, which is no image scaled about its centre",
            {"kind": "samples", "places": [str(p) for p in atom.places]}
            if atom.kind == "P"
            else {"kind": "read", "position": str(place)},
        )
        error.node = node  # type: ignore[attr-defined]
        faults.append(error)
    if value.anchored and (value.lost or not _one_channel_lift(run)):
        anchor = value.slices[0].anchor or (0.0,)
        error = Refuted(
            "fixed-sigma",
            "the output is that of one fixed sigma: sigma does not follow the image",
            run.scale_weights.get(value.lost or "", {"kind": "fixed-sigma", "sigma": math.exp(anchor[0])}),
        )
        by_name = {n.name: n for n in graph.nodes}
        first_jet = run.jets[0]["node"] if run.jets else node
        error.node = by_name.get(value.lost or "", first_jet)  # type: ignore[attr-defined]
        faults.append(error)
    return faults


def _undecided(run: Interpreter, value: Type) -> str | None:
    """Why an output without a fault is not certified either."""
    for axis in {axis for axis, _ in value.at}:
        if sum(a == axis for a, _ in value.at) >= run.input_shape[2 + axis] - 1:
            return "every pixel of an axis is read by itself: a reduction over the canvas written out"
        if {position for k, position in value.at if k == axis} == {Fraction(-1, 2), Fraction(1, 2)}:
            return "the two middle pixels of an even size are read and combined: whether alike is not decided"
    if value.window is not None and value.window[1] - value.window[0] <= TOLERANCE:
        return "poolings over different parts of the scale channels are combined"
    return None


def _reader(run: Interpreter, graph: Graph, axis: int, position: Fraction) -> Node | None:
    by_name = {n.name: n for n in graph.nodes}
    for step in run.steps:
        if step["rule"] == "read" and [axis, str(position)] in step["type"]["at"]:
            return by_name[step["node"]]
    return None


def _one_channel_lift(run: Interpreter) -> bool:
    from ...scale_axis import ScaleLift

    return any(isinstance(m, ScaleLift) and m.grid.n_scales == 1 for m in run.module.modules())


def _refute(
    base: dict[str, Any], error: Refuted, run: Interpreter, graph: Graph, dtype: torch.dtype
) -> Refutation | Unknown:
    from .evidence import with_numbers

    checked = with_numbers(run, graph, error, dtype)
    if isinstance(checked, NoRule):
        return _unknown(base, str(checked), error.node, error.rule)  # type: ignore[attr-defined]
    error = checked
    node: Node = error.node  # type: ignore[attr-defined]
    from .check import finite

    if not finite(error.witness):
        return _unknown(base, f"{error.reason}; but the numbers of the run are not finite", node, error.rule)
    if defect(error.witness) == 0:
        return _unknown(base, f"{error.reason}; but the counterexample does not differ", node, error.rule)
    from .links import reaches_output

    if not reaches_output(graph, run, node, dtype, error.rule):
        return _unknown(base, f"{error.reason}; but that does not reach an output", node, error.rule)
    base["verdict"], base["reason"] = "refuted", error.reason
    base["offender"] = _place(node, error.rule)
    base["witness"] = error.witness
    base["zero_at_these_weights"] = error.witness.get("own_weights") is False
    return Refutation("refuted", node.path, error.reason, base)


def _certificate(base: dict[str, Any], types: list[Type]) -> Certificate | Unknown:
    invariant = all(
        not t.atoms("X") and t.n_scales == 1 and t.weight == 0 and not t.index and not _has_scale(t) for t in types
    )
    verdict = "invariant" if invariant else "covariant"
    weights = sorted({str(t.weight) for t in types})
    base["verdict"] = verdict
    base["boundary"] = (
        "a finite grid of scale channels: scaling by ratio^j moves j channels out of the window and j in; the output "
        "differs by what they contribute"
    )
    base["weights"] = weights
    base["reason"] = (
        "every output is unchanged when the image is scaled"
        if invariant
        else f"every output is transformed along with the image, times S^w, w = {', '.join(weights)}"
    )
    return Certificate(verdict, None, base["reason"], base)


def _has_scale(kind: Type) -> bool:
    return bool(kind.atoms("S"))
