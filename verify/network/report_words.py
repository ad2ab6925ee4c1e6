"""A verdict's parts in words: the type of a value, a link, a source line, the rows of a derivation by module."""

import math
from collections.abc import Mapping
from fractions import Fraction
from pathlib import PurePath
from typing import Any

from .report_theorems import GLUE, theorems_of


def transformation(kind: Mapping[str, Any]) -> str:
    """How a value changes when the image is scaled by S, as a formula: F' is that of the scaled image."""
    atoms = {atom[0] for axis in kind["axes"] for atom in axis}
    scales = any(a is not None for a in kind["anchors"]) and not kind["free"]
    names = [("S x", "x")] if "X" in atoms else []
    names += [("S sigma", "sigma")] if scales else []
    before, after = (f"({'; '.join(pair[i] for pair in names)})" if names else "" for i in (0, 1))
    weight = Fraction(kind["weight"])
    factor = f"S^{weight} " if weight else ""
    text = f"F'{before} = {factor}F{after}"
    if kind["at"]:
        text += ", read " + ", ".join(f"{position} px from the centre of axis {axis}" for axis, position in kind["at"])
    return text


def scale_channels(kind: Mapping[str, Any]) -> str:
    """The sigmas that a value keeps apart."""
    sigmas = [math.exp(a) for a in kind["anchors"] if a is not None]
    if kind["free"]:
        return "pooled over scale channels"
    if not sigmas:
        return "no sigma yet"
    return f"{len(sigmas)} scale channels" if len(sigmas) > 1 else f"sigma {sigmas[0]:.3g}"


def shape(kind: Mapping[str, Any]) -> str:
    """Axes of a value, "S7 B1 C12 95x95"; what is flattened together is joined by a dot."""
    axes = [".".join(f"{atom[0]}{atom[1]}" for atom in axis) or "1" for axis in kind["axes"]]
    return " ".join(axes)


def grid_map(kind: Mapping[str, Any]) -> str:
    """Spacing and offset of the samples per spatial axis where they are not the image's own pixels, else ""."""
    maps = []
    for axis in kind["axes"]:
        for atom in axis:
            if atom[0] == "X" and (atom[3] != "1" or Fraction(atom[4]) != Fraction(1 - atom[1], 2)):
                maps.append(f"axis {atom[2]}: every {atom[3]} px from {atom[4]}")
    return ", ".join(maps)


def short_source(source: str) -> str:
    """The last folder, the file and the line of "path/to/file.py:12"."""
    path, _, line = source.rpartition(":")
    return f"{'/'.join(PurePath(path).parts[-2:])}:{line}" if path else source


def rows_by_module(steps: list[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """One row a module in order of execution: path, rules, theorems, the type it leaves.

    Steps that only move values about are left out unless nothing else happens in the module.
    """
    rows: list[dict[str, Any]] = []
    for step in steps:
        if step["rule"] in GLUE:
            if rows and rows[-1]["path"] == step["path"]:
                rows[-1]["type"] = step["type"]
            continue
        if not rows or rows[-1]["path"] != step["path"]:
            rows.append({"path": step["path"], "rules": [], "theorems": [], "type": step["type"]})
        own = rows[-1]
        own["type"] = step["type"]
        own["rules"] += [r for r in [_rule(step)] if r not in own["rules"]]
        own["theorems"] += [t for t in theorems_of(step) if t not in own["theorems"]]
    return rows


def _rule(step: Mapping[str, Any]) -> str:
    function = step["data"].get("function")
    name = step["op"].rpartition(".")[2]
    if "batch_norm" in name:
        return "batch norm"
    if step["rule"] == "jet":
        return f"jet, orders {min(step['data']['orders'])} to {max(step['data']['orders'])}"
    if step["rule"] == "reduce":
        return f"{function} over scale channels" if step["type"]["free"] else f"{function}"
    if step["rule"] == "read":
        return "read at the centre"
    return str(name)


def link_words(link: Mapping[str, Any]) -> str:
    """What one of the four links found, with its numbers."""
    name, numbers = link["name"], link["numbers"]
    if link["verdict"] in ("failed", "not decided"):
        return str(link["reason"])
    if name == "leaf = operator":
        return (
            f"{numbers['layers']} jet layers, called as the network calls them, are the exact operators: error "
            f"{numbers['error_over_bound']:.2g} of the rounding bound; the graph that is judged computes what the "
            "network computes"
        )
    if name == "operator = theory":
        count = len(numbers["bound_by_sigma"])
        found = (
            f"discretisation bounds at {count} sigmas, {min(numbers['bound_by_sigma'].values()):.2g} to "
            f"{numbers['largest_bound']:.2g} for an image of height 1; measured at most "
            f"{numbers['measured_over_bound']:.2f} of the bound"
            if count
            else "no jet layer with a tabulated bound"
        )
        if numbers.get("border_at_centre"):
            found += f"; the border adds at most {numbers['border_at_centre']:.2g} at the middle pixel"
        return f"{found}; {numbers['without_bound']} layers without a bound" if numbers["without_bound"] else found
    if name == "network":
        return f"derivation over {numbers['nodes']} nodes of the graph in {numbers['seconds']:.2g} s"
    nodes = f" and {numbers['nodes']} nodes" if numbers.get("nodes") else ""
    counted = f"{numbers['layers']} layers{nodes}, {numbers['monomials']} monomials in rational arithmetic"
    return f"{counted}; {link.get('reason', '')}"
