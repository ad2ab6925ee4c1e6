"""The figures of the demo's page, each an SVG text."""

import io
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from ..models.digits import canvas_for, enlarge
from .demo import NAMES
from .demo_measures import PREDICTED_SLOPE, CovarianceDefect, attention, first_layer_filters

if TYPE_CHECKING:
    from ..models.scale_experiment import ExperimentResult

COLOURS = {"network": "#1558b0", "cnn": "#d1590b", "cnn_resized": "#5d7a3a"}
MARKERS = {"network": "o", "cnn": "s", "cnn_resized": "^"}
STYLE: Any = {
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#e4e4e4",
    "svg.hashsalt": "gdtriton",
    "figure.facecolor": "white",
}


def _figure(width: float, height: float, rows: int = 1, columns: int = 1, **options: Any) -> tuple[Any, Any]:
    # Not pyplot: no display, no global state.
    import matplotlib
    from matplotlib.figure import Figure

    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(width, height), layout="constrained")
        return figure, figure.subplots(rows, columns, **options)


def _svg(figure: Any) -> str:
    import matplotlib

    text = io.StringIO()
    with matplotlib.rc_context(STYLE):
        figure.savefig(text, format="svg", metadata={"Date": None})
    svg = text.getvalue()
    return svg[svg.index("<svg") :]


def _size_axis(axes: Any, sizes: tuple[float, ...]) -> None:
    axes.set_xscale("log")
    axes.set_xlim(sizes[0] / 1.06, sizes[-1] * 1.06)
    ticks = sizes[:: max(1, (len(sizes) - 1) // 8)]
    axes.set_xticks(ticks, [f"{size:.0f}" for size in ticks])
    axes.minorticks_off()
    axes.set_xlabel("size of the digit (pixels)")


def accuracy_figure(result: "ExperimentResult") -> str:
    """Accuracy against size for all three."""
    sizes, accuracy = result.config.sizes, result.accuracy
    figure, axes = _figure(8.6, 3.9)
    for key, name in NAMES.items():
        axes.plot(sizes, accuracy[key], color=COLOURS[key], marker=MARKERS[key], markersize=5, label=name)
    axes.axvline(result.config.train_size, color="#888888", linestyle=":", linewidth=1.2)
    axes.text(
        result.config.train_size * 1.02, 3, "training size", color="#555555", rotation=90, va="bottom", fontsize=9
    )
    axes.axhline(10, color="#bbbbbb", linewidth=1)
    axes.text(sizes[0], 11, "guessing", color="#777777", fontsize=9, va="bottom")
    _size_axis(axes, sizes)
    axes.set_ylim(0, 102)
    axes.set_ylabel("held-out images right (%)")
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3, frameon=False)
    return _svg(figure)


def selection_figure(result: "ExperimentResult") -> str:
    """Which scale channel won, a column a size, and the line of slope 1 that covariance predicts."""
    config, sigmas = result.config, result.network.lift.grid.sigmas
    counts = torch.stack([torch.bincount(row, minlength=len(sigmas)) for row in result.selected])
    share = 100 * counts.double() / counts.sum(1, keepdim=True)
    figure, axes = _figure(8.6, 3.6)
    axes.grid(visible=False)
    image = axes.imshow(share.T.numpy(), origin="lower", aspect="auto", cmap="Blues", vmin=0, vmax=100)
    figure.colorbar(image, ax=axes, label="share of images (%)")
    columns = np.arange(config.n_sizes)
    middle = (config.n_sizes - 1) // 2
    at_training = float((result.selected[middle].double()).mean())
    slope = np.log(np.array(config.sizes) / config.train_size) / np.log(config.network.ratio)
    axes.plot(columns, at_training + slope, color="#d1590b", linewidth=1.5, label="proportional to the size")
    axes.plot(columns, result.selected.double().mean(1).numpy(), color="black", linewidth=1.2, marker=".", label="mean")
    axes.set_ylim(-0.5, len(sigmas) - 0.5)
    axes.set_yticks(range(len(sigmas)), [f"{sigma:.2g}" for sigma in sigmas])
    axes.set_xticks(columns, [f"{size:.0f}" for size in config.sizes])
    axes.set_ylabel("$\\sigma_0$ of the scale channel (px)")
    axes.set_xlabel("size of the digit (pixels)")
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2, frameon=False)
    return _svg(figure)


