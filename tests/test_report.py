"""Verdicts in words and pages: every rule has its theorem, every witness its sentence, every link its target."""

import re

import pytest
import torch
from torch import nn

from gdtriton import EachScale, GaussianJetConv2d, ReadOut, ScaleGrid, ScaleLift, ScalePool, ScaleSequential
from gdtriton.verify import certify
from gdtriton.verify.measure import measure
from gdtriton.verify.network import report_theorems, report_words
from gdtriton.verify.network.check import SAME
from gdtriton.verify.network.report import page
from gdtriton.verify.network.report_graph import graph_svg
from gdtriton.verify.network.report_plots import Series, log_plot
from gdtriton.verify.network.report_witness import witness_words
from gdtriton.verify.theory import library

IMAGE = (1, 1, 9, 9)


class Net(nn.Module):
    def __init__(self, middle):
        super().__init__()
        self.lift = ScaleLift(ScaleGrid(0.8, 2.0, 3))
        self.body = ScaleSequential(GaussianJetConv2d(1, 2), middle, GaussianJetConv2d(2, 3, relative_sigma=1.5))
        self.head = nn.Sequential(ReadOut("centre"), ScalePool("max"))

    def forward(self, image):
        return self.head(self.body(*self.lift(image)))


@pytest.fixture(scope="module")
def good():
    torch.manual_seed(0)
    return certify(Net(nn.ReLU()), IMAGE).to_json()


@pytest.fixture(scope="module")
def bad():
    torch.manual_seed(0)
    return certify(Net(EachScale(nn.MaxPool2d(3, 1, 1))), IMAGE).to_json()


def test_every_cited_name_is_in_the_library():
    cited = {name for names in report_theorems.BY_RULE.values() for name in names}
    cited |= {*report_theorems.POOLED.values(), *report_theorems.OVER_SPACE.values()}
    cited |= {theorem for theorem, _ in report_theorems.MISSED.values()}
    assert cited <= set(library.THEOREMS)
    assert {wrong for _, wrong in report_theorems.MISSED.values() if wrong} <= set(library.REFUTATIONS)


def test_every_step_that_computes_cites_a_theorem(good):
    steps = good["proof"]["steps"]
    assert {step["rule"] for step in steps} >= {"jet", "pointwise", "read", "reduce"}
    for step in steps:
        assert bool(report_theorems.theorems_of(step)) == (step["rule"] not in report_theorems.GLUE)


def test_rules_that_only_move_values_keep_the_weight():
    assert report_theorems.GLUE - {"image"} <= SAME


def test_links_lead_to_statements(good):
    names = report_theorems.used(good["proof"]["steps"])
    page = report_theorems.statements(names)
    for name in names:
        target = re.fullmatch(r'<a href="#([a-z0-9-]+)">.*</a>', report_theorems.link(name))
        assert f'id="{target[1]}"' in page
    assert {"scale-covariance", "layer-centre", "channel-max"} <= set(names)
    assert page.count("<math") >= len(names)


def test_rows_follow_the_modules_and_end_where_the_network_ends(good):
    rows = report_words.rows_by_module(good["proof"]["steps"])
    assert [row["path"] for row in rows] == ["body.0", "body.1", "body.2", "head.0", "head.1"]
    assert [report_words.transformation(row["type"]) for row in rows[-3:]] == [
        "F'(S x; S sigma) = F(x; sigma)",
        "F'(S sigma) = F(sigma)",
        "F' = F",
    ]
    assert report_words.scale_channels(rows[0]["type"]) == "3 scale channels"
    assert report_words.scale_channels(rows[-1]["type"]) == "pooled over scale channels"


def test_weight_and_place_are_in_the_formula():
    kind = {"axes": [[["X", 9, 0, "1", "-4"]]], "anchors": [0.0, 1.0], "free": False, "weight": "1/2", "at": [[1, "3"]]}
    assert report_words.transformation(kind) == (
        "F'(S x; S sigma) = S^1/2 F(x; sigma), read 3 px from the centre of axis 1"
    )


