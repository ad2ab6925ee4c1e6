"""Random single edits of random right networks: what breaks covariance is not certified.

Oracle: the scale channels before pooling, of an image and of its copy scaled by 2, on two grids. A defect that does
not fall from one to the other is a break, whatever the certifier reads; what falls proves nothing (windows fall as
well), so every edit also says itself whether it breaks.
"""

import random

import pytest
import torch
from torch import nn

from gdtriton import EachScale, GaussianJetConv1d, ScaleGrid, ScaleLift
from gdtriton.verify import AnalyticImage, certify

IMAGE = (1, 1, 33)
CHANNELS = 3


class Random1d(nn.Module):
    """1 to 3 layers with norms, activations and skips; `edit` acts after layer `place`, `detune` on its sigmas."""

    def __init__(self, rng):
        super().__init__()
        self.sigma_0 = 1.5
        self.lift = ScaleLift(ScaleGrid(self.sigma_0, 2.0, CHANNELS))
        self.width, depth = rng.choice([2, 3, 4]), rng.choice([1, 2, 3])
        self.layers = nn.ModuleList(
            GaussianJetConv1d(
                self.width if k else 1,
                self.width,
                order=rng.choice([1, 2]),
                zero_order=rng.random() < 0.4,
                relative_sigma=rng.uniform(1.0, 1.5),
                learn_sigma=rng.choice([None, "layer", "input", "output"]),
                border=rng.choice(["symmetric", "circular"]),
            )
            for k in range(depth)
        )
        self.norms = nn.ModuleList(
            EachScale(nn.BatchNorm1d(self.width)) if rng.random() < 0.5 else nn.Identity() for _ in range(depth)
        )
        self.acts = nn.ModuleList(rng.choice([nn.ReLU, nn.GELU, nn.Tanh, nn.SiLU])() for _ in range(depth))
        self.skips = [k > 0 and rng.random() < 0.5 for k in range(depth)]
        self.place, self.edit, self.detune, self.oracle = rng.randrange(depth), None, None, True
        self.pool = rng.choice(["max", "mean", "logsumexp"])
        for p in self.parameters():
            p.data += 0.2 * torch.randn(p.shape)

    def fields(self, image):
        features, sigmas = self.lift(image)
        for k, (layer, norm, act) in enumerate(zip(self.layers, self.norms, self.acts, strict=True)):
            own = self.detune(sigmas) if self.detune is not None and k == self.place else sigmas
            x = act(norm(layer(features, own)))
            features = x + features if self.skips[k] else x
            if self.edit is not None and k == self.place:
                features = self.edit(features, sigmas)
        return features

    def forward(self, image):
        x = self.fields(image).amax(-1)
        return x.amax(0) if self.pool == "max" else x.mean(0) if self.pool == "mean" else x.logsumexp(0)


class Op(nn.Module):
    """A function of (module, features, sigmas) with parameters of its own."""

    def __init__(self, function, **parameters):
        super().__init__()
        self.function = function
        for name, value in parameters.items():
            setattr(self, name, nn.Parameter(value))

    def forward(self, features, sigmas):
        return self.function(self, features, sigmas)


def folded(module):
    op = Op(lambda m, f, s: m.block(f))
    op.block = EachScale(module)
    return op


def with_boundary(op):
    """The edit compares scale channels: the numbers contain what enters and leaves a finite grid, and are no oracle."""
    op.boundary = True
    return op


