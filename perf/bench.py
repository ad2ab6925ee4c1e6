"""Benchmarks of the jet layer on the CPU: `python perf/bench.py [--quick] [--out F.json]`, `--compare A.json B.json`.

Per case: the gate (`gate.py`), then rounds in which every provider runs once, in one process, so that a disturbance
hits all of them; median, 20th and 80th percentile. Peak memory is the growth of the resident set over one training
step, after a first step, in a process of its own in which large blocks go back to the system (Linux only).
"""

import argparse
import json
import os
import platform
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import torch  # noqa: E402

from perf.cases import FORWARD, MOVING, BenchCase, full_cases, quick_cases  # noqa: E402
from perf.compare import compare  # noqa: E402
from perf.gate import ORACLES, Inputs, Results, judge  # noqa: E402
from perf.providers import PROVIDERS  # noqa: E402
from perf.schema import KIND, check_document, finite  # noqa: E402

SECONDS = 0.8
"""Time for the rounds of one mode of one case (dense filters have their own allowance)."""
LEAST_ROUNDS, MOST_ROUNDS = 7, 150
MEMORY_SIGMAS = (2.0, 16.0)
"""Where peak memory is measured: one sigma for each of the two routes."""


def make_inputs(case: BenchCase, oracle: str, seed: int) -> Inputs:
    """ReLU of noise as features, normal weights, a normal cotangent; float32, sigma float64."""
    generator = torch.Generator().manual_seed(seed)
    coefficients = (3, 3) if oracle == "conv2d" else (5,)
    plane = (case.size, case.size)
    sigma = torch.full((1,), case.sigma, dtype=torch.float64)
    if case.learn_sigma == "output":
        sigma = case.sigma * torch.linspace(0.8, 1.25, case.out_channels, dtype=torch.float64).view(1, -1, 1)
    return Inputs(
        torch.randn(case.batch, case.in_channels, *plane, generator=generator).relu(),
        torch.randn(case.out_channels, case.in_channels, *coefficients, generator=generator),
        sigma,
        torch.randn(case.batch, case.out_channels, *plane, generator=generator),
    )


def make_call(case: BenchCase, name: str, mode: str, seed: int) -> Callable[[], Results]:
    """A function that runs one provider once and returns what it computed."""
    provider = PROVIDERS[name]
    layout = torch.channels_last if provider.channels_last else torch.contiguous_format
    features, weight, sigma, grad = make_inputs(case, provider.oracle, seed)
    features, grad = (x.contiguous(memory_format=layout) for x in (features, grad))
    if weight.ndim == 4:
        weight = weight.contiguous(memory_format=layout)
    leaves = {"features": features, "weight": weight} | ({} if provider.oracle == "conv2d" else {"sigma": sigma})
    step = 0

    def call() -> Results:
        nonlocal step
        step += 1
        if mode == FORWARD:
            with torch.no_grad():
                return {"output": provider.run(case, features, weight, sigma)}
        for leaf in leaves.values():
            leaf.requires_grad_()
        with torch.no_grad():
            if mode == MOVING:
                sigma.fill_(case.sigma * (1 + 1e-7 * (step % 100000)))
        output = provider.run(case, features, weight, sigma)
        grads = torch.autograd.grad(output, list(leaves.values()), grad)
        return {"output": output.detach()} | dict(zip(leaves, grads, strict=True))

    return call


