"""`gdtriton info`: versions, devices and which implementation runs on each, and why."""

import argparse
import os
import platform
from importlib.metadata import PackageNotFoundError, version


def configure(parser: argparse.ArgumentParser) -> None:
    """`gdtriton info` takes no arguments."""


def _installed(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"


def _gpu() -> str:
    import torch

    from ..kernels.tiles import target_of

    if not torch.cuda.is_available():
        return "none that torch sees"
    device = torch.device("cuda", torch.cuda.current_device())
    properties = torch.cuda.get_device_properties(device)
    return (
        f"{properties.name}, {properties.multi_processor_count} multiprocessors, "
        f"{properties.total_memory / 2**30:.0f} GiB, kernels tuned as {target_of(device)}"
    )


def kernel_lines() -> list[str]:
    """Which implementation `impl=None` takes here, and what else the kernels can do."""
    import torch

    from ..checks import KERNEL_DTYPES, MAX_KERNEL_AXES, TRITON_INSTALLED, driven

    names = ", ".join(str(dtype).removeprefix("torch.") for dtype in KERNEL_DTYPES)
    if not TRITON_INSTALLED:
        return ["implementation: torch everywhere: triton is not installed"]
    if not torch.cuda.is_available():
        interpreted = os.environ.get("TRITON_INTERPRET") == "1"
        how = "runs on CPU tensors in its interpreter" if interpreted else "needs TRITON_INTERPRET=1 (its interpreter)"
        return ["implementation: torch everywhere: torch sees no GPU", f'impl="triton" {how}; it takes {names}']
    if not driven(torch.device("cuda", torch.cuda.current_device())):
        return ["implementation: torch everywhere: triton needs compute capability 8.0 or newer"]
    single = torch.backends.cuda.matmul.fp32_precision == "tf32"
    passes = "one pass of tf32" if single else "float32 quality"
    return [
        f"implementation on the GPU: triton for {names} in 1 to {MAX_KERNEL_AXES} dimensions; torch for float64 and "
        "more dimensions",
        "implementation on the CPU: torch",
        f"channel mixing of float32: {passes} (torch.backends.cuda.matmul.fp32_precision = "
        f"{torch.backends.cuda.matmul.fp32_precision!r}); smoothing: always float32 quality",
    ]


def run(args: argparse.Namespace) -> int:
    """Print the versions that matter, and what runs."""
    import torch

    from .. import __version__

    print(f"gdtriton {__version__}, Python {platform.python_version()}, {platform.platform()}")
    print(f"torch {torch.__version__}, triton {_installed('triton')}, {torch.get_num_threads()} threads")
    print(f"GPU: {_gpu()}")
    print(*kernel_lines(), sep="\n")
    return 0
