"""The layer on a GPU against its 3x3 twin, plain PyTorch, the same compiled, and dense filters.

Times without a gradient (`forward`), with gradients of features, weight and sigma (`training`) and, for ours, without
that of sigma (`fixed-sigma`). Every case has about the same number of pixels. S scale channels have sigmas within half
an octave of the case's. The twin, with as many channels, has no sigma: it is timed once, in both memory layouts, at
equal precision. Plain PyTorch, compiled or not, and dense filters are timed with one scale channel and have no sigma
gradient.
"""

from collections.abc import Iterator
from typing import Any

from perf.gpu_layers import OTHERS, Case, ours, step, twins, without_gradient
from perf.gpu_machine import MODES, Call, Clock, Machine, precision, quantiles

CHANNELS = ((16, 24), (32, 48), (48, 64), (64, 64))
PLANES = (112, 56, 224, 512)
SCALES = (8, 1)
SIGMAS = (1.0, 2.0, 4.0, 8.0, 16.0)


def cases(dry: bool) -> list[Case]:
    """The grid, what matters most first."""
    if dry:
        return [Case(2, 3, 9, s, mode, 2 * 81) for s, mode in ((2, "float32"), (1, "tf32"), (1, "bf16"))]
    return [
        Case(c_in, c_out, plane, n_scales, mode)
        for plane in PLANES
        for n_scales in SCALES
        for mode in MODES
        for c_in, c_out in CHANNELS
    ]


def sigmas(dry: bool) -> tuple[float, ...]:
    """The sigmas of the grid."""
    return (1.0, 6.0) if dry else SIGMAS


def other_cases(dry: bool) -> list[tuple[str, Case, float]]:
    """Who else is timed, on what, at which sigma; what matters most first."""
    if dry:
        return [(name, Case(2, 3, 9, 1, "tf32", 2 * 81), 1.0) for name in OTHERS]
    wide, narrow = (32, 48), (16, 24)
    found = [("dense", Case(*narrow, 112, 1, "tf32"), sigma) for sigma in (4.0, 8.0, 16.0)]
    found += [("plain", Case(*wide, 112, 1, mode), sigma) for mode in MODES for sigma in SIGMAS]
    found += [("compiled", Case(*wide, 112, 1, mode), sigma) for sigma in (2.0, 8.0) for mode in MODES]
    found += [("dense", Case(*narrow, 112, 1, mode), s) for mode in ("float32", "bf16") for s in (4.0, 8.0, 16.0)]
    return found + [("plain", Case(*narrow, 112, 1, mode), sigma) for mode in MODES for sigma in SIGMAS]


def row(case: Case, provider: str, sigma: float | None, mode: str, **values: Any) -> dict[str, Any]:
    """A row of the results; `status` says whether there is a time."""
    return {
        **{name: getattr(case, name) for name in ("in_channels", "out_channels", "plane", "n_scales", "batch")},
        "arithmetic": case.mode, "provider": provider, "sigma": sigma, "mode": mode,
        "status": "ok", "reason": "", "median_ms": None, "p20_ms": None, "p80_ms": None, "rounds": 0,
        "capture": None, "peak_bytes": None, **values,
    }  # fmt: skip


def measure(
    machine: Machine, case: Case, provider: str, sigma: float | None, calls: dict[str, Call], seconds: float
) -> Iterator[dict[str, Any]]:
    """Time the calls of one provider; a provider that fails has a row that says so."""
    with precision(case.mode):
        for mode, call in calls.items():
            try:
                peak = machine.peak_bytes(call) if mode != "forward" else None
                replay, capture = machine.captured(call)
                times = machine.time(replay, 20, seconds)
                values = quantiles(times) | {"rounds": len(times), "capture": capture, "peak_bytes": peak}
                yield row(case, provider, sigma, mode, **values)
            except Exception as error:  # one provider's failure must not lose the others' times
                reason = f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
                yield row(case, provider, sigma, mode, status="failed", reason=reason)
            finally:
                machine.forget()


def _skipped(case: Case, provider: str, sigma: float | None, modes: tuple[str, ...]) -> list[dict[str, Any]]:
    return [row(case, provider, sigma, mode, status="skipped", reason="out of time") for mode in modes]


def run_grid(machine: Machine, clock: Clock, part: slice = slice(None)) -> list[dict[str, Any]]:
    """Ours and the twins, every case and sigma while there is time."""
    rows: list[dict[str, Any]] = []
    for case in cases(machine.dry)[part]:
        if clock.left > 0:
            for name, calls in twins(machine, case).items():
                rows += measure(machine, case, name, None, calls, 0.08)
        else:
            rows += _skipped(case, "conv2d-nchw", None, ("forward", "training"))
            rows += _skipped(case, "conv2d-channels-last", None, ("forward", "training"))
        for sigma in sigmas(machine.dry):
            if clock.left > 0:
                calls = ours(machine, case, sigma)
                if case.plane != PLANES[0] and not machine.dry:
                    del calls["fixed-sigma"]
                rows += measure(machine, case, "ours", sigma, calls, 0.08)
            else:
                rows += _skipped(case, "ours", sigma, ("forward", "training"))
    return rows


def run_others(machine: Machine, clock: Clock) -> list[dict[str, Any]]:
    """Plain PyTorch, compiled and dense filters while there is time."""
    rows: list[dict[str, Any]] = []
    for name, case, sigma in other_cases(machine.dry):
        if clock.left <= 0:
            rows += _skipped(case, name, sigma, ("forward", "training"))
            continue
        run, leaves, grad = OTHERS[name](machine, case, sigma)
        calls = {"forward": without_gradient(run, leaves), "training": step(run, leaves, grad)}
        rows += measure(machine, case, name, sigma, calls, 0.3)
    return rows


def warm_up(machine: Machine, index: int, count: int) -> None:
    """Run every case of one share once, so that triton's kernels are on disk before anything is timed."""
    for case in cases(machine.dry)[index::count]:
        with precision(case.mode):
            for call in ours(machine, case, 2.0).values():
                call()
        machine.synchronise()
        machine.forget()
