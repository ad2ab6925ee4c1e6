"""Links 1, 2 and 4 of a verdict: leaf = operator, operator = theory up to a bound, exact run on polynomials."""

import math
from typing import Any

import torch
from torch import Tensor, nn

from ... import ops, reference
from .bounds import blob_ratio, border_bound, jet_bound
from .exact import jet_is_covariant, steps_are_covariant
from .graph import Graph, Node
from .lower import Interpreter, _operands

assert ops  # importing it registers the operators
UNIT = 2.0**-53


def all_links(
    module: nn.Module, graph: Graph, run: Interpreter, shape: tuple[int, ...], dtype: torch.dtype
) -> list[dict[str, Any]]:
    """The three links besides the derivation, each {name, verdict, reason, numbers}.

    `module` is a copy that nobody else uses: it is called, and what it counts is moved on.
    """
    return [leaf_link(module, graph, run, shape, dtype), bound_link(run), exact_link(run)]


def leaf_link(
    module: nn.Module, graph: Graph, run: Interpreter, shape: tuple[int, ...], dtype: torch.dtype
) -> dict[str, Any]:
    """The graph computes what the module does, hooks and parametrisations included; every jet layer is the operator."""
    try:
        difference = _replay_difference(module, graph, run, shape, dtype)
    except Exception as error:
        return _link("leaf = operator", "failed", f"module or graph raise {type(error).__name__}: {error}", {})
    numbers: dict[str, Any] = {"replay_difference": difference, "layers": len(run.jets)}
    if difference > 0:
        return _link("leaf = operator", "failed", "the traced graph does not compute what the module computes", numbers)
    worst = 0.0
    for jet in _distinct(run.jets):
        miss, bound = probe(jet, run.ndim)
        worst = max(worst, miss / bound)
        if not miss <= bound:
            numbers["error_over_bound"] = miss / bound
            reason = f"layer {jet['node'].path or jet['node'].name} differs from the operator by {miss:.3g}"
            return _link("leaf = operator", "failed", reason, numbers)
    numbers["error_over_bound"] = worst
    return _link("leaf = operator", "holds", "", numbers)


def _replay_difference(
    module: nn.Module, graph: Graph, run: Interpreter, shape: tuple[int, ...], dtype: torch.dtype
) -> float:
    """Largest difference of module and graph, over images of several sizes of values and signs, and over calls.

    What a tracer reads is one path of one call. A branch on a value that was hidden from it shows on a bright, a dark
    or a black image; what is counted shows in a later call, so numbers that a call changes are moved far on.
    """
    noise = torch.rand(shape, generator=torch.Generator().manual_seed(1)).to(dtype)
    before = _counters(module)
    images = (noise, noise, 300 * noise, -30 * noise, 0 * noise)
    worst = max(_call_difference(module, graph, run, image) for image in images)
    return max(worst, _call_difference(module, graph, run, noise)) if _move_on(module, before) else worst


def _call_difference(module: nn.Module, graph: Graph, run: Interpreter, image: Tensor) -> float:
    own = [x for x in torch.utils._pytree.tree_leaves(module(image)) if isinstance(x, Tensor)]
    replayed = replay(graph, run, image)
    if len(own) != len(replayed):
        return math.inf
    return max((_difference(a, b) for a, b in zip(own, replayed, strict=True)), default=0.0)


def _move_on(module: nn.Module, before: dict[tuple[int, Any], tuple[Any, Any]]) -> bool:
    """Move every number far on that is no longer what it was; whether there is one."""
    counted = [
        (owner, name)
        for (identity, name), (owner, value) in _counters(module).items()
        if (identity, name) in before and value != before[identity, name][1]
    ]
    for owner, name in counted:
        owner[name] += 10**6
    return bool(counted)


