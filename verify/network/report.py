"""The HTML page of a verdict: the graph with the type at every node as SVG, the links, the bounds, the theorems."""

from collections.abc import Mapping
from html import escape
from typing import Any

THEOREMS = {
    "jet": ("scale-covariance", "layer-jet"),
    "mix": ("layer-mix", "layer-bias"),
    "pointwise": ("layer-pointwise", "layer-homogeneous"),
    "same-weight": ("layer-mix",),
    "product": ("layer-product",),
    "read": ("layer-centre",),
    "reduce": ("layer-spatial-maximum", "layer-mean", "layer-integral", "layer-pool-over-scales"),
    "pick-scales": ("layer-scale-shift",),
}
STYLE = """
body{font:15px/1.5 system-ui,sans-serif;margin:2em auto;max-width:70em;padding:0 1em;color:#222;background:#fff}
h1{font-size:1.4em}
table{border-collapse:collapse;margin:1em 0}td,th{padding:.25em .8em;border:1px solid #bbb;text-align:left}
.covariant,.invariant,.holds{color:#0a6b2d}.refuted,.failed{color:#b00020}.unknown{color:#8a5a00}
.graph{overflow:auto;max-height:40em;border:1px solid #ccc}svg text{font:12px ui-monospace,monospace;fill:#222}
code{font-size:.95em}
"""


def page(data: Mapping[str, Any]) -> str:
    """One self-contained page."""
    verdict, place = str(data["verdict"]), data.get("offender") or {}
    steps = (data.get("proof") or {}).get("steps", [])
    rows = "".join(
        f"<tr><td>{escape(link['name'])}</td><td class='{escape(link['verdict'])}'>{escape(link['verdict'])}</td>"
        f"<td>{escape(str(link.get('reason', '')))}</td><td>{escape(_numbers(link['numbers']))}</td></tr>"
        for link in data["links"]
    )
    bounds: dict[str, float] = next(
        (link["numbers"].get("bound_by_sigma", {}) for link in data["links"] if link["name"] == "operator = theory"), {}
    )
    table = "".join(f"<tr><td>{escape(s)}</td><td>{b:.4g}</td></tr>" for s, b in bounds.items())
    used = sorted({t for step in steps for t in THEOREMS.get(step["rule"], ())})
    where = (
        f"<p>Offender: <code>{escape(place.get('path') or '(root)')}</code> {escape(place.get('source', ''))}, "
        f"rule <code>{escape(place.get('rule', ''))}</code></p>"
        if place
        else ""
    )
    return (
        "<!doctype html><html lang='en'><meta charset='utf-8'><title>gdtriton: " + escape(verdict) + "</title>"
        f"<style>{STYLE}</style><h1>Verdict: <span class='{escape(verdict)}'>{escape(verdict)}</span></h1>"
        f"<p>{escape(str(data['reason']))}</p>{where}"
        f"<p>Image {escape(str(data['claim']['input_shape']))}, canvas {escape(str(data['canvas']))}, "
        f"{escape(str(data['claim']['scope']))}.</p>"
        + (f"<p>Boundary: {escape(str(data['boundary']))}.</p>" if data.get("boundary") else "")
        + f"<h2>Links</h2><table><tr><th>link</th><th>verdict</th><th>reason</th><th>numbers</th></tr>{rows}</table>"
        + (
            "<h2>Bound of a jet against the continuous one</h2>"
            f"<table><tr><th>sigma</th><th>bound</th></tr>{table}</table>"
            if table
            else ""
        )
        + "<h2>Graph</h2><div class='graph'>"
        + graph_svg(steps, place)
        + "</div>"
        + "<h2>Theorems used</h2><ul>"
        + "".join(f"<li><code>gdtriton derive {escape(t)}</code></li>" for t in used)
        + "</ul></html>"
    )


def _numbers(numbers: Mapping[str, Any]) -> str:
    return ", ".join(
        f"{k} {v:.3g}" if isinstance(v, float) else f"{k} {v}" for k, v in numbers.items() if not isinstance(v, dict)
    )


def describe(kind: Mapping[str, Any]) -> str:
    """A type in a few characters: axes, weight, number of scale channels."""
    axes = " ".join("*".join(f"{a[0]}{a[1]}" for a in axis) or "1" for axis in kind["axes"])
    scales = (
        f"  {len(kind['anchors'])} scale channels" if len(kind["anchors"]) > 1 else "  pooled" if kind["free"] else ""
    )
    return f"[{axes}]  w={kind['weight']}{scales}"


def graph_svg(steps: list[dict[str, Any]], place: Mapping[str, Any]) -> str:
    """The derivation from top to bottom, an arc to every operand that is not the node above."""
    height, width = 26, 1000
    row = {step["node"]: i for i, step in enumerate(steps)}
    parts = []
    for i, step in enumerate(steps):
        y = i * height + 4
        bad = place.get("node") == step["node"]
        fill, stroke = ("#fde7ea", "#b00020") if bad else ("#f4f6fa", "#9aa7bd")
        label = f"{step['path'] or '(root)'}  {step['op']}  {step['rule']}  {describe(step['type'])}"
        parts.append(f"<rect x='60' y='{y}' width='{width - 70}' height='20' rx='3' fill='{fill}' stroke='{stroke}'/>")
        parts.append(f"<text x='68' y='{y + 14}'>{escape(label[:140])}</text>")
        for premise in step["from"]:
            if premise in row and row[premise] != i:
                top, bend = row[premise] * height + 14, 60 - min(50, 6 + 4 * (i - row[premise]))
                parts.append(
                    f"<path d='M60 {top} C{bend} {top} {bend} {y + 10} 60 {y + 10}' fill='none' stroke='#6b7a94'/>"
                )
    if place and place.get("node") not in row:
        y = len(steps) * height + 4
        text = f"{place.get('path') or '(root)'}  {place.get('op', '')}  {place.get('rule', '')}"
        parts.append(f"<rect x='60' y='{y}' width='{width - 70}' height='20' rx='3' fill='#fde7ea' stroke='#b00020'/>")
        parts.append(f"<text x='68' y='{y + 14}'>{escape(text)}</text>")
    total = (len(steps) + 1) * height + 8
    return f"<svg xmlns='http://www.w3.org/2000/svg' width='{width}' height='{total}'>{''.join(parts)}</svg>"