def test_grid_map_is_said_where_it_is_not_the_images_own():
    own = {"axes": [[["X", 9, 0, "1", "-4"]]]}
    stride = {"axes": [[["X", 5, 0, "2", "-4"]]]}
    crop = {"axes": [[["X", 7, 1, "1", "-4"]]]}
    assert report_words.grid_map(own) == ""
    assert report_words.grid_map(stride) == "axis 0: every 2 px from -4"
    assert report_words.grid_map(crop) == "axis 1: every 1 px from -4"


def test_refutation_is_told_with_its_numbers(bad):
    words = witness_words(bad["witness"])
    assert words.startswith("On the image f(x) = x the window's maximum")
    assert report_theorems.missed_by(bad["offender"]["rule"]) == ("layer-spatial-maximum", "window-maximum")


@pytest.mark.parametrize(
    ("witness", "text"),
    [
        (
            {"kind": "taps", "taps": [["-1", "1/2"], ["0", "0"], ["1", "1/2"]]},
            "the first is the same, the second 1/4 of",
        ),
        ({"kind": "taps", "taps": [["1", "1"], ["2", "1"]]}, "2 at the centre of the image x^0 and 3 at that of x^1"),
        ({"kind": "read", "position": "3/2"}, "the value read is 3/2"),
        ({"kind": "position", "values": [0.0, 0.25]}, "0 at one point and 0.25 at another"),
        (
            {"kind": "position", "values": [0.0, 0.25], "points": [["1", "0"], ["2", "0"]]},
            "0 at (1, 0) and 0.25 at (2, 0), on one ray",
        ),
        ({"kind": "position-factor", "values": ["1", "2", "1", "3"], "points": []}, "by 2 and 3: by no common power"),
        ({"kind": "scale-weights", "weights": ["1", "1/2"]}, "with the weights 1, 0.5"),
        (
            {"kind": "window-spread", "function": "var", "positions": ["-1", "0", "1"]},
            "The var of the window's samples",
        ),
        ({"kind": "samples", "places": ["0", "1", "3"]}, "Samples at 0, 1, 3"),
        ({"kind": "fixed-sigma", "sigma": "3/2"}, "the fixed sigma 1.5"),
        ({"kind": "random", "values": ["0", "1"]}, "Two runs on one image"),
        ({"kind": "weights", "weights": ["0", "1/2"]}, "one changes by S^0 and the other by S^1/2"),
        ({"kind": "weight", "weight": "-1"}, "change by S^-1"),
        ({"kind": "canvas", "background": "1/2"}, "follow no power of S"),
        ({"kind": "ratio", "logs": [[0.0, 0.5, 1.1]]}, "sigmas 1, 1.64872, 3.00417"),
        ({"kind": "unshared", "channels": [0, 2]}, "Scale channels 0 and 2"),
        ({"kind": "factors", "values": [[1.0, 2.0]]}, "by different numbers"),
    ],
)
def test_every_witness_is_told(witness, text):
    assert text in witness_words(witness)


def test_links_are_told_with_their_numbers(good):
    told = {link["name"]: report_words.link_words(link) for link in good["links"]}
    assert told["leaf = operator"].startswith("2 jet layers")
    assert "discretisation bounds at 6 sigmas" in told["operator = theory"]
    assert "the border adds at most" in told["operator = theory"]
    assert re.match(r"\d+ layers and \d+ nodes, \d+ monomials", told["exact run"])
    failed = {"name": "leaf = operator", "verdict": "failed", "reason": "no", "numbers": {}}
    assert report_words.link_words(failed) == "no"


def test_source_is_short():
    assert report_words.short_source("/a/b/c/net.py:12") == "c/net.py:12"
    assert report_words.short_source("") == ""


@pytest.fixture(scope="module")
def pages(good, bad):
    torch.manual_seed(0)
    measured = measure(Net(nn.ReLU()), IMAGE)
    return {
        "good": page({**good, "target": "net:build", "measured": measured}),
        "bad": page({**bad, "measured": measure(Net(EachScale(nn.MaxPool2d(3, 1, 1))), IMAGE)}),
        "plain": page(good),
    }


def test_pages_are_whole_and_self_contained(pages):
    for text in pages.values():
        assert text.endswith("</html>")
        for tag in ("section", "svg", "table", "g", "figure", "dl"):
            assert text.count(f"<{tag}>") + text.count(f"<{tag} ") == text.count(f"</{tag}>")
        assert "http" not in text.replace("http://www.w3.org/2000/svg", "")
        assert "<script" not in text
        targets = set(re.findall(r'href="#([^"]*)"', text))
        assert targets
        assert targets <= set(re.findall(r'id="([^"]*)"', text))


