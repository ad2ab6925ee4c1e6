"""Correctness on the device: every result against the float64 reference there, two runs bit for bit, a replayed graph.

Errors are relative L2 norms, so that a jet without a correct digit is seen. What is allowed follows from the design:
differences of a smoothed image are taken where they amplify rounding by at most `AMPLIFICATION` (`kernels/tables.py`),
and the four factors that products of the mode see (jet, weight, cotangent, result) are each rounded once:

    limit = 8 AMPLIFICATION u_32 + 4 u_mode,      jets by P_n itself: 256 u_32 + u_mode,

with 8 for norms in place of elements; the gradient of a scale channel's sigma is held against the same limit times
sum |g| |d output / d sigma|, as its sum may cancel.
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor

from gdtriton import ScalePool, gaussian_jet, jet_conv, jet_orders
from gdtriton.stencil import AMPLIFICATION
from perf.gpu_machine import MODES, Clock, Machine, precision

U32 = 2.0**-24
U_MODE = {"float32": U32, "tf32": 2.0**-11, "bf16": 2.0**-8}
Results = dict[str, Tensor]


class Check(NamedTuple):
    """One jet layer, or with `kind` a pooling or a jet, on given shapes."""

    shape: tuple[int, ...]  # [S, B, C_in, *spatial]
    c_out: int = 4
    order: int = 2
    sigma: float = 1.5
    mode: str = "float32"
    border: str = "symmetric"
    discretisation: str = "discrete"
    zero_order: bool = False
    groups: int = 1
    per: str = "scale"  # whose sigma it is: "scale", "input" or "output"
    layout: str = "contiguous"
    kind: str = "layer"

    @property
    def name(self) -> str:
        """What differs from the defaults."""
        defaults = type(self)._field_defaults
        parts = [f"{k}={v}" for k, v in self._asdict().items() if k != "shape" and v != defaults[k]]
        return " ".join(["x".join(map(str, self.shape)), *parts])


def checks(dry: bool) -> list[Check]:
    """What is checked: routes, block edges, borders, layouts, orders, dimensions, arithmetic."""
    if dry:
        return [
            Check((2, 1, 2, 7, 6), c_out=3),
            Check((1, 2, 2, 6, 5), c_out=2, sigma=6.0, mode="bf16", layout="channels-last"),
            Check((1, 1, 2, 9), c_out=2, order=3, mode="tf32", border="zero"),
            Check((3, 2, 2, 5), kind="max"),
            Check((2, 1, 1, 7, 6), kind="jet"),
        ]
    found = [
        Check((2, 2, 16, 112, 112), c_out=24, sigma=sigma, mode=mode)
        for mode in MODES
        for sigma in (0.7, 1.0, 2.0, 4.0, 8.0, 16.0)
    ]
    found += [Check((3, 2, 5, n, n + 1), c_out=7, sigma=2.5) for n in (1, 2, 15, 16, 17, 63, 64, 65, 97, 128, 129)]
    found += [Check((1, 1, 1, 33, 31), c_out=1, sigma=24.0), Check((2, 1, 3, 17, 16), c_out=5, sigma=9.0)]
    for mode in MODES:
        found += [Check((2, 1, 65, 56, 56), c_out=c, mode=mode, sigma=s) for c in (16, 33, 64) for s in (1.2, 6.0)]
    for layout in ("channels-last", "cropped", "shuffled"):
        found += [Check((2, 3, 16, 30, 29), c_out=20, layout=layout, sigma=s) for s in (1.3, 6.5)]
    for border in ("symmetric", "zero", "circular"):
        for order in (1, 2, 3, 4):
            options: dict[str, Any] = {"border": border, "order": order, "zero_order": order == 2}
            found += [Check((2, 2, 4, 40, 37), sigma=s, **options) for s in (1.0, 7.0)]
        found += [Check((2, 2, 4, 211), border=border, sigma=s) for s in (1.0, 11.0)]
        found += [Check((1, 2, 3, 18, 21, 16), border=border, sigma=s) for s in (1.0, 5.0)]
    found += [Check((2, 2, 8, 30, 30), c_out=8, groups=g, sigma=s) for g in (2, 8) for s in (1.5, 6.0)]
    found += [Check((2, 2, 6, 30, 30), c_out=5, per=per, sigma=2.0) for per in ("input", "output")]
    for name in ("sampled", "normalised-sampled", "integrated", "linear-integrated", "sampled-derivative"):
        found.append(Check((2, 1, 3, 30, 30), discretisation=name, sigma=2.0))
    for kind in ("max", "mean", "logsumexp"):
        found += [Check((s, 4, 10), kind=kind, mode=mode) for s in (1, 8, 40) for mode in ("float32", "bf16")]
        found.append(Check((8, 4, 16, 113, 57), kind=kind, layout="channels-last"))
    found += [Check((2, 2, 3, 61, 64), kind="jet", order=o, sigma=s) for o in (2, 4) for s in (1.0, 4.0, 16.0)]
    return found


def _laid_out(x: Tensor, layout: str) -> Tensor:
    """The same numbers in memory of another order."""
    if layout == "channels-last":
        return x.movedim(2, -1).contiguous().movedim(-1, 2)
    if layout == "cropped":
        return torch.nn.functional.pad(x, (1, 2, 3, 1))[..., 3:-1, 1:-2]
    if layout == "shuffled":
        return x.permute(4, 1, 0, 3, 2).contiguous().permute(2, 1, 4, 3, 0)
    return x


def _inputs(machine: Machine, check: Check) -> tuple[list[Tensor], Tensor]:
    """Leaves (features, weight, bias, sigma), and the cotangent of the result."""
    dtype, (n_scales, batch, c_in, *spatial) = MODES[check.mode], check.shape
    features = _laid_out(machine.randn(*check.shape, dtype=dtype).relu(), check.layout)
    n_jet = len(jet_orders(len(spatial), check.order, zero_order=check.zero_order))
    weight = machine.randn(check.c_out, c_in // check.groups, n_jet, dtype=dtype, seed=1)
    bias = machine.randn(check.c_out, dtype=dtype, seed=2)
    steps = {"scale": (n_scales,), "input": (n_scales, 1, c_in), "output": (n_scales, check.c_out, 1)}[check.per]
    numel = torch.Size(steps).numel()
    sigma = check.sigma * 2 ** torch.linspace(0, 0.3, numel, dtype=torch.float64, device=machine.device).view(steps)
    grad = machine.randn(n_scales, batch, check.c_out, *spatial, dtype=dtype, seed=3)
    return [features, weight, bias, sigma], grad


def _layer(check: Check, leaves: list[Tensor], grad: Tensor, impl: str) -> Results:
    tracked = [x.detach().requires_grad_() for x in leaves]
    features, weight, bias, sigma = tracked
    output = jet_conv(
        features, weight, sigma, bias, order=check.order, zero_order=check.zero_order, groups=check.groups,
        discretisation=check.discretisation, border=check.border, impl=impl,  # type: ignore[arg-type]
    )  # fmt: skip
    grads = torch.autograd.grad(output, tracked, grad)
    names = ("features", "weight", "bias", "sigma")
    return {"output": output.detach()} | dict(zip(names, grads, strict=True))


def _sigma_magnitude(check: Check, leaves: list[Tensor], grad: Tensor) -> Tensor:
    """Sum |g| |d output / d sigma| for every sigma, [*sigma.shape]; the derivative by central differences."""
    features, weight, bias, sigma = leaves
    outputs = []
    for factor in (1 + 1e-4, 1 - 1e-4):
        moved = [features, weight, bias, sigma * factor]
        outputs.append(_layer(check, moved, grad, "reference")["output"])
    change = ((outputs[0] - outputs[1]).abs() * grad.abs()) / (2e-4 * sigma.mean())
    return change.sum() / sigma.numel()


def _judge(check: Check, actual: Results, golden: Results, limit: float) -> tuple[dict[str, float], str]:
    """Relative errors, and the reason of a failure."""
    errors, reason = {}, ""
    for name, wanted in golden.items():
        error = (actual[name].double() - wanted).norm() / wanted.norm().clamp_min(1e-300)
        errors[name] = float(error)
        if not errors[name] <= limit:
            reason = f"{name} has relative error {errors[name]:.2g}, allowed {limit:.2g}"
    return errors, reason


def _check_layer(machine: Machine, check: Check) -> tuple[dict[str, float], str]:
    leaves, grad = _inputs(machine, check)
    first, second = (_layer(check, leaves, grad, "triton") for _ in range(2))
    exact = [x.double() for x in leaves]
    golden = _layer(check, exact, grad.double(), "reference")
    limit = 8 * AMPLIFICATION * U32 + 4 * U_MODE[check.mode]
    wanted = golden.pop("sigma")
    errors, reason = _judge(check, first, golden, limit)
    difference = (first["sigma"].double() - wanted).abs().max()
    errors["sigma"] = float(difference / _sigma_magnitude(check, exact, grad.double()))
    if not errors["sigma"] <= limit:
        reason = f"sigma has relative error {errors['sigma']:.2g}, allowed {limit:.2g}"
    unequal = [name for name in first if not torch.equal(first[name], second[name])]
    return errors, reason or (f"two runs differ in {', '.join(unequal)}" if unequal else "")


def _check_pool(machine: Machine, check: Check) -> tuple[dict[str, float], str]:
    stack = machine.randn(*check.shape, dtype=MODES[check.mode])
    stack = _laid_out(stack, check.layout if stack.ndim == 5 else "contiguous")
    grad = machine.randn(*check.shape[1:], dtype=stack.dtype, seed=1)

    exact = ScalePool(check.kind)  # type: ignore[arg-type]

    def run(x: Tensor, g: Tensor) -> Results:
        x = x.detach().requires_grad_()
        values = exact(x) if x.dtype == torch.float64 else torch.ops.gdtriton.scale_pool(x, check.kind)[0]
        return {"output": values.detach(), "features": torch.autograd.grad(values, x, g)[0]}

    first, second, golden = run(stack, grad), run(stack, grad), run(stack.double(), grad.double())
    # A sum over S, exponentials of numbers of order ten, one rounding of the result.
    errors, reason = _judge(check, first, golden, (16 + check.shape[0]) * U32 + U_MODE[check.mode])
    unequal = [name for name in first if not torch.equal(first[name], second[name])]
    return errors, reason or (f"two runs differ in {', '.join(unequal)}" if unequal else "")


def _check_jet(machine: Machine, check: Check) -> tuple[dict[str, float], str]:
    image, limit = machine.randn(*check.shape, dtype=MODES[check.mode]).relu(), 256 * U32 + U_MODE[check.mode]

    def run(x: Tensor, impl: str) -> Results:
        x = x.detach().requires_grad_()
        ndim = x.ndim - 3
        jets = gaussian_jet(x, check.sigma, check.order, ndim=ndim, impl=impl)  # type: ignore[arg-type]
        adjoint = torch.autograd.grad(jets.square().sum(), x)[0]
        orders = jet_orders(ndim, check.order)
        named = {"".join(map(str, a)): j for a, j in zip(orders, jets.detach().unbind(-ndim - 1), strict=True)}
        return named | {"features": adjoint}

    errors, reason = _judge(check, run(image, "triton"), run(image.double(), "reference"), limit)
    return errors, reason


def _check_graph(machine: Machine) -> tuple[dict[str, float], str]:
    """A replayed CUDA graph gives, bit for bit, what the plain call gives, for other numbers than it was made with."""
    check = Check((2, 1, 2, 5, 6), c_out=3) if machine.dry else Check((2, 2, 16, 56, 56), c_out=24, sigma=3.0)
    leaves, grad = _inputs(machine, check)
    result: list[Results] = []
    replay, how = machine.captured(lambda: result.append(_layer(check, leaves, grad, "triton")))
    if how not in ("graph", "dry"):
        return {}, how
    captured = result[-1] if result else {}
    leaves[0].mul_(1.7)
    leaves[3].mul_(1.3)
    replay()
    machine.synchronise()
    wanted, found = _layer(check, leaves, grad, "triton"), captured if how == "graph" else result[-1]
    unequal = [name for name in wanted if not torch.equal(wanted[name], found[name])]
    return {}, f"a replayed graph differs in {', '.join(unequal)}" if unequal else ""


def run_checks(
    machine: Machine, clock: Clock, chosen: list[Check] | None = None, *, graph: bool = True
) -> list[dict[str, Any]]:
    """A row for every check, of all of them by default; what there was no time for is skipped, and says so."""
    rows = []
    kinds = {"layer": _check_layer, "jet": _check_jet}
    todo: list[tuple[str, str, Any]] = [
        (check.name, check.mode, lambda check=check: kinds.get(check.kind, _check_pool)(machine, check))
        for check in (checks(machine.dry) if chosen is None else chosen)
    ]
    if graph:
        todo.append(("CUDA graph", "float32", lambda: _check_graph(machine)))
    for name, mode, run in todo:
        row: dict[str, Any] = {"check": name, "arithmetic": mode, "status": "ok", "reason": "", "relative_error": {}}
        if clock.left <= 0:
            row |= {"status": "skipped", "reason": "out of time"}
        else:
            try:
                with precision(mode):
                    row["relative_error"], row["reason"] = run()
            except Exception as error:  # the other checks still count
                row["reason"] = f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
            row["status"] = "failed" if row["reason"] else "ok"
        rows.append(row)
    return rows
