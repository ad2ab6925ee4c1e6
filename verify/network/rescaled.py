"""Whether a change of weight that no rule passes on is taken back further on.

With all scale channels at one sigma, and the derivatives of order a in channel i times (sigma_i / sigma_0)^(a (p - 1)),
channel i holds what it would for the image scaled by sigma_i / sigma_0, at corresponding points; constants stay those
of channel i. Where a node behind the fault changes from channel to channel by one power of sigma again, the fault was
half of a normalisation, log and exp, an offset that is taken away: nothing is refuted.
"""

import math
from typing import Any

import torch
from torch import Tensor

from ...operators import jet_orders
from .constants import DRAWS, Constant
from .graph import Graph, Node
from .links import replay
from .lower import Interpreter, _operands

LAYERS = ("gdtriton.jet_conv", "gdtriton.gaussian_jet")
NEAR = 1e-3
"""Of the ratio between two channels: far above float32's rounding of a network, far below what a fault changes."""


def taken_back(run: Interpreter, graph: Graph, fault: Node, image: Tensor) -> bool:
    """Whether some node at or behind `fault`, on every way to an output, changes by one power of sigma."""
    changes: dict[Node, Any] = {}
    sigmas: list[float] | None = None
    for node in graph.nodes:
        if node.op not in LAYERS:
            continue
        found = _same_sigma(run, node)
        if found is None or (sigmas is not None and len(found[0]) != len(sigmas)):
            return False
        sigmas, changes[node] = found
    if sigmas is None or len(sigmas) < 2:
        return False
    clean: dict[Node, bool] = {}
    for node in _behind(graph, fault):
        reached = [n for n in _operands(node) if n in clean]
        if reached and all(clean[n] for n in reached):
            clean[node] = True
            continue
        clean[node] = (node.shape or (0,))[0] == len(sigmas) and all(
            _one_power(replay(graph, run, image, draw, changes, only=node), sigmas) for draw in range(DRAWS)
        )
    return all(clean[n] for n in graph.outputs if n in clean)


def _behind(graph: Graph, fault: Node) -> list[Node]:
    found = {fault}
    order = [fault]
    for node in graph.nodes:
        if node not in found and any(n in found for n in _operands(node)):
            found.add(node)
            order.append(node)
    return order


def _one_power(values: list[Tensor], sigmas: list[float]) -> bool:
    """Whether channel i is (sigma_i / sigma_0)^w times channel 0, with one w."""
    if len(values) != 1 or not values[0].is_floating_point():
        return False
    first, *rest = values[0].double().flatten(1)
    size = float(first.norm())
    if not math.isfinite(size) or size == 0:
        return False
    powers = []
    for own, sigma in zip(rest, sigmas[1:], strict=True):
        factor = float(own @ first) / size**2
        if not factor > 0 or not float((own - factor * first).norm()) <= NEAR * float(own.norm()):
            return False
        powers.append(math.log(factor) / math.log(sigma / sigmas[0]))
    return max(powers) - min(powers) <= NEAR


def _same_sigma(run: Interpreter, node: Node) -> tuple[list[float], Any] | None:
    """Sigmas of the scale channels, and the layer with all of them at the first; None without a scale axis."""
    materialised = node.op == LAYERS[1]
    known = run.values[node.args[1 if materialised else 2]]
    if not isinstance(known, Constant):
        return None
    sigma = known.real.double().reshape(known.real.shape[0], -1)
    if sigma.shape[0] < 2 or float((sigma / sigma[:1] - sigma[:, :1] / sigma[:1, :1]).abs().max()) > 1e-9:
        return None
    sizes = [float(x) for x in sigma[:, 0]]
    if materialised:
        order, zero_order, power = node.args[3], node.args[4], float(node.args[5])
    else:
        order, zero_order, power = node.args[4], node.args[5], float(node.args[7])
    totals = torch.tensor([sum(a) for a in jet_orders(run.ndim, order, zero_order=zero_order)], dtype=torch.float64)

    def at_one(value: Any, given: Any) -> Any:
        parts = []
        for i, own in enumerate(sizes):
            factor = (own / sizes[0]) ** (totals * (power - 1))
            if materialised:
                out = node.target(given[0], torch.as_tensor(given[1])[:1], *given[2:])
                out = out * factor.to(out.dtype).reshape(-1, *(1,) * run.ndim)
            else:
                weight = given[1] * factor.to(given[1].dtype)
                out = node.target(given[0][i : i + 1], weight, torch.as_tensor(given[2])[:1], *given[3:])
                out = out[0] if isinstance(out, tuple) else out
            parts.append(out)
        result = torch.cat(parts)
        return (result, *value[1:]) if isinstance(value, tuple) else result

    return sizes, at_one
