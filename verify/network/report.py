"""The HTML page of a verdict: what was found, the links, the graph, the defects with their bounds, the theorems."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from ..theory import library
from . import report_theorems
from .report_graph import graph_svg
from .report_plots import COLOURS, Series, log_plot
from .report_witness import witness_words
from .report_words import link_words, rows_by_module, scale_channels, short_source, transformation

SHOWN = 6
"""Layers in a plot; further ones are in the JSON."""
STYLE = """
:root{--ink:#1d2430;--soft:#5b6675;--line:#dfe3e8}
*{box-sizing:border-box}
body{font:15px/1.5 system-ui,"Segoe UI",Helvetica,Arial,sans-serif;margin:0;color:var(--ink);background:#f5f6f8}
main{max-width:76rem;margin:0 auto;padding:1.5rem 1.25rem 4rem}
section{background:#fff;border:1px solid var(--line);border-radius:8px;padding:1.1rem 1.4rem;margin:1rem 0}
h1{font-size:1.5rem;margin:0 0 .3rem}h2{font-size:1.1rem;margin:0 0 .5rem}
p{max-width:56rem;margin:.4rem 0}.soft,.source{color:var(--soft)}.source{font-size:.85rem}
table{border-collapse:collapse;margin:.5rem 0}
td,th{padding:.25rem .9rem .25rem 0;border-bottom:1px solid var(--line);text-align:left;vertical-align:top}
.covariant,.invariant,.holds{color:#0a6b2d}.refuted,.failed{color:#b00020}.unknown{color:#8a5a00}
.scroll{overflow:auto;max-height:46rem}
svg text{font:12px ui-monospace,"DejaVu Sans Mono",monospace;fill:var(--ink)}
svg .head{font-weight:bold}
.node rect{fill:#eef3fa;stroke:#9aaccb}.glue rect{fill:#fafbfc;stroke:#e3e6ea}.glue text{fill:#68727f}
.bad rect{fill:#fde7ea;stroke:#b00020;stroke-width:2}.bad text{fill:#b00020;font-weight:bold}
.arc{fill:none;stroke:#6b7a94}.frame{fill:#fff;stroke:#8b95a3}.grid{stroke:#e4e7eb;fill:none}
.plots{display:flex;flex-wrap:wrap;gap:1rem}.plots figure{margin:0;flex:1 1 22rem;max-width:34rem}
.plot{width:100%}svg.plot text{font-size:13px}
figcaption{font-size:.9rem;color:var(--soft)}
dl.theorems dt{margin-top:.8rem;scroll-margin-top:1rem}dl.theorems dd{margin:0 0 0 1rem;overflow-x:auto}
dl.theorems dt:target{background:#fff3c4}a{color:#1558b0}code{font-size:.93em}
"""


def page(data: Mapping[str, Any]) -> str:
    """One self-contained page from the JSON of a verdict; `data["measured"]`, see `measure`, adds the plots."""
    verdict = str(data["verdict"])
    steps: list[Mapping[str, Any]] = (data.get("proof") or {}).get("steps", [])
    place = data.get("offender") or {}
    sections = [
        _verdict(data, verdict, place),
        _links(data),
        _modules(steps),
        _graph(steps, place),
        _measured(data.get("measured"), place),
        _bounds(data),
        _theorems(steps, str(place.get("rule", "")) if verdict == "refuted" else ""),
    ]
    body = "".join(f"<section>{text}</section>" for text in sections if text)
    versions = ", ".join(f"{name} {value}" for name, value in data.get("versions", {}).items())
    return (
        "<!doctype html><html lang='en'><head><meta charset='utf-8'>"
        "<meta name='viewport' content='width=device-width, initial-scale=1'>"
        f"<title>gdtriton: {escape(verdict)}</title><style>{STYLE}</style></head>"
        f"<body><main>{body}<p class='soft'>{escape(versions)}</p></main></body></html>"
    )


def _verdict(data: Mapping[str, Any], verdict: str, place: Mapping[str, Any]) -> str:
    name = f"<code>{escape(str(data['target']))}</code>: " if data.get("target") else ""
    claim = data["claim"]
    text = [
        f"<h1>{name}<span class='{escape(verdict)}'>scale {escape(verdict)}</span></h1>"
        if verdict in ("covariant", "invariant")
        else f"<h1>{name}<span class='{escape(verdict)}'>{escape(verdict)}</span></h1>",
        f"<p>{escape(_sentence(data['reason']))}</p>",
    ]
    if place:
        label = "First layer that breaks it" if verdict == "refuted" else "Where the derivation stops"
        text.append(
            f"<p>{label}: <code class='{escape(verdict)}'>{escape(place.get('path') or '(root)')}</code> "
            f"{escape(short_source(place.get('source', '')))}, rule <code>{escape(place.get('rule', ''))}</code>.</p>"
        )
    if verdict == "refuted":
        text.append(f"<p>{escape(_sentence(witness_words(data['witness'])))}</p>")
        text.append(_missed(str(place.get("rule", ""))))
        if data.get("zero_at_these_weights"):
            text.append("<p>At the weights it has now the defect is zero; the architecture is refuted for others.</p>")
    mode = "training" if claim["training"] else "evaluation"
    text.append(
        f"<p class='soft'>Image {escape(str(claim['input_shape']))}, {escape(str(data['canvas']))} canvas, {mode} "
        f"mode; {escape(str(claim['scope']))}.</p>"
    )
    if data.get("boundary") and verdict in ("covariant", "invariant"):
        text.append(f"<p class='soft'>Not part of the claim: {escape(str(data['boundary']))}.</p>")
    return "".join(text)


def _sentence(text: Any) -> str:
    words = str(text)
    return words[:1].upper() + words[1:] + ("" if words.endswith(".") else ".")


def _missed(rule: str) -> str:
    theorem, wrong = report_theorems.missed_by(rule)
    if not theorem:
        return ""
    mistake = f" The theory refutes the same mistake: {escape(library.REFUTATIONS[wrong].mistake)}." if wrong else ""
    return f"<p>What it lacks is the assumption of {report_theorems.link(theorem)}.{mistake}</p>"


def _links(data: Mapping[str, Any]) -> str:
    if not data["links"]:
        return ""
    rows = "".join(
        f"<tr><td>{escape(link['name'])}</td><td class='{escape(link['verdict'])}'>{escape(link['verdict'])}</td>"
        f"<td>{escape(link_words(link))}</td></tr>"
        for link in data["links"]
    )
    return f"<h2>Links</h2><table><tr><th>link</th><th>verdict</th><th>what it says</th></tr>{rows}</table>"


def _modules(steps: Sequence[Mapping[str, Any]]) -> str:
    rows = "".join(
        f"<tr><td><code>{escape(row['path'] or '(root)')}</code></td><td>{escape(', '.join(row['rules']))}</td>"
        f"<td><i>{escape(transformation(row['type']).replace('sigma', 'σ'))}</i></td>"
        f"<td>{escape(scale_channels(row['type']))}</td>"
        f"<td>{'<br>'.join(report_theorems.link(name) for name in row['theorems'])}</td></tr>"
        for row in rows_by_module(list(steps))
    )
    if not rows:
        return ""
    return (
        "<h2>How every module transforms</h2><div class='scroll'><table><tr><th>module</th><th>what it computes</th>"
        "<th>scaled by S (F') and not (F)</th><th>scale channels</th><th>by theorem</th></tr>"
        f"{rows}</table></div>"
    )


def _graph(steps: Sequence[Mapping[str, Any]], place: Mapping[str, Any]) -> str:
    if not steps:
        return ""
    return (
        "<h2>Graph</h2><p class='soft'>Every node with its type; S scale channels, B batch, C feature channels, X "
        "space, R copies. Grey rows move values about. Point at a row for its source line.</p>"
        f"<div class='scroll'>{graph_svg(steps, place)}</div>"
    )


def _measured(measured: Mapping[str, Any] | None, place: Mapping[str, Any]) -> str:
    if measured is None:
        return ""
    if not measured["points"]:
        return f"<h2>Measured on the grid</h2><p>Not measured: {escape(str(measured['reason']))}.</p>"
    layers = list(dict.fromkeys(point["layer"] for point in measured["points"]))
    shown = {name: i for i, name in enumerate(layers[:SHOWN])}

    def series(x: str, y: str, keep: Any, dashed: bool = False) -> list[Series]:
        found = []
        for name, colour in shown.items():
            points = [(p[x], p[y]) for p in measured["points"] if p["layer"] == name and keep(p) and p[y] is not None]
            found.append(Series(points, colour, dashed))
        return found

    factors = {float(p["factor"]) for p in measured["points"]}
    first = {name: min(p["sigma"] for p in measured["points"] if p["layer"] == name) for name in layers}
    double = (lambda p: p["factor"] == 2), "sigma of the layer (pixels), S = 2"
    finest = (lambda p: p["sigma"] == first[p["layer"]]), "scale factor S, finest scale channel"
    plots = (
        (
            "Each layer alone, on the features it meets, and its derived bound (dashed).",
            [s for dashed, y in ((False, "alone"), (True, "bound")) for s in series("sigma", y, double[0], dashed)],
            double[1],
        ),
        (
            "The same against the scale factor.",
            [s for dashed, y in ((False, "alone"), (True, "bound")) for s in series("factor", y, finest[0], dashed)],
            finest[1],
        ),
        (
            "The network up to each layer. A covariant one falls like 1 / sigma^2; so may a wrong one.",
            series("sigma", "network", double[0]),
            double[1],
        ),
    )
    figures = "".join(
        f"<figure>{svg}<figcaption>{escape(caption)}</figcaption></figure>"
        for caption, lines, x_label in plots
        if (svg := log_plot(lines, x_label, "relative defect", sorted(factors) if x_label == finest[1] else None))
    )
    legend = ", ".join(
        f"<span style='color:{COLOURS[i]}'>&#9679;</span> <code>{escape(name)}</code>" for name, i in shown.items()
    )
    ratios = [p["alone"] / p["bound"] for p in measured["points"] if p["bound"]]
    worst = f" Largest defect of a layer alone: {max(ratios):.2f} of its bound." if ratios else ""
    rest = f" (and {len(layers) - SHOWN} more in the JSON)" if len(layers) > SHOWN else ""
    return (
        f"<h2>Measured on the grid</h2><p>An analytic image of Gaussian blobs on {escape(str(measured['shape'][2:]))} "
        "pixels and its copy scaled by S, sampled without interpolation; relative difference at matched points, "
        f"float64. At the largest sigmas the border takes part.{worst}</p>"
        f"<p>{legend}{rest}</p><div class='plots'>{figures}</div>"
    )


def _bounds(data: Mapping[str, Any]) -> str:
    bounds: Mapping[str, float] = next(
        (link["numbers"].get("bound_by_sigma", {}) for link in data["links"] if link["name"] == "operator = theory"), {}
    )
    plot = log_plot([Series([(float(s), b) for s, b in bounds.items()], 0, True)], "sigma (pixels)", "bound")
    if not plot:
        return ""
    return (
        "<h2>Bound of a jet against the continuous one</h2><p class='soft'>For an image of height 1, discretisation, "
        f"truncation and rounding added up.</p><div class='plots'><figure>{plot}</figure></div>"
    )


def _theorems(steps: Sequence[Mapping[str, Any]], rule: str) -> str:
    names = report_theorems.used(steps, rule)
    if not names:
        return ""
    return (
        "<h2>Theorems used</h2><p class='soft'>Proved and re-derived by <code>gdtriton verify theory</code>.</p>"
        + report_theorems.statements(names)
    )
