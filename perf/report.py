"""Tables and a plot from the committed results: `python perf/report.py`.

README.md gets the plot and the training rows of the first result between two markers; `perf/results/README.md` every
row of every result.
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from perf.compare import label  # noqa: E402
from perf.schema import KIND  # noqa: E402

COLUMNS = (
    "layer", "mode", "ours, ms (p20 .. p80)", "conv2d 3x3, ms", "plain-adj, ms", "dense, ms",
    "ours / conv2d", "target", "ours / plain-adj", "dense / ours", "memory ours / conv2d, MiB",
)  # fmt: skip
BEGIN, END = "<!-- perf:begin -->", "<!-- perf:end -->"
RESULTS = ROOT / "perf" / "results" / "README.md"
PLOT = Path("perf") / "results" / "layer-cpu.svg"
TWINS = ("conv2d-nchw", "conv2d-channels-last")


def documents() -> Iterator[tuple[Path, dict[str, Any]]]:
    """The committed results of the layer, by name."""
    for path in sorted((ROOT / "perf" / "results").glob("*.json")):
        document = json.loads(path.read_text())
        if document["kind"] == KIND:
            yield path, document


def grouped(rows: list[dict[str, Any]]) -> dict[tuple[str, str], dict[str, dict[str, Any]]]:
    """Rows by (label of the case, mode), then by provider."""
    groups: dict[tuple[str, str], dict[str, dict[str, Any]]] = {}
    for row in rows:
        groups.setdefault((label(row["case"]), row["mode"]), {})[row["provider"]] = row
    return groups


def _time(row: dict[str, Any] | None) -> float | None:
    return row["median_ms"] if row else None


def _cell(row: dict[str, Any] | None) -> str:
    if row is None:
        return ""
    if row["median_ms"] is None:
        return row["status"]
    return f"{row['median_ms']:.1f} ({row['p20_ms']:.1f} .. {row['p80_ms']:.1f})"


def _ratio(above: float | None, below: float | None) -> str:
    if above is None or below is None:
        return ""
    ratio = above / below
    return f"{ratio:.2f}" if ratio < 10 else f"{ratio:.0f}"


def _target(ours: dict[str, Any] | None, twin: dict[str, Any] | None) -> str:
    """The goal for training: 1.3 times the twin at sigma <= 2 and >= 16, 1.5 times between."""
    above, below = _time(ours), _time(twin)
    if ours is None or above is None or below is None or ours["mode"] != "training":
        return ""
    if ours["case"]["discretisation"] != "discrete" or ours["case"]["learn_sigma"] != "layer":
        return ""
    goal = 1.5 if 2 < ours["case"]["sigma"] < 16 else 1.3
    return f"{goal} {'met' if above <= goal * below else 'missed'}"


def table(document: dict[str, Any], modes: tuple[str, ...] = ("forward", "training", "moving-sigma")) -> str:
    """One line for every case and mode; a column that nothing stands in is left out."""
    lines: list[list[str]] = []
    for (name, mode), rows in grouped(document["rows"]).items():
        if mode not in modes:
            continue
        ours = rows.get("ours")
        candidates = [rows[t] for t in TWINS if t in rows and rows[t]["median_ms"] is not None]
        twin = min(candidates, key=lambda row: row["median_ms"], default=None)
        plain, dense = rows.get("plain-adj"), rows.get("dense")
        peaks = [row["peak_mib"] for row in (ours, twin) if row and row["peak_mib"] is not None]
        memory = f"{peaks[0]:.0f} / {peaks[1]:.0f}" if len(peaks) == 2 else ""
        cells = [name, mode, *map(_cell, (ours, twin, plain, dense))]
        cells += [_ratio(_time(ours), _time(twin)), _target(ours, twin), _ratio(_time(ours), _time(plain))]
        cells += [_ratio(_time(dense), _time(ours))]
        lines.append([*cells, memory])
    used = [k for k in range(len(COLUMNS)) if any(line[k] for line in lines)]
    rows_of_cells = [COLUMNS, ("---",) * len(COLUMNS), *lines]
    return "\n".join("| " + " | ".join(cells[k] for k in used) + " |" for cells in rows_of_cells)


def heading(path: Path, document: dict[str, Any]) -> str:
    """How a result was measured, in one paragraph."""
    data = document["metadata"]
    clock = {"process_time": "CPU time of the process (a busy machine)", "perf_counter": "wall clock"}[data["clock"]]
    dirty = " with uncommitted changes" if data["dirty"] else ""
    return (
        f"`{path.relative_to(ROOT)}`: {data['utc'][:10]}, {data['cpu']}, {data['threads']} thread(s), {clock}, "
        f"load average {data['load_average']}, torch {data['torch']}, commit {data['commit'][:7]}{dirty}. "
        "float32, 112 x 112, batch 4, symmetric border; medians of interleaved rounds; every row passed a float64 gate "
        "unless it says failed. conv2d 3x3: the better of the layouts measured. "
        "plain-adj: the same layer in stock PyTorch operators, separable smoothing with a hand-written backward. "
        "dense: K x K filters cut at 2 sigma, K = 2 ceil(2 sigma) + 3. "
        "moving-sigma: training with another sigma at every call."
    )


def usual(document: dict[str, Any]) -> dict[str, Any]:
    """The rows of the default discretisation with one sigma a layer."""
    kept = {"discretisation": "discrete", "learn_sigma": "layer"}
    rows = [row for row in document["rows"] if all(row["case"][name] == value for name, value in kept.items())]
    return {**document, "rows": rows}


def plot(document: dict[str, Any], path: Path) -> None:
    """Training time over sigma, one panel a layer."""
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "gdtriton"
    import matplotlib.pyplot as plt

    rows = [row for row in usual(document)["rows"] if row["mode"] == "training" and row["median_ms"] is not None]
    layers = sorted({(row["case"]["in_channels"], row["case"]["out_channels"]) for row in rows})
    figure, panels = plt.subplots(1, len(layers), figsize=(5 * len(layers), 3.4), squeeze=False)
    for panel, layer in zip(panels[0], layers, strict=True):
        own = [row for row in rows if (row["case"]["in_channels"], row["case"]["out_channels"]) == layer]
        for name in dict.fromkeys(row["provider"] for row in own):
            points = sorted((row["case"]["sigma"], row["median_ms"]) for row in own if row["provider"] == name)
            panel.plot(*zip(*points, strict=True), marker="o", label=name)
        panel.set(xscale="log", yscale="log", xlabel="sigma in pixels", ylabel="forward + backward, ms")
        panel.set_xticks([1, 2, 4, 8, 16], ["1", "2", "4", "8", "16"])
        panel.minorticks_off()
        panel.set_title(f"{layer[0]} to {layer[1]} channels")
        panel.legend(fontsize="small")
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})


def section() -> str:
    """What stands between the markers of README.md."""
    path, document = next(documents())
    plot(document, ROOT / PLOT)
    picture = f"![Training time of a layer over sigma]({PLOT.as_posix()})"
    rest = (
        "Forward alone; other discretisations and sigmas of their own per channel, which take several times as long; "
        f"dense filters: [{RESULTS.parent.name}]({RESULTS.relative_to(ROOT)})."
    )
    parts = [BEGIN, picture, "", heading(path, document), "", table(usual(document), ("training",))]
    return "\n".join([*parts, "", rest, "", END])


def everything() -> str:
    """All results on one page."""
    parts = [f"{heading(path, document)}\n\n{table(document)}\n" for path, document in documents()]
    return "\n".join(["# Results", "", "Written by `python perf/report.py`.", "", *parts])


def insert(readme: str, text: str) -> str:
    """The README with the text between its markers, at the end where it has none."""
    if BEGIN not in readme:
        return readme.rstrip("\n") + "\n\n" + text + "\n"
    return readme[: readme.index(BEGIN)] + text + readme[readme.index(END) + len(END) :]


if __name__ == "__main__":
    target = ROOT / "README.md"
    target.write_text(insert(target.read_text(), section()))
    RESULTS.write_text(everything())
