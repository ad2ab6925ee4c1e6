"""`gdtriton demo`: train on one size, test on seventeen, and write a page that shows what came out.

Writes `report.html` (self-contained) and `metrics.json` when everything is measured, not before: a run that is killed
leaves no half of a report behind.
"""

import argparse
import json
import os
import resource
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

    from ..models.scale_experiment import ExperimentConfig, ExperimentResult
    from ..models.training import Progress

NAMES = {"network": "Gaussian derivative", "cnn": "CNN, one size", "cnn_resized": "CNN, random sizes"}


def configure(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    parser.add_argument(
        "--out", type=Path, default=Path("demo-out"), metavar="DIR", help="where the report goes (default: demo-out)"
    )


def run(args: argparse.Namespace) -> int:
    """Run the demo as published."""
    problem = unwritable(args.out)
    if problem:
        print(f"gdtriton demo: {problem}; choose another with --out DIR", file=sys.stderr)
        return 2
    from ..models.scale_experiment import ExperimentConfig

    return run_demo(args.out, ExperimentConfig())


def unwritable(folder: Path) -> str | None:
    """Why no file can be written to `folder` (made if it is missing), or None."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return None
    except OSError as error:
        return f"cannot write to {folder}: {error.strerror or error}"


def run_demo(folder: Path, config: "ExperimentConfig") -> int:
    """Measure, print the table, write the two files."""
    import torch

    from ..models.scale_experiment import run_experiment
    from . import demo_certificate
    from .demo_report import render

    # Tails of Gaussians are subnormal numbers, a hundred times slower than zeros and worth as much here.
    torch.set_flush_denormal(True)
    device, reason = pick_device()
    print(f"Computing on {reason}.")
    smallest, largest = config.sizes[0], config.sizes[-1]
    print(
        f"{config.n_train} training images at size {config.train_size:g} px, {config.n_test} held-out images at "
        f"{config.n_sizes} sizes from {smallest:.1f} to {largest:.1f} px"
    )
    result = run_experiment(config, device, _progress_bar)
    print("\n".join(table(result)))
    print("proving what is said about scale ...", flush=True)
    verdicts = demo_certificate.judge(result)
    print("\n".join(f"{NAMES[key]}: {verdict.verdict}, {verdict.reason}" for key, verdict in verdicts.items()))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "linux" else 2**30)
    print(f"total {result.seconds['total']:.0f} s, peak memory {peak:.2f} GB")
    page = render(result, reason, peak, demo_certificate.section(verdicts))
    metrics = {**result.metrics(), "verdicts": demo_certificate.metrics(verdicts)}
    write_whole(folder, {"report.html": page, "metrics.json": json.dumps(metrics, indent=1) + "\n"})
    print(f"wrote {folder / 'report.html'} and {folder / 'metrics.json'}")
    return 0


def pick_device() -> "tuple[torch.device, str]":
    """A GPU if a small layer really runs on it forwards and backwards, else the CPU; and why."""
    import torch

    from ..functional import jet_conv

    cpu = torch.device("cpu")
    on_cpu = f"the CPU ({torch.get_num_threads()} threads)"
    if not torch.cuda.is_available():
        return cpu, f"{on_cpu}: PyTorch sees no GPU"
    try:
        name = torch.cuda.get_device_name()
        features = torch.ones(1, 1, 2, 9, 9, device="cuda", requires_grad=True)
        weight = torch.ones(3, 2, 5, device="cuda", requires_grad=True)
        jet_conv(features, weight, 1.0 * torch.ones(1, dtype=torch.float64)).square().sum().backward()
        torch.cuda.synchronize()
    except Exception as error:  # no compiler, an old driver, a full card: the demo goes on without it
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        return cpu, f"{on_cpu}: a small layer failed on the GPU ({reason})"
    return torch.device("cuda"), f"the GPU {name}"


def table(result: "ExperimentResult") -> Iterable[str]:
    """Accuracy in percent, a line a size."""
    accuracy, config = result.accuracy, result.config
    yield "size (px)  " + "  ".join(f"{name:>19}" for name in NAMES.values())
    for i, size in enumerate(config.sizes):
        mark = "  <- training size" if i == (config.n_sizes - 1) // 2 else ""
        yield f"{size:9.1f}  " + "  ".join(f"{accuracy[key][i]:18.1f}%" for key in NAMES) + mark
    yield "parameters " + "  ".join(f"{result.parameters[key]:19,}" for key in NAMES)
    yield "training s " + "  ".join(f"{result.seconds[key]:19.1f}" for key in NAMES)


def write_whole(folder: Path, files: dict[str, str]) -> None:
    """Write files so that each is there whole or not at all."""
    for name, text in files.items():
        handle, temporary = tempfile.mkstemp(dir=folder, prefix=f".{name}.")
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(text)
            os.chmod(temporary, 0o666 & ~_umask())
            os.replace(temporary, folder / name)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _progress_bar(title: str, steps: int) -> "Progress":
    from tqdm import tqdm

    bar = tqdm(total=steps, desc=f"{title:<24}", mininterval=0.5, unit="step")

    def advance(loss: float, percent: float) -> None:
        bar.set_postfix_str(f"{percent:5.1f} % right", refresh=False)
        bar.update()
        if bar.n >= steps:
            bar.close()

    return advance
