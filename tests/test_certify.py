import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from gdtriton import EachScale, GaussianJetConv2d, ReadOut, ScaleGrid, ScaleLift, ScalePool, ScaleSequential
from gdtriton.cli import main
from gdtriton.verify import NotCertified, certify
from gdtriton.verify.network.domain import Terms
from gdtriton.verify.network.graph import read_graph
from gdtriton.verify.network.lower import Interpreter
from gdtriton.verify.network.witness import defect

IMAGE = (1, 1, 9, 9)


class Net(nn.Module):
    def __init__(self, activation=None, n_scales=3):
        super().__init__()
        self.lift = ScaleLift(ScaleGrid(0.8, 2**0.5, n_scales))
        self.body = ScaleSequential(
            GaussianJetConv2d(1, 2),
            EachScale(nn.BatchNorm2d(2)),
            activation or nn.ReLU(),
            GaussianJetConv2d(2, 3, relative_sigma=1.5),
        )
        self.head = nn.Sequential(ReadOut("centre"), ScalePool("max"))

    def forward(self, image):
        return self.head(self.body(*self.lift(image)))


def broken():
    return Net(EachScale(nn.MaxPool2d(3, 1, 1)))


def test_certify_leaves_the_module_and_the_random_state_alone():
    net = Net().train()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    state = torch.random.get_rng_state()
    assert certify(net, IMAGE).verdict == "invariant"
    assert torch.equal(state, torch.random.get_rng_state())
    assert net.training
    assert all(m.training for m in net.modules())
    assert all(torch.equal(before[name], value) for name, value in net.state_dict().items())


def test_certificate_is_true_and_has_four_links():
    found = certify(Net(), IMAGE)
    assert found
    assert found.require("invariant") is found
    assert found.require("covariant") is found
    data = json.loads(json.dumps(found.to_json()))
    assert [link["name"] for link in data["links"]] == ["leaf = operator", "operator = theory", "network", "exact run"]
    assert all(link["verdict"] in ("holds", "invariant") for link in data["links"])
    assert set(data) >= {
        "claim",
        "verdict",
        "canvas",
        "offender",
        "reason",
        "links",
        "boundary",
        "proof",
        "versions",
    }


def test_convolution_without_its_defaults_is_read():
    assert certify(Net(EachScale(nn.Conv2d(2, 2, 1, bias=False))), IMAGE).verdict == "invariant"


def test_refutation_names_the_layer_and_its_witness_runs_again():
    found = certify(broken(), IMAGE)
    assert not found
    assert (found.verdict, found.offender) == ("refuted", "body.2.module")
    data = json.loads(json.dumps(found.to_json()))
    assert data["offender"]["rule"] == "window-pooling"
    assert Path(data["offender"]["source"].rpartition(":")[0]).name == Path(__file__).name
    assert defect(data["witness"]) != 0
    with pytest.raises(NotCertified, match=r"invariant was required, the verdict is refuted: in body\.2\.module"):
        found.require("invariant")


def test_a_witness_that_does_not_differ_refutes_nothing():
    assert defect({"kind": "taps", "taps": [["0", "3/4"]]}) == 0
    assert defect({"kind": "taps", "taps": [["-1", "1/3"], ["0", "1/3"], ["1", "1/3"]]}) != 0
    assert defect({"kind": "ratio", "logs": [[0.0, 0.5, 1.0]]}) == 0
    assert defect({"kind": "ratio", "logs": [[0.0, 0.5, 1.001]]}) != 0


def test_one_scale_channel_is_unknown_and_training_is_judged_when_asked():
    assert certify(Net(n_scales=1), IMAGE).verdict == "unknown"
    found = certify(Net(), IMAGE, training=True)
    assert (found.verdict, found.to_json()["offender"]["rule"]) == ("refuted", "batch-statistics")


def test_untraceable_module_is_unknown_with_the_tracers_message():
    class Branch(Net):
        def forward(self, image):
            out = super().forward(image)
            return out if out.sum() > 0 else -out

    found = certify(Branch(), IMAGE)
    assert found.verdict == "unknown"
    assert "torch.export" in found.reason
    assert "torch.fx" in found.reason


def test_failed_leaf_withholds_the_certificate(monkeypatch):
    from gdtriton import reference
    from gdtriton.verify.network import links

    true = reference.jet_conv

    def off(features, weight, sigma, bias, **options):
        return true(features, weight, sigma * 1.001, bias, **options)

    monkeypatch.setattr(links.reference, "jet_conv", off)
    found = certify(Net(), IMAGE)
    assert found.verdict == "unknown"
    assert found.to_json()["links"][0]["verdict"] == "failed"


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        ((torch.relu, IMAGE), TypeError, "module must be a torch.nn.Module"),
        ((nn.ReLU(), (1, 9)), ValueError, "input_shape must be"),
    ],
)
def test_wrong_arguments_raise(arguments, error, text):
    with pytest.raises(error, match=text):
        certify(*arguments)


