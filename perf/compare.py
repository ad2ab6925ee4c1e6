"""Two result files side by side."""

import json
from typing import Any


def _key(row: dict[str, Any]) -> str:
    case = {k: v for k, v in row["case"].items() if k not in ("providers", "modes")}
    return json.dumps([case, row["provider"], row["mode"]], sort_keys=True)


def label(case: dict[str, Any]) -> str:
    """A short name of a case."""
    text = f"{case['in_channels']}->{case['out_channels']} sigma {case['sigma']:g}"
    if case["batch"] != 4:
        text += f" batch {case['batch']}"
    if case["discretisation"] != "discrete":
        text += f" {case['discretisation']}"
    return text + (f" learn_sigma={case['learn_sigma']}" if case["learn_sigma"] != "layer" else "")


def compare(before: dict[str, Any], after: dict[str, Any]) -> str:
    """A ratio table after / before; '*' marks rows whose ranges p20 .. p80 do not overlap."""
    old = {_key(row): row for row in before["rows"]}
    lines = [
        "| case | provider | mode | before ms | after ms | ratio | |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for row in after["rows"]:
        other = old.get(_key(row))
        if other is None or row["median_ms"] is None or other["median_ms"] is None:
            continue
        apart = row["p20_ms"] > other["p80_ms"] or row["p80_ms"] < other["p20_ms"]
        lines.append(
            f"| {label(row['case'])} | {row['provider']} | {row['mode']} | {other['median_ms']:.2f} "
            f"| {row['median_ms']:.2f} | {row['median_ms'] / other['median_ms']:.2f} | {'*' if apart else ''} |"
        )
    return "\n".join(lines)