def _counters(module: nn.Module) -> dict[tuple[int, Any], tuple[Any, Any]]:
    """Numbers that a module keeps, on itself or in lists and dictionaries: (owner, value) by owner and name."""
    found: dict[tuple[int, Any], tuple[Any, Any]] = {}
    queue: list[Any] = [vars(owner) for owner in module.modules()]
    seen: set[int] = set()
    while queue:
        owner = queue.pop()
        if id(owner) in seen:
            continue
        seen.add(id(owner))
        for name, value in list(owner.items() if isinstance(owner, dict) else enumerate(owner)):
            if isinstance(value, (int, float)) and not isinstance(value, bool):
                found[id(owner), name] = owner, value
            elif isinstance(value, (list, dict)):
                queue.append(value)
    return found


def _link(name: str, verdict: str, reason: str, numbers: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "verdict": verdict, "reason": reason, "numbers": numbers}


def _difference(a: Tensor, b: Tensor) -> float:
    if a.shape != b.shape:
        return math.inf
    same = (a == b) | ((a != a) & (b != b))
    if bool(same.all()):
        return 0.0
    return float((a.double() - b.double()).abs()[~same].nan_to_num(math.inf).max()) if not a.is_complex() else math.inf


def _distinct(jets: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Layers called again with the same weights and sigmas are probed once."""
    seen: dict[Any, dict[str, Any]] = {}
    for jet in jets:
        key = (jet["weight"].data_ptr(), tuple(jet["sigma"].flatten().tolist()), jet["norm_power"], jet["border"])
        seen.setdefault(key, jet)
    return list(seen.values())


def reaches_output(graph: Graph, run: Interpreter, node: Node, dtype: torch.dtype, rule: str) -> bool:
    """Whether the outputs change when the defect of `node` is taken away, with the real and with drawn weights.

    A window is replaced by its middle sample (a maximum over windows under a maximum over the canvas changes nothing
    then); any other value gets noise, but for the middle pixel where a defect is 0 there.
    """
    generator = torch.Generator().manual_seed(3)
    image = torch.rand(run.input_shape, generator=generator).to(dtype)
    spare_centre = rule in ("position", "resampling")

    def noise(value: Any, _: Any) -> Any:
        if isinstance(value, (tuple, list)):
            return type(value)(noise(part, _) for part in value)
        if not isinstance(value, Tensor):
            return value
        if not value.is_floating_point():
            return ~value if value.dtype == torch.bool else value + 1
        change = torch.rand(value.shape, generator=generator).to(value.dtype) + 0.5
        if spare_centre and value.ndim >= run.ndim:
            middle = tuple(n // 2 for n in value.shape[value.ndim - run.ndim :])
            index: Any = (..., *middle)
            change[index] = 0
        return value + change

    change = windowless(node) if rule in ("window-pooling", "fixed-window") else None
    for draw in (0, 1):
        plain = replay(graph, run, image, draw)
        moved = replay(graph, run, image, draw, {node: change or noise})
        if any(_moved(a, b) for a, b in zip(plain, moved, strict=True)):
            break
    else:
        return False
    return rule != "window-pooling" or not _only_the_extreme(graph, run, node, image)


def _only_the_extreme(graph: Graph, run: Interpreter, node: Node, image: Tensor) -> bool:
    """Whether nothing but the largest (smallest) of all windows counts: a maximum over the canvas, written in steps."""
    least = node.op == "aten.amin"
    if not least and "max" not in node.op:
        return False

    def flat(value: Any, _: Any) -> Any:
        first = value[0] if isinstance(value, tuple) else value
        axes = tuple(range(max(first.ndim - run.ndim, 0), first.ndim))
        extreme = (first.amin if least else first.amax)(axes, keepdim=True).expand(first.shape).clone()
        return (extreme, *value[1:]) if isinstance(value, tuple) else extreme

    return not any(
        _moved(a, b)
        for draw in (0, 1)
        for a, b in zip(replay(graph, run, image, draw), replay(graph, run, image, draw, {node: flat}), strict=True)
    )


def _moved(a: Tensor, b: Tensor) -> bool:
    """Different by more than what cancels up to rounding."""
    if a.shape != b.shape or not a.is_floating_point():
        return not torch.equal(a, b)
    unit = 64 * torch.finfo(a.dtype).eps
    size = float(torch.nan_to_num(a.double()).abs().max()) if a.numel() else 0.0
    return bool((torch.nan_to_num(a.double() - b.double(), nan=math.inf).abs() > unit * max(size, 1.0)).any())


def windowless(node: Node) -> Any:
    """A function of (value, arguments) that reads only the middle of every window; None without one."""
    name = node.op.removeprefix("aten.")
    if "pool" not in name or name.startswith(("adaptive", "_adaptive")):
        return None
    n = int(name.split("pool")[1][0])

    def middle(value: Any, given: Any) -> Any:
        first = value[0] if isinstance(value, tuple) else value
        features = given[0]
        kernel, stride, padding = (_numbers(given[i] if len(given) > i else d, n) for i, d in ((1, 1), (2, []), (3, 0)))
        stride = stride or kernel
        dilation = _numbers(given[4], n) if name.startswith("max") and len(given) > 4 else [1] * n
        for k in range(n):
            axis = features.ndim - n + k
            place = torch.arange(first.shape[axis]) * stride[k] - padding[k] + dilation[k] * (kernel[k] - 1) // 2
            features = features.index_select(axis, place.clamp(0, features.shape[axis] - 1))
        return (features, *value[1:]) if isinstance(value, tuple) else features

    return middle


def _numbers(value: Any, n: int) -> list[int]:
    values = list(value) if isinstance(value, (list, tuple)) else [value]
    return [int(v) for v in (values * n if len(values) == 1 else values)]


def replay(
    graph: Graph,
    run: Interpreter,
    image: Tensor,
    draw: int = 0,
    changes: dict[Node, Any] | None = None,
    only: Node | None = None,
) -> list[Tensor]:
    """Run the graph as it was read, at one of the interpreter's draws of the weights.

    Args:
        graph: The graph.
        run: Where the constants come from.
        image: The image.
        draw: Which draw.
        changes: A function of (value, arguments) for every node whose value is replaced.
        only: Stop at this node and return what it computes instead of the outputs.
    """
    values: dict[Node, Any] = {}
    last = {operand: node for node in graph.nodes for operand in _operands(node)}
    kept = {only} if only is not None else set(graph.outputs)

    def take(argument: Any) -> Any:
        if isinstance(argument, Node):
            return values[argument]
        if isinstance(argument, (list, tuple)):
            return type(argument)(take(a) for a in argument)
        return argument

    for node in graph.nodes:
        if node.op == "placeholder":
            values[node] = image
        elif node.op == "constant":
            own = run.values[node]
            values[node] = own.values[draw]
        else:
            # Memory may lie in another order than the tracer thought: a copy is made where a view is not possible.
            target = torch.ops.aten.reshape if node.op in ("aten.view", "aten._unsafe_view") else node.target
            values[node] = target(*take(node.args), **{k: take(v) for k, v in node.kwargs.items()})
        if changes and node in changes:
            values[node] = changes[node](values[node], take(node.args))
        if node is only:
            break
        for operand in _operands(node):
            if last[operand] is node and operand not in kept:
                values.pop(operand, None)
    outputs = [only] if only is not None else graph.outputs
    return [x for node in outputs for x in torch.utils._pytree.tree_leaves(values[node]) if isinstance(x, Tensor)]


def probe(jet: dict[str, Any], ndim: int, n_pixels: int = 5) -> tuple[float, float]:
    """(largest error, bound) of one layer against the reference in float64: impulses at every pixel, random probes.

    The image is smaller than the kernels, so the border takes part. Bound: every output is a sum of at most
    C_in * J * ndim * n_pixels products of numbers whose sizes add up to what the absolute layer gives.
    """
    n_in, _ = jet["channels"]
    sigma = jet["sigma"]
    n_scales = sigma.shape[0]
    count = n_pixels**ndim
    generator = torch.Generator().manual_seed(2)
    impulses = torch.eye(count, dtype=torch.float64).reshape(count, 1, *(n_pixels,) * ndim)
    mixed = impulses * torch.randn(1, n_in, *(1,) * ndim, generator=generator, dtype=torch.float64)
    noise = torch.randn(2, n_in, *(n_pixels,) * ndim, generator=generator, dtype=torch.float64)
    features = torch.cat([mixed, noise])[None].expand(n_scales, -1, *(-1,) * (ndim + 1))
    weight = jet["weight"].double()
    bias = None if jet["bias"] is None else jet["bias"].double()
    static = (jet["order"], jet["zero_order"], jet["groups"], jet["norm_power"], jet["discretisation"], jet["border"])
    actual = torch.ops.gdtriton.jet_conv(features, weight, sigma, bias, *static, jet["impl"])[0]
    names = ("order", "zero_order", "groups", "norm_power", "discretisation", "border")
    golden = reference.jet_conv(features, weight, sigma, bias, **dict(zip(names, static, strict=True)))
    order = jet["order"]
    size = float(weight.abs().sum()) * float(features.abs().max()) * (2 * max(1.0, float(sigma.max()))) ** order
    size += 0.0 if bias is None else float(bias.abs().max())
    terms = n_in * weight.shape[2] * ndim * n_pixels + 16 * order
    return float((actual - golden).abs().max()), max(terms, 64) * UNIT * max(size, 1e-300) + 1e-300


def bound_link(run: Interpreter) -> dict[str, Any]:
    """Derived bounds of the layers' jets against the continuous ones (`bounds`), and the error measured on a blob.

    The bound holds for every discretisation: symbol of the taps that are used, cut and rounding included. What the
    border adds at the middle of the canvas is listed apart; a blob that no kernel carries to the border has none.
    """
    worst, measured, borders = 0.0, 0.0, 0.0
    rows: dict[str, float] = {}
    cases = {(s, jet["discretisation"], jet["order"]) for jet in run.jets for s in jet["sigma"].flatten().tolist()}
    for sigma, discretisation, order in sorted(cases):
        bound = jet_bound(sigma, order, run.ndim, discretisation)
        worst = max(worst, bound)
        rows[f"{sigma:.4g}"] = max(bound, rows.get(f"{sigma:.4g}", 0.0))
        borders = max(borders, border_bound(sigma, order, min(run.input_shape[2:]), discretisation))
        if sigma <= 8:
            measured = max(measured, blob_ratio(sigma, order, discretisation))
    numbers = {
        "largest_bound": worst,
        "bound_by_sigma": rows,
        "measured_over_bound": measured,
        "border_at_centre": borders,
        "without_bound": 0,
    }
    if not cases:
        return _link("operator = theory", "not decided", "no jet layer", numbers)
    if measured > 1:
        return _link("operator = theory", "failed", "a jet misses the continuous one by more than the bound", numbers)
    return _link("operator = theory", "holds", "", numbers)


def exact_link(run: Interpreter) -> dict[str, Any]:
    """Every node on fresh random polynomials in rational arithmetic: the real weights, activations as squares."""
    compared, skipped = 0, 0
    for jet in _distinct(run.jets)[:12]:
        power = float(jet["norm_power"])
        if not power.is_integer():
            skipped += 1
            continue
        holds, monomials = jet_is_covariant(jet, run.ndim)
        compared += monomials
        if not holds:
            return _link(
                "exact run",
                "failed",
                f"layer {jet['node'].path} misses covariance on a polynomial",
                {"monomials": compared},
            )
    nodes, more, wrong = steps_are_covariant(run)
    numbers = {
        "layers": min(len(_distinct(run.jets)), 12) - skipped,
        "nodes": nodes,
        "monomials": compared + more,
        "skipped": skipped,
    }
    if wrong is not None:
        return _link("exact run", "failed", f"{wrong} misses its weight on a polynomial", numbers)
    reason = (
        "layers and nodes one by one on random polynomials, activations replaced by squares; "
        "read-outs over space and pooling rest on the derivation"
    )
    return _link("exact run", "holds", reason, numbers)