def test_equal_logarithms_are_equal_up_to_rounding_only():
    terms = Terms()
    assert terms.snap((1.0,)) is terms.snap((1.0 + 1e-9,))
    assert terms.snap((1.0,)) is not terms.snap((1.0 + 1e-5,))


@pytest.mark.slow
def test_derivation_of_a_thousand_nodes_takes_less_than_two_seconds():
    import time

    class Deep(nn.Module):
        def __init__(self):
            super().__init__()
            self.lift = ScaleLift(ScaleGrid(0.8, 2**0.5, 8))
            self.jet = GaussianJetConv2d(1, 2)

        def forward(self, image):
            features, sigmas = self.lift(image)
            features = self.jet(features, sigmas)
            for _ in range(500):
                features = torch.relu(features) + features
            return features.amax((0, 3, 4))

    net = Deep().eval()
    graph = read_graph(net, IMAGE, torch.float32)
    assert len(graph.nodes) > 1000
    start = time.process_time()
    (kind,) = Interpreter(graph, net, "fixed", IMAGE).run()
    assert time.process_time() - start < 2
    assert kind.free


def test_command_line_status_json_and_html(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "gd_cli_net.py").write_text(
        "import torch\nfrom gdtriton import *\n"
        "class Net(torch.nn.Module):\n"
        "    def __init__(self):\n"
        "        super().__init__()\n"
        "        self.lift, self.jet = ScaleLift(ScaleGrid(0.8, 2.0, 2)), GaussianJetConv2d(1, 2)\n"
        "    def forward(self, image):\n"
        "        return torch.relu(self.jet(*self.lift(image))).amax((0, 3, 4))\n"
        "def bad():\n    return torch.nn.Conv2d(1, 1, 3)\n"
        "def fields():\n    n = Net()\n    n.forward = lambda image: n.jet(*n.lift(image))\n    return n\n"
        "def boom():\n    raise RuntimeError('no')\n"
    )
    base = ["verify", "model"]
    shape = ["--input-shape", "1,1,9,9"]
    files = ["--json", "out.json", "--html", "out.html"]
    assert main([*base, "gd_cli_net:Net", *shape, "--expect", "invariant", *files]) == 0
    assert json.loads((tmp_path / "out.json").read_text())["verdict"] == "invariant"
    assert "<svg" in (tmp_path / "out.html").read_text()
    assert main([*base, "gd_cli_net:bad", *shape, *files]) == 1
    assert "fixed-window" in (tmp_path / "out.html").read_text()
    assert main([*base, "gd_cli_net:fields", *shape, "--expect", "invariant"]) == 1
    assert main([*base, "gd_cli_net:fields", *shape, "--expect", "covariant"]) == 0
    assert main([*base, "gd_cli_net:boom", *shape]) == 2
    assert "rule fixed-window" in capsys.readouterr().out


PLUGIN_TEST = """
from gdtriton import *
from gdtriton.verify import certify
import torch

class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.lift, self.jet = ScaleLift(ScaleGrid(0.8, 2.0, 2)), GaussianJetConv2d(1, 2)
    def forward(self, image):
        return torch.relu(self.jet(*self.lift(image))).amax((0, 3, 4))

def test_net():
    certify(Net(), (1, 1, 9, 9)).require("invariant")
"""


@pytest.mark.slow
def test_plugin_reports_and_imports_no_torch(tmp_path):
    light = "import sys, gdtriton.verify.pytest_plugin; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", light], check=False).returncode == 0
    (tmp_path / "test_net.py").write_text(PLUGIN_TEST)
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "gdtriton.verify.pytest_plugin",
        "--gd-report",
        "report",
        "--gd-seed",
        "7",
        "--rootdir",
        str(tmp_path),
        str(tmp_path),
    ]
    import gdtriton

    root = str(Path(gdtriton.__file__).parents[1])
    result = subprocess.run(
        command,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        env={"PYTHONPATH": root, "PATH": "/usr/bin:/bin", "OMP_NUM_THREADS": "1"},
    )
    assert result.returncode == 0, result.stdout + result.stderr
    assert "invariant  Net" in result.stdout
    assert "seed 7" in result.stdout
    assert [p.suffix for p in sorted((tmp_path / "report").iterdir())] == [".html", ".json"]
