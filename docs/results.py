"""Writes the demo's table into README between its markers, from `docs/demo-metrics.json`. `python docs/results.py`."""

import json
from pathlib import Path

DOCS = Path(__file__).parent
BEGIN, END = "<!-- demo:begin -->", "<!-- demo:end -->"
NAMES = {
    "network": "Gaussian derivative network",
    "cnn": "CNN, one size",
    "cnn_resized": "CNN, random sizes over the whole range",
}


def table(metrics: dict) -> str:
    """Every second size, and what the run was."""
    columns = range(0, len(metrics["sizes"]), 2)
    sizes = [f"{metrics['sizes'][i]:.0f} px" for i in columns]
    lines = [
        f"| trained on | parameters | {' | '.join(sizes)} |",
        f"| --- | --- | {' | '.join('---' for _ in columns)} |",
    ]
    for key, name in NAMES.items():
        values = " | ".join(f"{metrics['accuracy'][key][i]:.1f}" for i in columns)
        lines.append(f"| {name} | {metrics['parameters'][key]:,} | {values} |")
    images = metrics["images"]
    caption = (
        f"Percent of {images['test']} held-out digits right (one image is {100 / images['test']:.1f} points), "
        f"{images['train']} training images; the first two rows saw only {metrics['train_size']:.0f} px. One run of "
        f"`gdtriton demo`, {metrics['seconds']['total']:.0f} s on 2 CPU cores."
    )
    return "\n".join([caption, "", *lines])


def main() -> None:
    """Replace what stands between the markers."""
    readme = DOCS.parent / "README.md"
    text = readme.read_text()
    before, rest = text.split(BEGIN)
    metrics = json.loads((DOCS / "demo-metrics.json").read_text())
    readme.write_text(f"{before}{BEGIN}\n{table(metrics)}\n{END}{rest.split(END)[1]}")


if __name__ == "__main__":
    main()