def test_graph_has_a_row_for_every_node_and_only_the_offender_is_red(pages, good, bad):
    steps = len(good["proof"]["steps"])
    assert pages["good"].count("<g class='node'>") + pages["good"].count("<g class='glue'>") == steps
    assert "<g class='bad'>" not in pages["good"]
    assert pages["bad"].count("<g class='bad'>") == 1
    row = re.search(r"<g class='bad'>.*?</g>", pages["bad"])[0]
    assert "body.1.module" in row
    assert "max_pool2d" in row
    assert pages["bad"].count("F&#x27;(S x; S \u03c3) = F(x; \u03c3)") > 3


def test_skip_connections_are_arcs():
    step = {"op": "aten.relu", "path": "a", "source": "", "rule": "pointwise", "data": {}}
    step["type"] = {"axes": [[["X", 9, 0, "1", "-4"]]], "anchors": [None], "free": False, "weight": "0", "at": []}
    steps = [
        {**step, "node": name, "from": operands} for name, operands in (("a", []), ("b", ["a"]), ("c", ["a", "b"]))
    ]
    assert graph_svg(steps, {}).count("class='arc'") == 1


def test_page_says_what_was_found(pages):
    assert "<code>net:build</code>: <span class='invariant'>scale invariant</span>" in pages["good"]
    assert "Largest defect of a layer alone: 0." in pages["good"]
    assert "<span class='refuted'>refuted</span>" in pages["bad"]
    assert "First layer that breaks it: <code class='refuted'>body.1.module</code>" in pages["bad"]
    assert "Measured on the grid" not in pages["plain"]


def test_words_of_a_network_are_escaped(good):
    assert "<script>" not in page({**good, "target": "<script>", "reason": "<script>"})


def test_unknown_and_unmeasured_have_a_page_too():
    class Sorted(nn.Module):
        def forward(self, x):
            return x.sort(-1).values

    found = certify(Sorted(), IMAGE)
    text = page({**found.to_json(), "measured": measure(nn.ReLU(), IMAGE)})
    assert "<span class='unknown'>unknown</span>" in text
    assert "Not measured: ValueError: measure: module must contain a ScaleLift" in text


def test_measured_points_are_those_of_the_layers():
    torch.manual_seed(0)
    found = measure(Net(nn.ReLU()), (1, 1, 34, 99))
    assert found["shape"] == [1, 1, 33, 41]
    double = [p for p in found["points"] if p["factor"] == 2]
    sigmas = [0.8, 1.6, 3.2]
    assert [(p["layer"], p["sigma"]) for p in double] == [
        *(("body.0", s) for s in sigmas),
        *(("body.2", pytest.approx(1.5 * s)) for s in sigmas),
    ]
    assert {p["factor"] for p in found["points"]} == {2, 3, 4}
    assert all(0 < p["alone"] <= p["bound"] for p in found["points"])
    falling = [p["network"] for p in double if p["layer"] == "body.0"]
    assert falling[0] > falling[1] > falling[2]


def test_network_that_fails_on_another_image_is_not_measured():
    class Fails(Net):
        def forward(self, image):
            raise MemoryError

    assert measure(Fails(nn.ReLU()), IMAGE) == {"shape": list(IMAGE), "points": [], "reason": "MemoryError"}


def test_plot_puts_points_where_they_belong():
    """Powers of ten apart are equally far apart; what is not positive is left out."""
    text = log_plot([Series([(1, 1e-1), (2, 1e-2), (4, 1e-3), (8, 0.0)], 0)], "x", "y")
    places = [(float(x), float(y)) for x, y in re.findall(r"cx='([\d.]+)' cy='([\d.]+)'", text)]
    assert len(places) == 3
    (x0, y0), (x1, y1), (x2, y2) = places
    assert x1 - x0 == pytest.approx(x2 - x1, abs=0.11)
    assert y1 - y0 == pytest.approx(y2 - y1, abs=0.11)
    assert y1 > y0
    assert log_plot([Series([(1, 0.0)], 0)], "x", "y") == ""
