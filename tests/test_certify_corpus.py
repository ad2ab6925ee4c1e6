"""The corpus: no wrong certificate, no wrong refutation; and random edits of right networks."""

import copy
import random

import pytest
import torch
from torch import nn

import networks_broken as wrong
import networks_good as good
from gdtriton import EachScale, GaussianJetConv2d
from gdtriton.verify import certify
from gdtriton.verify.network.witness import defect

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore:Lazy modules")]


def test_corpus_is_large_enough():
    assert len(good.GOOD) >= 30
    assert len(wrong.BROKEN) >= 60


@pytest.mark.parametrize("name", good.GOOD)
def test_right_network_is_certified(name):
    build, shape, canvas, verdict = good.GOOD[name]
    torch.manual_seed(0)
    found = certify(build(), shape, canvas=canvas)
    assert found.verdict == verdict, found.reason


@pytest.mark.parametrize("name", wrong.BROKEN)
def test_broken_network_is_refuted_with_a_witness(name):
    torch.manual_seed(0)
    module, shape, canvas = wrong.build(name)
    found = certify(module, shape, canvas=canvas)
    assert found.verdict == "refuted", found.reason
    assert defect(found.to_json()["witness"]) != 0


@pytest.mark.parametrize("name", ["conv zero at start", "position embedding zero", "flatten, centre at start"])
def test_defect_that_cancels_is_said_to(name):
    module, shape, canvas = wrong.build(name)
    assert certify(module, shape, canvas=canvas).to_json()["zero_at_these_weights"]


class Blur(nn.Module):
    def forward(self, x):
        return (x + x.roll(1, -1)) / 2


class Shift(nn.Module):
    def forward(self, x):
        return x.roll(1, -2)


class Ramp(nn.Module):
    def forward(self, x):
        return x * torch.linspace(1, 2, x.shape[-1])


def edits(rng):
    """Single changes that break covariance, as functions of a Net."""
    spatial = [
        lambda: nn.MaxPool2d(3, 1, 1),
        lambda: nn.AvgPool2d(5, 1, 2),
        lambda: nn.Conv2d(4, 4, 3, padding=1),
        Blur,
        Shift,
        Ramp,
        lambda: nn.InstanceNorm2d(4),
        lambda: nn.BatchNorm2d(4, track_running_stats=False),
        lambda: GaussianJetConv2d(4, 4, relative_sigma=rng.uniform(0.8, 2.0)),
    ]

    def insert(net):
        block = EachScale(rng.choice(spatial)())
        old = net.middle
        net.inserted = block
        if rng.random() < 0.5:
            net.middle = lambda f, s: block(old(f, s))
        else:
            net.middle = lambda f, s: old(f + block(f), s)

    def power(net):
        rng.choice([net.first, net.second]).norm_power = rng.choice([0.0, 0.5, 0.9, 1.1])

    def sigma(net):
        layer, channel, factor = (
            rng.choice([net.first, net.second]),
            rng.randrange(4),
            1 + rng.choice([-1, 1]) * 10 ** rng.uniform(-3, -1),
        )

        def detuned(sigmas, old=layer._sigma):
            scale = torch.ones_like(sigmas)
            scale[channel] = factor
            return old(sigmas * scale)

        layer._sigma = detuned

    def read(net):
        k = rng.choice([-2, -1, 1, 2])
        net.last = lambda f, s: f[..., f.shape[-2] // 2 + k, f.shape[-1] // 2].amax(0)

    def gain(net):
        g = nn.Parameter(torch.rand(4, 1, 1, 1, 1) + 0.5)
        net.gain = g
        old = net.middle
        net.middle = lambda f, s: old(f * g, s)

    def border(net):
        net.second.border = "zero"

    return [insert, insert, insert, power, sigma, read, gain, border]


@pytest.mark.parametrize("seed", range(24))
def test_random_single_edit_is_never_certified(seed):
    rng = random.Random(seed)
    torch.manual_seed(seed)
    net = copy.deepcopy(rng.choice([good.Net, good.Residual, good.Stride, good.Hooked])())
    if isinstance(net, good.Residual):
        net.third.bias = None
    with torch.no_grad():
        for p in net.parameters():
            p.add_(0.1 * torch.randn(p.shape))
    rng.choice(edits(rng))(net)
    found = certify(net, (1, 1, 17, 17))
    assert not found, found.reason