def measure_mode(
    case: BenchCase,
    calls: dict[str, Callable[[], Results]],
    seconds: float,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, list[float]]:
    """Interleaved rounds: times in seconds per provider."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    slow = {name for name in calls if PROVIDERS[name].max_seconds < float("inf")}

    def once(name: str) -> None:
        start = clock()
        calls[name]()
        times[name].append(clock() - start)

    for name in slow:  # apart: a long call throws the caches of the others away
        begin = time.perf_counter()
        while not times[name] or (len(times[name]) < 20 and time.perf_counter() - begin < PROVIDERS[name].max_seconds):
            once(name)
    order = [name for name in calls if name not in slow]
    for name in order * 3:
        calls[name]()
    begin = time.perf_counter()
    for count in range(MOST_ROUNDS):
        if count >= LEAST_ROUNDS and time.perf_counter() - begin > seconds:
            break
        random.shuffle(order)
        for name in order:
            once(name)
    return times


def run_case(
    case: BenchCase, seed: int, seconds: float, memory: bool, clock: Callable[[], float]
) -> list[dict[str, Any]]:
    """All rows of one case."""
    rows: list[dict[str, Any]] = []
    verdicts: dict[str, tuple[bool, dict[str, float], str]] = {}
    oracles: dict[str, tuple[Results, Results]] = {}
    for name in case.providers:
        provider = PROVIDERS[name]
        if provider.oracle not in oracles:
            oracles[provider.oracle] = ORACLES[provider.oracle](case, make_inputs(case, provider.oracle, seed))
        actual = make_call(case, name, "training", seed)()
        verdicts[name] = judge(case, actual, *oracles[provider.oracle])
    oracles.clear()
    peaks = {
        name: peak_memory(case, name, seed) if memory and case.sigma in MEMORY_SIGMAS else None
        for name in case.providers
    }
    for mode in case.modes:
        calls = {
            name: make_call(case, name, mode, seed)
            for name in case.providers if verdicts[name][0] and mode in PROVIDERS[name].modes
        }  # fmt: skip
        times = measure_mode(case, calls, seconds, clock)
        for name in case.providers:
            if mode not in PROVIDERS[name].modes:
                continue
            passed, errors, reason = verdicts[name]
            rows.append(
                {
                    "case": case.__dict__ | {"providers": list(case.providers), "modes": list(case.modes)},
                    "provider": name,
                    "mode": mode,
                    "status": "ok" if passed else "failed",
                    "reason": reason,
                    "oracle": PROVIDERS[name].oracle,
                    "relative_error": errors,
                    "rounds": len(times.get(name, [])),
                    **_quantiles(times.get(name, [])),
                    "peak_mib": peaks[name] if mode == "training" else None,
                }
            )
    return rows


def _quantiles(times: list[float]) -> dict[str, float | None]:
    if not times:
        return {"median_ms": None, "p20_ms": None, "p80_ms": None}
    cuts = statistics.quantiles(times, n=5, method="inclusive") if len(times) > 1 else times * 4
    values = {"median_ms": statistics.median(times), "p20_ms": cuts[0], "p80_ms": cuts[3]}
    return {name: round(1e3 * value, 4) for name, value in values.items()}


def peak_memory(case: BenchCase, name: str, seed: int) -> float | None:
    """MiB by which one training step raises the resident set, in a process of its own; None where /proc is missing."""
    if not Path("/proc/self/clear_refs").exists() or name in ("dense", "plain-adj"):
        return None
    environment = os.environ | {"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "65536"}
    request = json.dumps({"case": case.__dict__, "provider": name, "seed": seed, "threads": torch.get_num_threads()})
    command = [sys.executable, __file__, "--memory-of", request]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return float(done.stdout)


def _print_memory(request: str) -> None:
    arguments = json.loads(request)
    torch.set_num_threads(arguments["threads"])
    call = make_call(BenchCase(**arguments["case"]), arguments["provider"], "training", arguments["seed"])
    call()

    def status(field: str) -> float:
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(float(line.split()[1]) / 1024 for line in lines if line.startswith(field))

    Path("/proc/self/clear_refs").write_text("5")  # resets the high-water mark
    before = status("VmRSS")
    kept = call()
    print(status("VmHWM") - before)
    del kept


def metadata(seed: int) -> dict[str, Any]:
    """Where, when and with what."""

    def git(*arguments: str) -> str | None:
        done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
        return done.stdout.strip() if done.returncode == 0 else None

    try:
        import triton

        triton_version = triton.__version__
    except ImportError:
        triton_version = None
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    model = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.processor())
    status = git("status", "--porcelain", "--untracked-files=no")
    return {
        "utc": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": git("rev-parse", "HEAD"),
        "dirty": None if status is None else bool(status),
        "cpu": model,
        "threads": torch.get_num_threads(),
        "load_average": round(os.getloadavg()[0], 2),
        "torch": torch.__version__,
        "triton": triton_version,
        "python": platform.python_version(),
        "seed": seed,
    }


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="tiny cases: the code path only")
    parser.add_argument("--out", type=Path, help="write the rows as JSON")
    parser.add_argument("--compare", nargs=2, type=Path, metavar="JSON", help="ratios of two result files")
    parser.add_argument("--only", default="", help="cases whose name contains this")
    parser.add_argument("--no-memory", action="store_true", help="leave peak memory out")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument(
        "--cpu-time", action="store_true", help="CPU time of the process instead of the clock; one thread, busy machine"
    )
    parser.add_argument("--providers", nargs="*", help="only these providers")
    parser.add_argument("--without", nargs="*", default=[], help="providers to leave out")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--memory-of", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.memory_of:
        _print_memory(options.memory_of)
        return 0
    if options.compare:
        print(compare(*(json.loads(path.read_text()) for path in options.compare)))
        return 0
    if options.cpu_time and options.threads != 1:
        parser.error("--cpu-time needs --threads 1: waiting threads burn CPU time")
    torch.set_num_threads(options.threads)
    clock = time.process_time if options.cpu_time else time.perf_counter
    random.seed(options.seed)
    rows: list[dict[str, Any]] = []
    for case in quick_cases() if options.quick else full_cases():
        if options.only not in case.name:
            continue
        kept = tuple(name for name in case.providers if name not in options.without)
        kept = tuple(name for name in kept if options.providers is None or name in options.providers)
        case = BenchCase(**(case.__dict__ | {"providers": kept}))
        seconds = 0.0 if options.quick else SECONDS
        for row in run_case(case, options.seed, seconds, not options.no_memory and not options.quick, clock):
            print(
                f"{case.name:58} {row['provider']:22} {row['mode']:13} {row['median_ms']} ms {row['reason']}",
                flush=True,
            )
            rows.append(row)
        document = finite(
            {
                "kind": KIND,
                "schema": 1,
                "quick": options.quick,
                "metadata": metadata(options.seed) | {"clock": clock.__name__},
                "rows": rows,
            }
        )
        check_document(document)
        if options.out:  # after every case: an interrupted run keeps what it has
            options.out.write_text(json.dumps(document, indent=1, allow_nan=False) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