def insertions(rng, width):
    """(breaks, module) to put after a layer."""
    channel, small = rng.randrange(CHANNELS), rng.choice([-1, 1]) * 10 ** rng.uniform(-3, -0.5)
    where = (torch.arange(CHANNELS) == channel).view(-1, 1, 1, 1).float()
    order = torch.randperm(width, generator=torch.Generator().manual_seed(rng.randrange(99)))
    k = rng.choice([3, 5])
    return [
        (True, folded(nn.MaxPool1d(k, 1, k // 2))),
        (True, folded(nn.AvgPool1d(k, 1, k // 2))),
        (True, folded(nn.Conv1d(width, width, k, padding=k // 2))),
        (True, Op(lambda m, f, s: f + m.w * torch.linspace(-1, 1, f.shape[-1]), w=torch.zeros(width, 1))),
        (True, Op(lambda m, f, s: f * torch.linspace(1, 1.1, f.shape[-1]))),
        (True, Op(lambda m, f, s: f + small * where.to(f.dtype))),
        (True, Op(lambda m, f, s: f * (1 + small * where.to(f.dtype)))),
        (True, Op(lambda m, f, s: f * m.g.view(-1, 1, 1, 1), g=torch.ones(CHANNELS))),
        (True, Op(lambda m, f, s: torch.where(where.bool(), torch.tanh(f), f))),
        (True, Op(lambda m, f, s: f + torch.tanh(f).roll(1, 0))),
        (True, Op(lambda m, f, s: torch.cat([f[:channel], f[channel : channel + 1].flip(2), f[channel + 1 :]]))),
        (True, Op(lambda m, f, s: torch.einsum("sbcx,scd->sbdx", f, m.w), w=torch.eye(width).repeat(CHANNELS, 1, 1))),
        (True, Op(lambda m, f, s: (f + f.roll(rng.choice([1, 2]), -1)) / 2)),
        (True, Op(lambda m, f, s: f - f.cumsum(-1) / f.shape[-1])),
        (True, Op(lambda m, f, s: f / (1 + f.std(-1, keepdim=True)))),
        (False, Op(lambda m, f, s: f + 0.3 * f.abs())),
        (False, Op(lambda m, f, s: torch.tanh(f) * torch.sigmoid(f))),
        (False, Op(lambda m, f, s: f.index_select(2, order))),
        (False, Op(lambda m, f, s: f + f.flip(-1))),
        (False, Op(lambda m, f, s: torch.tensordot(f, m.w, ([2], [0])).movedim(-1, 2), w=torch.randn(width, width))),
        (False, Op(lambda m, f, s: f / (1 + f.abs().amax(-1, keepdim=True)))),
        (False, with_boundary(Op(lambda m, f, s: f / (1 + f.abs().amax(0, keepdim=True))))),
        (False, Op(lambda m, f, s: f * (1 + small))),
        (False, folded(nn.Sequential(nn.Conv1d(width, width, 1), nn.Dropout(0.4)))),
    ]


def mutate(net, rng):
    """One edit; whether it breaks covariance: True, False, or None where only the numbers tell."""
    kind = rng.choice(["insert", "insert", "insert", "sigma", "layer", "nothing"])
    layer = net.layers[net.place]
    if kind == "insert":
        breaks, net.edit = rng.choice(insertions(rng, net.width))
        return breaks
    if kind == "sigma":
        factor = torch.ones(CHANNELS, dtype=torch.float64)
        factor[rng.randrange(CHANNELS)] = 1 + rng.choice([-1, 1]) * 10 ** rng.uniform(-3, -1)
        constant = rng.uniform(0.01, 0.5)
        alone = len(net.layers) == 1 and net.place == 0

        def backwards(s):
            return s.flip(0)

        breaks, net.detune = rng.choice(
            [
                (True, lambda s: s * factor),
                (True, lambda s: s + constant),
                (True, lambda s: torch.full_like(s, 2.0)),
                (not alone, backwards),
                (False, lambda s: s * 1.3),
            ]
        )
        if (
            breaks and alone
        ):  # a single layer shows another grid of sigmas; reversed or scaled it is a grid all the same
            breaks = None
        # Pooling does not see the order of the scale channels, the numbers compare neighbours.
        net.oracle = not (alone and net.detune is backwards)
        return breaks
    if kind == "layer":
        layer.norm_power = rng.choice([0.0, 0.5, 0.9, 1.1])
        orders = layer.order - (0 if layer.zero_order else 1)
        return True if orders else None
    return False


def defect(net, refine):
    """Largest relative difference of scale channel i of an image and i + 1 of its copy twice as large."""
    net = net.double().eval()
    net.lift.grid = ScaleGrid(net.sigma_0 * refine, 2.0, CHANNELS)
    picture, unit = AnalyticImage.random(1, 3), 48.0 * refine
    half = 64 * refine
    with torch.no_grad():
        a = net.fields(picture.sample((1, 1, 2 * half + 1), 1.0, unit))
        b = net.fields(picture.sample((1, 1, 4 * half + 1), 2.0, unit))
    net.lift.grid = ScaleGrid(net.sigma_0, 2.0, CHANNELS)
    inner = slice(a.shape[-1] // 4, -(a.shape[-1] // 4))
    x, y = a[:-1, ..., inner], b[1:, ..., ::2][..., inner]
    size = (x - x.mean(-1, keepdim=True)).abs().amax((1, 2, 3)).clamp_min(1e-9)
    return float(((x - y).abs().amax((1, 2, 3)) / size).max())


def numbers_say_broken(net):
    """The defect is 1 % or more on the finer grid and does not fall."""
    coarse, fine = defect(net, 2), defect(net, 4)
    return fine > 0.01 and fine > 0.6 * coarse


def check(seed):
    rng = random.Random(seed)
    torch.manual_seed(seed)
    net = Random1d(rng)
    breaks = mutate(net, rng)
    found = certify(net, IMAGE)
    seen = net.oracle and not getattr(net.edit, "boundary", False) and numbers_say_broken(net)
    assert not (breaks is False and seen), "the oracle refutes a right network"
    assert not (found and (seen or breaks)), found.reason
    if breaks is False:
        assert found.verdict == "invariant", found.reason
    return breaks, seen, found.verdict


@pytest.mark.parametrize("seed", range(6))
def test_random_edit_quick(seed):
    check(seed)


@pytest.mark.slow
@pytest.mark.parametrize("block", range(10))
def test_random_edits(block):
    results = [check(1000 + 20 * block + k) for k in range(20)]
    assert sum(seen for _, seen, _ in results) >= 2  # the numbers do see breaks
    assert sum(breaks is False for breaks, _, _ in results) >= 2
