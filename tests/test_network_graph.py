"""The two tracers: what torch.export refuses is recorded by torch.fx; what both refuse is unknown, with their words."""

import pytest
import torch
from torch import nn

from gdtriton import EachScale, GaussianJetConv2d, ReadOut, ScaleGrid, ScaleLift, ScalePool, ScaleSequential
from gdtriton.verify import certify, check_proof
from gdtriton.verify.network.graph import TracingError, _recorded, evaluation_copy, quiet_state, read_graph
from gdtriton.verify.network.lower import LOWERINGS

IMAGE = (1, 1, 9, 9)


class Net(nn.Module):
    def __init__(self, extra=None):
        super().__init__()
        self.lift = ScaleLift(ScaleGrid(0.8, 2**0.5, 3))
        self.body = ScaleSequential(
            GaussianJetConv2d(1, 2), EachScale(nn.BatchNorm2d(2)), extra or nn.ReLU(), GaussianJetConv2d(2, 3)
        )
        self.head = nn.Sequential(ReadOut("centre"), ScalePool("max"))

    def forward(self, image):
        return self.head(self.body(*self.lift(image)))


@pytest.fixture
def no_export(monkeypatch):
    def refuse(*_, **__):
        raise RuntimeError("not today")

    monkeypatch.setattr(torch.export, "export", refuse)


def test_fallback_certifies_and_its_proof_is_checked(no_export):
    found = certify(Net(), IMAGE)
    assert found.verdict == "invariant", found.reason
    assert found.to_json()["proof"]["tracer"] == "torch.fx"
    assert check_proof(found.to_json()).proved == ("invariant",)


def test_fallback_names_the_offender_and_its_line(no_export):
    found = certify(Net(EachScale(nn.Sequential(nn.ReLU(), nn.MaxPool2d(3, 1, 1)))), IMAGE)
    assert (found.verdict, found.offender) == ("refuted", "body.2.module.1")
    assert found.to_json()["offender"]["source"].rpartition(":")[0] == __file__


def test_fallback_sees_hooks_of_the_network_and_of_its_layers(no_export):
    net = Net()
    net.register_forward_pre_hook(lambda module, args: (args[0].roll(1, -1),))
    assert certify(net, IMAGE).verdict == "refuted"
    net = Net()
    net.body[0].register_forward_hook(lambda module, args, out: out * torch.linspace(1, 2, out.shape[-1]))
    assert certify(net, IMAGE).to_json()["offender"]["rule"] == "position"


def test_both_tracers_read_the_same_operators():
    with quiet_state(), torch.no_grad():
        net = evaluation_copy(Net(), False)
        first = read_graph(net, IMAGE, torch.float32, LOWERINGS)
        second = _recorded(net, torch.zeros(IMAGE), LOWERINGS)
    assert first.tracer == "torch.export"

    def jets(graph):
        return [(n.path, n.shape) for n in graph.nodes if n.op == "gdtriton.jet_conv"]

    assert jets(first) == jets(second)
    assert [n.shape for n in first.outputs] == [n.shape for n in second.outputs]
    assert {n.parameter for n in first.nodes if n.parameter} == {n.parameter for n in second.nodes if n.parameter}


class Keeps(Net):
    """Keeps what it saw: torch.export refuses that."""

    def forward(self, image):
        features, sigmas = self.lift(image)
        features = self.body(features, sigmas)
        self.seen = features
        return self.head(self.seen)


def test_a_module_that_keeps_tensors_is_read_by_the_fallback_if_export_refuses_it():
    found = certify(Keeps(), IMAGE)
    assert found.verdict == "invariant", found.reason


def test_where_both_fail_both_speak(no_export):
    class Host(Net):
        def forward(self, image):
            out = super().forward(image)
            return out * float(out.sum())

    with pytest.raises(TracingError, match=r"not today; torch\.fx: "):
        read_graph(Host().eval(), IMAGE, torch.float32, LOWERINGS)
    assert certify(Host(), IMAGE).verdict == "unknown"


def test_equal_calls_are_one_node_random_ones_are_not():
    class Twice(nn.Module):
        def forward(self, x):
            return torch.relu(x) + torch.relu(x), torch.rand_like(x) - torch.rand_like(x)

    graph = read_graph(Twice(), IMAGE, torch.float32)
    assert sum(n.op == "aten.relu" for n in graph.nodes) == 1
    assert sum(n.op == "aten.rand_like" for n in graph.nodes) == 2
