"""`gdtriton info`: versions, devices and which implementation runs on each."""

import argparse
import platform
from importlib.metadata import PackageNotFoundError, version


def configure(parser: argparse.ArgumentParser) -> None:
    """`gdtriton info` takes no arguments."""


def run(args: argparse.Namespace) -> int:
    """Print the versions that matter, and what runs."""
    import torch

    from .. import __version__

    def installed(name: str) -> str:
        try:
            return version(name)
        except PackageNotFoundError:
            return "not installed"

    print(f"gdtriton {__version__}, Python {platform.python_version()}, {platform.platform()}")
    print(f"torch {torch.__version__}, triton {installed('triton')}, {torch.get_num_threads()} threads")
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else "none"
    print(f"GPU: {gpu}")
    print("implementation: torch on every device and dtype; this version has no triton kernels")
    return 0
