"""The machine under test: how to time on it, what it can do at best, and what it is.

A time is that of a replayed CUDA graph, so that no provider pays for Python, with the second-level cache overwritten
before every repetition; medians. Without a GPU (`dry`) everything runs in triton's interpreter
on the CPU: the code path only, no time means anything.
"""

import contextlib
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

ROOT = Path(__file__).resolve().parent.parent
MODES = {"float32": torch.float32, "tf32": torch.float32, "bf16": torch.bfloat16}
"""Of arithmetic: float32 throughout, float32 with single-pass tf32 products, bfloat16; and the dtype of tensors."""

Call = Callable[[], Any]
UNLIMITED = 1e6
"""Seconds."""


class Clock:
    """What is left of the time for everything, and of the stage that runs."""

    def __init__(self, seconds: float, *, limited: bool = True):
        self.start = time.monotonic()
        self.end = self.start + (seconds if limited else UNLIMITED)
        self.limited = limited
        self.stage_end = self.end

    def stage(self, seconds: float, name: str) -> None:
        """Begin a stage of at most so many seconds."""
        now = time.monotonic()
        self.stage_end = min(self.end, now + seconds) if self.limited else self.end
        print(f"[{now - self.start:5.0f} s] {name}", flush=True)

    @property
    def left(self) -> float:
        """Seconds left to the stage."""
        return self.stage_end - time.monotonic()

    @property
    def elapsed(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self.start


@contextlib.contextmanager
def precision(mode: str) -> Iterator[None]:
    """Products of float32 tensors as the mode says, in matmul, in our channel mixing and in cuDNN alike."""
    settings = (torch.backends.cuda.matmul, torch.backends.cudnn.conv)
    before = [setting.fp32_precision for setting in settings]
    for setting in settings:
        setting.fp32_precision = "tf32" if mode == "tf32" else "ieee"
    try:
        yield
    finally:
        for setting, value in zip(settings, before, strict=True):
            setting.fp32_precision = value


class Machine:
    """A device and how calls are timed on it."""

    def __init__(self, dry: bool):
        self.dry = dry
        self.device = torch.device("cpu" if dry else "cuda")
        # Several times the second-level cache of any chip.
        self._flush = None if dry else torch.empty(2**28, dtype=torch.int8, device=self.device)

    def randn(self, *shape: int, dtype: torch.dtype = torch.float32, seed: int = 0) -> Tensor:
        """Standard normal numbers, the same for every call with this seed and shape."""
        generator = torch.Generator(self.device).manual_seed(seed)
        return torch.randn(shape, generator=generator, device=self.device, dtype=torch.float32).to(dtype)

    def synchronise(self) -> None:
        """Wait until the device has done everything."""
        if not self.dry:
            torch.cuda.synchronize()

    def captured(self, call: Call) -> tuple[Call, str]:
        """The call as a CUDA graph after three plain calls; where it cannot be one, itself and the reason."""
        if self.dry:
            return call, "dry"
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(3):
                call()
        torch.cuda.current_stream().wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        try:
            with torch.cuda.graph(graph):
                call()
        except RuntimeError as error:
            torch.cuda.synchronize()
            return call, f"not captured: {str(error).splitlines()[0]}"
        return graph.replay, "graph"

    def time(self, call: Call, rounds: int, seconds: float) -> list[float]:
        """Milliseconds of so many rounds, but of three at least when the seconds are over."""
        times: list[float] = []
        begin = time.monotonic()
        if self._flush is None:
            call()
            return [1e3 * (time.monotonic() - begin)]
        for number in range(rounds):
            if number >= 3 and time.monotonic() - begin > seconds:
                break
            self._flush.zero_()
            first, last = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
            first.record()
            call()
            last.record()
            torch.cuda.synchronize()
            times.append(first.elapsed_time(last))
        return times

    def peak_bytes(self, call: Call) -> int | None:
        """Bytes by which one call raises the allocated memory at its peak."""
        if self.dry:
            return None
        kept = call()
        del kept
        torch.cuda.synchronize()
        before = torch.cuda.memory_allocated()
        torch.cuda.reset_peak_memory_stats()
        kept = call()
        torch.cuda.synchronize()
        del kept
        return torch.cuda.max_memory_allocated() - before

    def forget(self) -> None:
        """Give back the memory of graphs and tensors that are gone."""
        if not self.dry:
            torch.cuda.empty_cache()

    def rates(self) -> dict[str, float]:
        """Best measured here: bytes read and written per second by a copy, products per second of each mode."""
        numel, side = (2**10, 16) if self.dry else (2**30, 8192)
        pair = torch.ones(2, numel, dtype=torch.float32, device=self.device)
        copy = min(self.time(partial(pair[1].copy_, pair[0]), 10, 2.0))
        found = {"copy_bytes_per_s": 8 * numel / copy * 1e3}
        del pair
        for mode, dtype in MODES.items():
            a, b = self.randn(side, side, dtype=dtype), self.randn(side, side, dtype=dtype, seed=1)
            with precision(mode):
                product = partial(torch.matmul, a, b)
                product()
                found[f"{mode}_flops_per_s"] = 2 * side**3 / min(self.time(product, 10, 2.0)) * 1e3
        return found


def quantiles(times: list[float]) -> dict[str, float]:
    """Median, 20th and 80th percentile in milliseconds."""
    cuts = statistics.quantiles(times, n=5, method="inclusive") if len(times) > 1 else times * 4
    return {"median_ms": statistics.median(times), "p20_ms": cuts[0], "p80_ms": cuts[3]}


def metadata(dry: bool, commit: str | None = None) -> dict[str, Any]:
    """Where, when and with what."""

    def output(*command: str) -> str | None:
        try:
            done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        except OSError:
            return None
        return done.stdout.strip() if done.returncode == 0 else None

    import triton

    status = output("git", "status", "--porcelain", "--untracked-files=no")
    device = None if dry else torch.cuda.get_device_properties(0)
    return {
        "utc": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": commit or output("git", "rev-parse", "HEAD"),
        "dirty": None if status is None else bool(status),
        "device": "none: triton's interpreter on the CPU" if device is None else device.name,
        "capability": None if device is None else f"{device.major}.{device.minor}",
        "multiprocessors": None if device is None else device.multi_processor_count,
        "memory_bytes": None if device is None else device.total_memory,
        "driver": output("nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"),
        "torch": torch.__version__,
        "cuda": torch.version.cuda,
        "cudnn": None if dry else torch.backends.cudnn.version(),
        "triton": triton.__version__,
        "python": platform.python_version(),
        "command": " ".join(["perf/gpu.sh", *sys.argv[1:]]),
    }