def example_figure(result: "ExperimentResult", n_images: int = 4) -> str:
    """Held-out images at several sizes with what each of the three says; wrong answers crossed."""
    config, split = result.config, result.split
    chosen_sizes = sorted({round(i * (config.n_sizes - 1) / 4) for i in range(5)})
    n_images = min(n_images, config.n_test)
    figure, axes = _figure(8.6, 2.1 * n_images, n_images, len(chosen_sizes), squeeze=False)
    for row in range(n_images):
        label = int(split.test_labels[row])
        for column, i in enumerate(chosen_sizes):
            picture = enlarge(split.test[row : row + 1], config.sizes[i], config.test_canvas)[0, 0]
            panel = axes[row, column]
            panel.imshow(picture.numpy(), cmap="gray", vmin=0, vmax=1, interpolation="nearest")
            panel.set_xticks([])
            panel.set_yticks([])
            panel.grid(visible=False)
            if row == 0:
                panel.set_title(f"{config.sizes[i]:.0f} px", fontsize=10)
            if column == 0:
                panel.set_ylabel(f"a {label}", rotation=0, labelpad=14, va="center")
            for k, key in enumerate(NAMES):
                said = int(result.predictions[key][i, row])
                text = f"{said}" if said == label else f"{said} ✗"
                panel.text(
                    (0.08, 0.5, 0.92)[k], -0.08, text, transform=panel.transAxes, ha=("left", "center", "right")[k],
                    va="top", fontsize=9, color=COLOURS[key], fontweight="normal" if said == label else "bold",
                )  # fmt: skip
    return _svg(figure)


def filters_figure(result: "ExperimentResult") -> str:
    """Receptive fields of the first layer."""
    filters = first_layer_filters(result.network)
    columns = min(8, len(filters))
    rows = -(-len(filters) // columns)
    figure, axes = _figure(8.6, 8.6 / columns * rows, rows, columns, squeeze=False)
    for panel in axes.flat:
        panel.axis("off")
    for panel, values in zip(axes.flat, filters, strict=False):
        limit = float(values.abs().max()) or 1.0
        panel.imshow(values.numpy(), cmap="RdBu_r", vmin=-limit, vmax=limit, interpolation="nearest")
    return _svg(figure)


def attention_figure(result: "ExperimentResult") -> str:
    """One held-out image at three sizes, and the gradient of its winning logit in it, cut to the digit."""
    config, split = result.config, result.split
    network = result.network.cpu()
    middle = (config.n_sizes - 1) // 2
    chosen = sorted({middle // 2, middle, middle + (config.n_sizes - 1 - middle) // 2})
    figure, axes = _figure(8.6, 6.0 * len(chosen) / len(chosen), 2, len(chosen), squeeze=False)
    for column, i in enumerate(chosen):
        size = config.sizes[i]
        image = enlarge(split.test[:1], size, config.test_canvas)
        gradient = attention(network, image)
        cut = min(canvas_for(size), config.test_canvas)
        start = (config.test_canvas - cut) // 2
        window = (slice(start, start + cut), slice(start, start + cut))
        limit = float(gradient[window].abs().max()) or 1.0
        axes[0, column].imshow(image[0, 0][window].numpy(), cmap="gray", vmin=0, vmax=1, interpolation="nearest")
        axes[0, column].set_title(f"{size:.0f} px, says {int(result.predictions['network'][i, 0])}", fontsize=10)
        axes[1, column].imshow(
            gradient[window].numpy(), cmap="RdBu_r", vmin=-limit, vmax=limit, interpolation="nearest"
        )
        for panel in axes[:, column]:
            panel.axis("off")
    return _svg(figure)


def defect_figure(measured: CovarianceDefect) -> str:
    """Covariance defect against sigma and the predicted slope."""
    figure, axes = _figure(6.4, 3.6)
    sigmas, defects = np.array(measured.sigmas), np.array(measured.defects)
    axes.loglog(sigmas, defects, color=COLOURS["network"], marker="o", label=f"measured, slope {measured.slope:.2f}")
    anchor = defects[-1] * (sigmas / sigmas[-1]) ** PREDICTED_SLOPE
    axes.loglog(sigmas, anchor, color="#888888", linestyle="--", label=f"predicted slope {PREDICTED_SLOPE:.0f}")
    axes.set_xticks(sigmas, [f"{sigma:.2g}" for sigma in sigmas])
    axes.minorticks_off()
    axes.set_xlabel("$\\sigma_0$ of the scale channel (pixels)")
    axes.set_ylabel("relative covariance defect")
    axes.legend(frameon=False)
    return _svg(figure)
