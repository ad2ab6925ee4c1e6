import copy
import json
import math

import pytest
from torch import nn

from gdtriton import EachScale, GaussianJetConv2d, ReadOut, ScaleGrid, ScaleLift, ScalePool, ScaleSequential
from gdtriton.verify import ProofError, certify, check_proof
from gdtriton.verify.network.check import graph_digest


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.lift = ScaleLift(ScaleGrid(0.8, 2**0.5, 3))
        self.body = ScaleSequential(
            GaussianJetConv2d(1, 2),
            EachScale(nn.BatchNorm2d(2)),
            nn.ReLU(),
            GaussianJetConv2d(2, 3, relative_sigma=1.5),
        )
        self.head = nn.Sequential(ReadOut("centre"), ScalePool("mean"))

    def forward(self, image):
        return self.head(self.body(*self.lift(image)))


@pytest.fixture(scope="module")
def proof():
    return certify(Net(), (1, 1, 9, 9)).to_json()


def step(data, rule):
    return next(s for s in data["proof"]["steps"] if s["rule"] == rule)


def test_derivation_is_accepted(proof):
    report = check_proof(json.dumps(proof))
    assert report.proved == ("invariant",)
    assert report.obligations == len(proof["proof"]["steps"])


def test_right_networks_of_even_size_and_refutations_are_accepted():
    check_proof(certify(Net(), (1, 1, 8, 10)).to_json())
    assert check_proof(certify(nn.Conv2d(1, 1, 3), (1, 1, 9, 9)).to_json()).refuted == ("fixed-window",)


def drop(data, rule):
    data["proof"]["steps"].remove(step(data, rule))


def graph(data, change):
    """Alter the graph as well, and its digest with it."""
    nodes = data["proof"]["graph"]["nodes"]
    change(nodes)
    data["proof"]["graph"]["sha256"] = graph_digest(nodes)


def drop_everywhere(data, rule):
    """A step, its operator, and every mention of it: its operand takes its place."""
    gone = step(data, rule)
    data["proof"]["steps"].remove(gone)
    swap = {gone["node"]: gone["from"][0]}
    for s in data["proof"]["steps"]:
        s["from"] = [swap.get(n, n) for n in s["from"]]

    def change(nodes):
        nodes[:] = [n for n in nodes if n["name"] != gone["node"]]
        for n in nodes:
            n["operands"] = sorted({swap.get(o, o) for o in n["operands"]})

    graph(data, change)


def swap_steps(data, rule):
    steps = data["proof"]["steps"]
    k = steps.index(step(data, rule))
    steps[k], steps[k + 1] = steps[k + 1], steps[k]


def jets(data):
    return [s for s in data["proof"]["steps"] if s["rule"] == "jet"]


def detune(data, channel, draw, factor):
    """Another sigma in one scale channel of the second layer."""
    jets(data)[1]["data"]["logs"][channel][0][draw] += math.log(factor)


def every(data, rule, change):
    for s in data["proof"]["steps"]:
        if s["rule"] == rule:
            change(s)


def mend(data, change):
    """Alter the types of all later values as well, so that the lie is consistent."""
    for s in data["proof"]["steps"]:
        if s["rule"] != "image":
            change(s["type"])


def called(data, old, new):
    """Rename a kind of axis in every type."""
    for s in data["proof"]["steps"]:
        for axis in s["type"]["axes"]:
            for atom in axis:
                atom[0] = new if atom[0] == old else atom[0]


def shifted(data, offset):
    """A grid map that changes in a sum and stays so: what is read off the centre then looks centred."""
    place = next(i for i, s in enumerate(data["proof"]["steps"]) if s["rule"] == "read")
    for s in data["proof"]["steps"][place:]:
        for axis in s["type"]["axes"]:
            for atom in axis:
                if atom[0] == "X":
                    atom[4] = offset


def infinite(data):
    """Comparisons with NaN, and with the difference of two infinities, are never true."""
    for s in data["proof"]["steps"]:
        s["type"]["anchors"] = [a if a is None else math.inf for a in s["type"]["anchors"]]
        if s["rule"] == "jet":
            s["data"]["logs"] = [[[math.inf, *row[1:]] for row in rows] for rows in s["data"]["logs"]]


