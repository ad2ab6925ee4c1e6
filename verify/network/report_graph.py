"""The derivation as a picture: a row a node, with its type; an arc to every operand that is not the row above."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from .report_theorems import GLUE
from .report_words import grid_map, shape, short_source, transformation

ROW, WIDTH = 25, 1120
COLUMNS = (78, 300, 520, 790)
LENGTHS = (30, 29, 37, 44)
HEADINGS = ("module", "operator", "scaled by S (F') and not (F)", "axes")


def graph_svg(steps: Sequence[Mapping[str, Any]], place: Mapping[str, Any]) -> str:
    """The graph from image to output.

    Args:
        steps: Of the proof.
        place: The offender, or an empty mapping; its row is red, and added where no type could be derived for it.
    """
    row = {step["node"]: i for i, step in enumerate(steps)}
    parts = [
        f"<text x='{x}' y='17' class='head'>{escape(text)}</text>" for x, text in zip(COLUMNS, HEADINGS, strict=True)
    ]
    for i, step in enumerate(steps):
        bad = place.get("node") == step["node"]
        kind = step["type"]
        cells = (step["path"] or "(root)", _operator(step), transformation(kind).replace("sigma", "σ"), _axes(kind))
        parts.append(_row(i, cells, "bad" if bad else "glue" if step["rule"] in GLUE else "node", _tooltip(step)))
        for premise in step["from"]:
            if premise in row and row[premise] != i - 1:
                parts.append(_arc(row[premise], i))
    count = len(steps)
    if place and place.get("node") not in row:
        cells = (place.get("path") or "(root)", str(place.get("op", "")), f"no type: rule {place.get('rule', '')}", "")
        parts.append(_row(count, cells, "bad", short_source(str(place.get("source", "")))))
        count += 1
    height = (count + 1) * ROW + 8
    return (
        f"<svg class='nodes' viewBox='0 0 {WIDTH} {height}' width='{WIDTH}' height='{height}' "
        f"xmlns='http://www.w3.org/2000/svg'>{''.join(parts)}</svg>"
    )


def _operator(step: Mapping[str, Any]) -> str:
    name = str(step["op"]).removeprefix("aten.").removeprefix("gdtriton.")
    name = "batch norm" if "batch_norm" in name else name
    rule = "" if step["rule"] in name or step["rule"] in ("pointwise", "same-weight", "identity") else step["rule"]
    return f"{name} ({rule})" if rule else name


def _axes(kind: Mapping[str, Any]) -> str:
    where = grid_map(kind)
    return shape(kind) + (f", {where}" if where else "")


def _tooltip(step: Mapping[str, Any]) -> str:
    return f"{step['node']}: {step['op']}, rule {step['rule']}, {short_source(step['source'])}"


def _row(i: int, cells: Sequence[str], style: str, tooltip: str) -> str:
    y = (i + 1) * ROW
    texts = "".join(
        f"<text x='{x}' y='{y + 16}'>{escape(_short(text, n))}</text>"
        for x, text, n in zip(COLUMNS, cells, LENGTHS, strict=True)
    )
    return (
        f"<g class='{style}'><title>{escape(tooltip)}</title>"
        f"<rect x='70' y='{y + 1}' width='{WIDTH - 78}' height='{ROW - 4}' rx='3'/>{texts}</g>"
    )


def _arc(start: int, end: int) -> str:
    top, bottom = ((i + 1) * ROW + ROW / 2 for i in (start, end))
    bend = 70 - min(64, 10 + 6 * abs(end - start))
    return f"<path d='M70 {top}C{bend} {top} {bend} {bottom} 70 {bottom}' class='arc'/>"


def _short(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"
