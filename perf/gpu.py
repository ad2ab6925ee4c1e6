"""Everything that needs a GPU: `bash perf/gpu.sh [--dry] [--out DIR] [--commit HASH]`, a short table last.

Stages, each with its share of the time: correctness (while other processes compile the kernels and run the sanitizers),
rates of the machine, training step, grid, others, pooling, tuning. Results are written after every stage to
DIR/gpu-DEVICE-DATE.json (perf/results by default); what there was no time for is listed as skipped. `--dry` does the
same on the CPU in triton's interpreter with tiny shapes and writes only where it is told to.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

if "--dry" in sys.argv:  # triton reads it when a kernel is defined
    os.environ["TRITON_INTERPRET"] = "1"
ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import torch  # noqa: E402

from perf import gpu_check, gpu_floor, gpu_grid, gpu_training, gpu_tuning  # noqa: E402
from perf.gpu_machine import Clock, Machine, metadata  # noqa: E402
from perf.gpu_table import KIND, PARTS, check_document, summary  # noqa: E402

SECONDS = 515.0
WARM_UPS = 12
TOOLS = ("memcheck", "racecheck")
SANITIZERS = ("compute-sanitizer", "/usr/local/cuda/bin/compute-sanitizer")


class Background:
    """Processes beside this one while it needs no quiet machine: compilation of kernels, and sanitizers."""

    def __init__(self, dry: bool):
        flags = ["--dry"] if dry else []
        # A dry run warms up the first case of three, for the code path only.
        count, started = (3, 1) if dry else (WARM_UPS, WARM_UPS)
        self.dry = dry
        self.warm_ups = [self._start([*self._self(), "--warm-up", f"{k}/{count}", *flags]) for k in range(started)]
        self.sanitizer = next((path for path in map(shutil.which, SANITIZERS) if path), None)
        self.tools: dict[str, subprocess.Popen[str]] = {}
        if self.sanitizer and not dry:
            for tool in TOOLS:
                # Every allocation by itself, so that one past its end is seen.
                command = [self.sanitizer, "--tool", tool, "--error-exitcode", "7", *self._self(), "--small"]
                self.tools[tool] = self._start(command, PYTORCH_NO_CUDA_MEMORY_CACHING="1")

    @staticmethod
    def _self() -> list[str]:
        return [sys.executable, str(Path(__file__))]

    @staticmethod
    def _start(command: list[str], **environment: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            command, cwd=ROOT, env=os.environ | environment, text=True, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )  # fmt: skip

    @staticmethod
    def _finish(process: "subprocess.Popen[str]", clock: Clock) -> tuple[int | None, str]:
        """Exit status, None if it was stopped for want of time, and the end of what it said."""
        try:
            said, _ = process.communicate(timeout=max(1.0, clock.left))
        except subprocess.TimeoutExpired:
            process.kill()
            said, _ = process.communicate()
            return None, said[-400:]
        return process.returncode, said[-400:]

    def wait(self, clock: Clock) -> list[dict[str, Any]]:
        """What the sanitizers found; compilation that is not done by then goes on where it is needed."""
        rows = []
        for tool in TOOLS:
            row: dict[str, Any] = {"tool": tool, "status": "skipped", "reason": "compute-sanitizer is not installed"}
            if tool in self.tools:
                code, said = self._finish(self.tools[tool], clock)
                status = {0: "ok", None: "skipped"}.get(code, "failed")
                row |= {"status": status, "reason": "" if code == 0 else "out of time" if code is None else said}
            elif self.dry:
                row["reason"] = "dry"
            rows.append(row)
        for process in self.warm_ups:
            code, said = self._finish(process, clock)
            if code not in (0, None):
                print(f"warm-up failed: {said}", flush=True)
        return rows


def small(machine: Machine) -> int:
    """Every kind of kernel once on small shapes: what the sanitizers watch."""
    from perf.gpu_check import Check

    modes = ("float32", "bf16")
    shapes = [Check((2, 1, 3, 17, 19), c_out=5, sigma=sigma, mode=mode) for sigma in (1.0, 6.0) for mode in modes]
    shapes += [Check((1, 1, 2, 12, 13), border="zero", order=3), Check((1, 2, 4, 16, 15), c_out=4, groups=4)]
    shapes += [Check((2, 1, 2, 33), sigma=2.0), Check((1, 1, 2, 7, 9, 8)), Check((1, 1, 2, 17, 16), kind="jet")]
    shapes += [Check((5, 2, 2, 7), kind=kind) for kind in ("max", "mean", "logsumexp")]
    # No graph can be captured while every allocation stands by itself.
    rows = gpu_check.run_checks(machine, Clock(300), shapes[-4:] if machine.dry else shapes, graph=False)
    failed = [row for row in rows if row["status"] == "failed"]
    print(*failed, sep="\n")
    return 1 if failed else 0


def run(machine: Machine, options: argparse.Namespace) -> dict[str, Any]:
    """All stages; the document of the results."""
    clock = Clock(SECONDS, limited=not machine.dry)
    document: dict[str, Any] = {"kind": KIND, "schema": 1, "dry": machine.dry, "seconds": 0.0}
    document |= {"metadata": metadata(machine.dry, options.commit)} | {part: [] for part in PARTS} | {"rates": {}}

    def done(part: str, rows: Any) -> None:
        document[part] = rows
        document["seconds"] = clock.elapsed
        if options.out:
            save(document, options.out)

    clock.stage(170, "correctness, with compilation and sanitizers beside it")
    background = Background(machine.dry)
    done("checks", gpu_check.run_checks(machine, clock))
    done("sanitizers", background.wait(clock))
    clock.stage(15, "rates of the machine")
    done("rates", machine.rates())
    clock.stage(45, "training step")
    done("training", gpu_training.run_training(machine, clock))
    clock.stage(190, "grid")
    grid = gpu_grid.run_grid(machine, clock)
    for row in grid:
        floor = gpu_floor.layer_floor_ms(row, document["rates"])
        row |= {"floor_ms": floor, "share": floor / row["median_ms"] if floor else None}
    done("grid", grid)
    clock.stage(10, "pooling")
    done("pooling", gpu_floor.run_pooling(machine, document["rates"]))
    clock.stage(75, "plain PyTorch, compiled, dense filters")
    done("others", gpu_grid.run_others(machine, clock))
    clock.stage(clock.end, "tuning")
    done("tuning", gpu_tuning.run_tuning(machine, clock))
    return document


def save(document: dict[str, Any], folder: Path) -> Path:
    """Write the results under the name of the device and the date."""
    data = document["metadata"]
    device = "dry" if document["dry"] else "".join(c if c.isalnum() else "-" for c in data["device"].lower())
    path = folder / f"gpu-{device}-{data['utc'][:10]}.json"
    folder.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document, indent=1, allow_nan=False) + "\n")
    return path


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dry", action="store_true", help="on the CPU, in triton's interpreter, tiny shapes")
    parser.add_argument("--out", type=Path, help="folder for the results; perf/results unless --dry")
    parser.add_argument("--commit", help="the commit, where git cannot tell")
    parser.add_argument("--warm-up", help=argparse.SUPPRESS)
    parser.add_argument("--small", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if not options.dry and not torch.cuda.is_available():
        print("perf/gpu.sh: a GPU must be visible to torch, got none; --dry runs without one", file=sys.stderr)
        return 2
    torch.backends.cudnn.benchmark = True
    machine = Machine(options.dry)
    if options.warm_up:
        gpu_grid.warm_up(machine, *map(int, options.warm_up.split("/")))
        return 0
    if options.small:
        return small(machine)
    if options.out is None and not options.dry:
        options.out = ROOT / "perf" / "results"
    document = run(machine, options)
    check_document(document)
    print(summary(document))
    return 1 if any(row["status"] == "failed" for row in (*document["checks"], *document["sanitizers"])) else 0


if __name__ == "__main__":
    sys.exit(main())