ALTERATIONS = {
    "weight": lambda d: step(d, "pointwise")["type"].update(weight="1"),
    "weight everywhere": lambda d: mend(d, lambda t: t.update(weight="1")),
    "power": lambda d: step(d, "jet")["data"].update(power="1/2"),
    "sigma": lambda d: step(d, "jet")["data"]["logs"][1][0].__setitem__(0, 0.3),
    "sigma 0.1 % off in one scale channel": lambda d: detune(d, 1, 0, 1.001),
    "drawn sigma": lambda d: detune(d, 2, 1, 1.001),
    "sigma and type": lambda d: (detune(d, 2, 0, 1.2), jets(d)[1]["type"]["anchors"].__setitem__(2, 9.0)),
    "anchor": lambda d: step(d, "jet")["type"]["anchors"].__setitem__(2, 9.0),
    "all anchors": lambda d: mend(d, lambda t: t.update(anchors=[a and 2 * a for a in t["anchors"]])),
    "index": lambda d: step(d, "read")["data"].update(index=5),
    "index in the graph": lambda d: graph(d, lambda nodes: nodes.pop()),
    "dropped step": lambda d: drop(d, "jet"),
    "dropped step and operator": lambda d: drop_everywhere(d, "jet"),
    "dropped pooling": lambda d: drop(d, "reduce"),
    "dropped read-out": lambda d: drop_everywhere(d, "read"),
    "swapped steps": lambda d: swap_steps(d, "pointwise"),
    "swapped reshapes": lambda d: swap_steps(d, "reshape"),
    "unknown rule": lambda d: step(d, "jet").update(rule="magic"),
    "changed rule": lambda d: step(d, "jet").update(rule="identity"),
    "pooling read as a sum": lambda d: step(d, "reduce").update(rule="same-weight"),
    "other rule of the operator": lambda d: step(d, "product").update(rule="factor"),
    "no data": lambda d: step(d, "jet").update(data={}),
    "no type": lambda d: step(d, "jet").update(type=None),
    "operator": lambda d: step(d, "pointwise").update(op="aten.max_pool2d"),
    "operand": lambda d: jets(d)[1].update({"from": jets(d)[0]["from"]}),
    "no operand": lambda d: jets(d)[1].update({"from": []}),
    "free": lambda d: step(d, "jet")["type"].update(free=True),
    "free everywhere": lambda d: mend(d, lambda t: t.update(free=True)),
    "black": lambda d: jets(d)[0]["type"].update(black=True),
    "window": lambda d: step(d, "reduce")["type"].update(window=[-9.0, 9.0]),
    "no window": lambda d: step(d, "reduce")["type"].update(window=None),
    "space lost": lambda d: step(d, "pointwise")["type"]["axes"].__setitem__(2, []),
    "grid map": lambda d: step(d, "pointwise")["type"]["axes"][2][0].__setitem__(4, "0"),
    "scale channels as features": lambda d: step(d, "pointwise")["type"]["axes"][0][0].__setitem__(0, "C"),
    "one scale channel": lambda d: step(d, "pointwise")["type"].update(anchors=[0.0]),
    "other constants in one scale channel": lambda d: step(d, "pointwise")["data"].update(constants=[1, 2, 3]),
    "degree": lambda d: step(d, "pointwise")["data"].update(degree="3"),
    "bias": lambda d: jets(d)[0]["data"].update(bias=False, power="1/2", orders=[1]),
    "orders": lambda d: every(d, "jet", lambda s: s["data"].update(power="0")),
    "scale axis": lambda d: d["proof"].update(outputs=[step(d, "jet")["node"]]),
    "output": lambda d: d["proof"].update(outputs=["nothing"]),
    "graph": lambda d: d["proof"]["graph"]["nodes"][-1].update(op="aten.amax"),
    "verdict": lambda d: d.update(verdict="unknown"),
    "canvas of the claim": lambda d: d["claim"].update(canvas="scales"),
    "canvas": lambda d: d.update(canvas="scales"),
    "canvas that is none": lambda d: [x.update(canvas="none") for x in (d, d["claim"], d["proof"])],
    "image shape of the claim": lambda d: d["claim"].update(input_shape=[1, 1, 65, 65]),
    "image shape everywhere": lambda d: [x.update(input_shape=[1, 1, 11, 9]) for x in (d["claim"], d["proof"])],
    "scope": lambda d: d["claim"].update(scope="all scale factors"),
    "failed link": lambda d: d["links"][0].update(verdict="failed"),
    "no link": lambda d: d["links"].pop(),
    "space called features": lambda d: called(d, "X", "C"),
    "space of an unknown kind": lambda d: called(d, "X", "Q"),
    "features of an unknown kind": lambda d: called(d, "C", "Q"),
    "image that is off the centre": lambda d: step(d, "image")["type"]["axes"][2][0].__setitem__(4, "0"),
    "grid map after a read-out": lambda d: step(d, "read")["type"]["axes"][3][0].__setitem__(4, "0"),
    "grid maps before a read-out": lambda d: shifted(d, "1"),
    "space lost in a read-out": lambda d: step(d, "read")["type"]["axes"].__setitem__(3, []),
    "infinite sigmas": lambda d: infinite(d),
    "refuted": lambda d: d.update(verdict="refuted"),
}


