"""The demo's page: figures, numbers and sentences that follow from them, one file without anything outside it."""

import platform
from importlib.metadata import PackageNotFoundError, version
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from .. import __version__
from . import demo_figures
from .demo import NAMES
from .demo_measures import covariance_defect

if TYPE_CHECKING:
    from ..models.scale_experiment import ExperimentResult

DEFECT_SIGMAS = tuple(0.5 * 2 ** (k / 2) for k in range(7))
PACKAGES = ("torch", "triton", "numpy", "scikit-learn", "matplotlib")


def render(result: "ExperimentResult", device: str, peak_gigabytes: float, certificate: str | None = None) -> str:
    """The page as HTML.

    Args:
        result: What was measured.
        device: Where, in words.
        peak_gigabytes: Peak memory of the process.
        certificate: HTML about the trained network's proof; without one the page has no such section.
    """
    from jinja2 import Environment, StrictUndefined

    source = files(__package__).joinpath("demo_report.html.j2").read_text(encoding="utf-8")
    template = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True).from_string(source)
    defect = covariance_defect(result.network, DEFECT_SIGMAS)
    figures = {
        "accuracy": demo_figures.accuracy_figure(result),
        "selection": demo_figures.selection_figure(result),
        "examples": demo_figures.example_figure(result),
        "filters": demo_figures.filters_figure(result),
        "attention": demo_figures.attention_figure(result),
        "defect": demo_figures.defect_figure(defect),
    }
    return template.render(
        result=result,
        config=result.config,
        names=NAMES,
        accuracy=result.accuracy,
        summary=summary(result),
        figures={name: _own_ids(svg, name) for name, svg in figures.items()},
        defect=defect,
        device=device,
        peak_gigabytes=peak_gigabytes,
        versions=versions(),
        certificate=certificate,
    )


def summary(result: "ExperimentResult") -> dict[str, Any]:
    """What the page says in words, from the numbers: per rival the lowest accuracy over three ranges of sizes.

    Returns:
        "at_training", "middle" (sizes within a factor 2 of the training size) and "all", each {rival: percent}.
    """
    config, accuracy = result.config, result.accuracy
    middle = (config.n_sizes - 1) // 2
    # Sizes are a geometric sequence, so half of one at the very border of the range may be off by a rounding.
    near = [
        i
        for i, size in enumerate(config.sizes)
        if max(size / config.train_size, config.train_size / size) < 2 * (1 + 1e-9)
    ]
    return {
        "at_training": {key: accuracy[key][middle] for key in NAMES},
        "middle": {key: min(accuracy[key][i] for i in near) for key in NAMES},
        "all": {key: min(accuracy[key]) for key in NAMES},
        "near": (config.sizes[near[0]], config.sizes[near[-1]]),
    }


def versions() -> dict[str, str]:
    """What the numbers were made with."""
    found = {"gdtriton": __version__, "Python": platform.python_version(), "system": platform.platform()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def _own_ids(svg: str, name: str) -> str:
    """Names inside an SVG are names of the whole page: make them differ between figures."""
    return svg.replace('id="', f'id="{name}-').replace('href="#', f'href="#{name}-').replace("url(#", f"url(#{name}-")
