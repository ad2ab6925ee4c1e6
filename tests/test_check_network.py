import copy
import json

import pytest
from torch import nn

from gdtriton import EachScale, GaussianJetConv2d, ReadOut, ScaleGrid, ScaleLift, ScalePool, ScaleSequential
from gdtriton.verify import ProofError, certify, check_proof


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


ALTERATIONS = {
    "weight": lambda d: step(d, "pointwise")["type"].update(weight="1"),
    "power": lambda d: step(d, "jet")["data"].update(power="1/2"),
    "sigma": lambda d: step(d, "jet")["data"]["logs"][1][0].__setitem__(0, 0.3),
    "drawn sigma": lambda d: step(d, "jet")["data"]["logs"][1][0].__setitem__(2, 0.3),
    "anchor": lambda d: step(d, "jet")["type"]["anchors"].__setitem__(2, 9.0),
    "index": lambda d: step(d, "read")["data"].update(index=5),
    "dropped step": lambda d: drop(d, "jet"),
    "unknown rule": lambda d: step(d, "jet").update(rule="magic"),
    "free": lambda d: step(d, "jet")["type"].update(free=True),
    "scale axis": lambda d: d["proof"].update(outputs=[step(d, "jet")["node"]]),
    "output": lambda d: d["proof"].update(outputs=["nothing"]),
    "verdict": lambda d: d.update(verdict="unknown"),
}


@pytest.mark.parametrize("name", ALTERATIONS)
def test_altered_derivation_is_rejected(proof, name):
    altered = copy.deepcopy(proof)
    ALTERATIONS[name](altered)
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