@pytest.mark.parametrize("name", ALTERATIONS)
def test_altered_derivation_is_rejected(proof, name):
    altered = copy.deepcopy(proof)
    ALTERATIONS[name](altered)
    assert altered != proof
    with pytest.raises(ProofError):
        check_proof(altered)


def test_covariant_is_not_invariant():
    class Fields(Net):
        def forward(self, image):
            return self.body(*self.lift(image))

    data = certify(Fields(), (1, 1, 9, 9)).to_json()
    check_proof(data)
    data["verdict"] = "invariant"
    with pytest.raises(ProofError, match="the link 'network' says 'covariant'"):
        check_proof(data)
    data["links"][2]["verdict"] = "invariant"
    with pytest.raises(ProofError, match="covariant, not invariant"):
        check_proof(data)


def test_a_crop_keeps_the_samples_that_the_graph_says():
    class Crop(Net):
        def forward(self, image):
            features, sigmas = self.lift(image)
            return self.head(self.body(features, sigmas)[..., 1:-1, 1:-1])

    data = json.loads(json.dumps(certify(Crop(), (1, 1, 9, 9)).to_json()))
    check_proof(data)

    def move(nodes):
        for node in nodes:
            node["static"] = node["static"].replace("1, -1]", "2, 9]")

    graph(data, move)
    with pytest.raises(ProofError, match="does not keep the samples"):
        check_proof(data)
    graph(data, lambda nodes: [node.update(static="((") for node in nodes if node["op"] == "aten.slice"])
    with pytest.raises(ProofError, match="malformed"):
        check_proof(data)


def test_an_argmax_over_scale_channels_is_not_called_a_value():
    class Index(Net):
        def forward(self, image):
            return ReadOut("centre")(self.body(*self.lift(image))).max(0).indices

    data = certify(Index(), (1, 1, 9, 9)).to_json()
    assert data["verdict"] == "covariant"
    check_proof(data)
    for s in data["proof"]["steps"]:
        s["type"]["index"] = False
    data["verdict"] = data["links"][2]["verdict"] = "invariant"
    with pytest.raises(ProofError, match="an index of a scale channel"):
        check_proof(data)


@pytest.mark.parametrize("number", ["1e999", "-1e999", "NaN"])
def test_numbers_that_are_none_are_rejected_in_a_file(proof, number):
    text = json.dumps(proof).replace("0.12343003896576309", number)
    assert number in text
    with pytest.raises(ProofError, match="is not a number"):
        check_proof(text)


def test_a_witness_must_belong_to_its_rule():
    data = certify(nn.MaxPool2d(3, 1, 1), (1, 1, 9, 9)).to_json()
    data["offender"]["rule"] = "unshared"
    with pytest.raises(ProofError, match="does not refute by rule"):
        check_proof(data)


def every_single_field(steps):
    """Changes of one leaf of the derivation's types, by path."""
    for i, s in enumerate(steps):
        for key, value in s["type"].items():
            if key in ("weight", "at", "free", "anchors", "window"):
                yield i, key, value


def test_every_type_is_derived_again(proof):
    """No weight, read, sigma or pooling of any value can be altered alone."""
    for i, key, value in every_single_field(proof["proof"]["steps"]):
        altered = copy.deepcopy(proof)
        kind = altered["proof"]["steps"][i]["type"]
        kind[key] = {
            "weight": "7/2",
            "at": [[0, "1"]],
            "free": True,
            "anchors": [(a or 0.0) + 0.25 * k for k, a in enumerate(value)] if key == "anchors" else None,
            "window": [-5.0, 5.0],
        }[key]
        if kind[key] == value or (key == "anchors" and len(value) == 1):
            continue
        with pytest.raises(ProofError):
            check_proof(altered)


def test_refutation_without_a_witness_is_rejected():
    data = certify(nn.MaxPool2d(3, 1, 1), (1, 1, 9, 9)).to_json()
    check_proof(data)
    data["witness"] = {"kind": "taps", "taps": [["0", "1"]]}
    with pytest.raises(ProofError, match="witness"):
        check_proof(data)


def test_checker_imports_neither_torch_nor_sympy():
    import subprocess
    import sys

    code = "import sys, gdtriton.verify.network.check; sys.exit(bool({'torch', 'sympy'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
