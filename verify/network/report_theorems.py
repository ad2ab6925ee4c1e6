"""Which theorem a step of a derivation rests on, which one a refuted layer misses, and their statements as HTML."""

from collections.abc import Iterable, Mapping
from html import escape
from typing import Any

from ..theory import library
from ..theory.render import relation_mathml
from ..theory.terms import parse_relation

GLUE = frozenset({"image", "identity", "expand", "reshape", "permute", "channel", "channels", "part", "flip"})
"""Rules that move values about and need no theorem."""
BY_RULE = {
    "product": ("layer-product",),
    "same-weight": ("layer-mix",),
    "mix": ("layer-mix",),
    "join": ("layer-mix",),
    "factor": ("layer-homogeneous",),
    "read": ("layer-centre",),
    "regrid": ("layer-spatial-maximum",),
    "pick-scales": ("layer-scale-shift",),
}
POOLED = {"max": "channel-max", "mean": "channel-mean", "logsumexp": "channel-logsumexp"}
OVER_SPACE = {"max": "layer-spatial-maximum", "min": "layer-spatial-maximum", "sum": "layer-integral"}
MISSED: dict[str, tuple[str, str]] = {
    "window-pooling": ("layer-spatial-maximum", "window-maximum"),
    "fixed-window": ("layer-jet", "fixed-convolution"),
    "off-centre": ("layer-centre", "off-centre-readout"),
    "mixed-orders": ("layer-mix", "half-normalised-derivative"),
    "fixed-sigma": ("layer-jet", "fixed-sigma"),
    "bias": ("layer-bias", "bias-on-weight-one"),
    "weight": ("layer-pointwise", "square-keeps-weight"),
    "canvas-mean": ("layer-mean", ""),
    "canvas-norm": ("layer-mean", ""),
    "unequal-ratio": ("layer-pool-over-scales", ""),
    "unshared": ("layer-pool-over-scales", ""),
    "unequal-grids": ("layer-mix", ""),
    "batch-statistics": ("layer-batch-norm", ""),
}
"""Per rule that refutes: the theorem whose assumption fails, and the wrong statement that the layer would need."""


def theorems_of(step: Mapping[str, Any]) -> tuple[str, ...]:
    """Ids of the theorems that one step of a derivation rests on; empty for a rearrangement of values."""
    rule, data = step["rule"], step["data"]
    if rule == "jet":
        return ("scale-covariance", "layer-jet", "layer-mix") + (("layer-bias",) if data["bias"] else ())
    if rule == "pointwise":
        if "batch_norm" in step["op"]:
            return ("layer-batch-norm",)
        return ("layer-homogeneous",) if data["degree"] == "1" else ("layer-pointwise",)
    if rule == "reduce":
        if step["type"]["free"]:
            own = POOLED.get(data["function"])
            return ("layer-pool-over-scales", "channel-shift") + ((own,) if own else ())
        if data["function"] == "mean" and data["canvas"] == "scales":
            return ("layer-mean",)
        return (OVER_SPACE.get(data["function"], "layer-spatial-maximum"),)
    return BY_RULE.get(rule, ())


def missed_by(rule: str) -> tuple[str, str]:
    """(theorem whose assumption the rule that refutes says is broken, id of the wrong statement), "" for none."""
    return MISSED.get(rule, ("", ""))


def used(steps: Iterable[Mapping[str, Any]], rule: str = "") -> list[str]:
    """Ids of every theorem that the steps cite, and of the one that a refuting rule misses, in the library's order."""
    found = {name for step in steps for name in theorems_of(step)} | {missed_by(rule)[0]}
    return [name for name in library.THEOREMS if name in found]


def link(theorem_id: str) -> str:
    """A link to the theorem's statement in the same page, see `statements`."""
    title = library.THEOREMS[theorem_id].title
    return f'<a href="#theorem-{escape(theorem_id)}">{escape(title)}</a>'


def statements(ids: Iterable[str]) -> str:
    """Definition list of theorems: title, words, claim, source; every entry carries the id that `link` names."""
    entries = []
    for name in ids:
        theorem = library.THEOREMS[name]
        claims = "".join(relation_mathml(parse_relation(claim)) for claim in theorem.statement.claims)
        entries.append(
            f'<dt id="theorem-{escape(name)}"><b>{escape(theorem.title)}</b> <code>{escape(name)}</code></dt>'
            f"<dd><p>{escape(theorem.words)}</p>{claims}<p class='source'>{escape(theorem.source)}</p></dd>"
        )
    return f"<dl class='theorems'>{''.join(entries)}</dl>" if entries else ""
