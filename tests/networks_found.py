"""Networks that a search for wrong verdicts came across. WRONG is never certified, UNUSUAL is right and never refuted.

name -> (builder, input shape, canvas).
"""

import threading

import torch
import torch.nn.functional as F
from torch import nn

from gdtriton import GaussianJetConv2d, ScaleLift, gaussian_jet
from networks_good import GRID, IMAGE, Loop, Net, last, middle


def plane(function):
    """`function` of [S * B, C, H, W] on all scale channels."""
    return lambda n, f, s: function(f.flatten(0, 1)).unflatten(0, f.shape[:2])


def act(function, shape=IMAGE, canvas="fixed"):
    return lambda: middle(function), shape, canvas


def head(function, shape=IMAGE, canvas="fixed"):
    return lambda: last(function), shape, canvas


def halves(one, other):
    """`one` of the two fine scale channels, `other` of the coarse ones."""
    return act(lambda n, f, s: torch.relu(torch.cat([one(f[:2]), other(f[2:])])))


def gathered(order):
    return lambda x: x.gather(2, torch.tensor(order).view(1, 1, 4, 1, 1).expand(x.shape))


def by_size(function):
    """`function(features, size)` on a canvas that is scaled."""
    return act(lambda n, f, s: function(f, f.shape[-1]), canvas="scales")


def blurred(f):
    return F.avg_pool2d(f.flatten(0, 1), 3, 1, 1).unflatten(0, f.shape[:2])


class ZeroBorder(Net):
    """A zero border where `reframe` cut or padded by a number of pixels."""

    def __init__(self, reframe):
        super().__init__()
        self.reframe, self.second = reframe, GaussianJetConv2d(4, 3, border="zero")

    def middle(self, features, sigmas):
        return self.reframe(torch.sigmoid(features))


class Counter(Net):
    """Something else from the n-th call on; `n` 1 multiplies by the number of calls."""

    def __init__(self, n=1):
        super().__init__()
        self.calls, self.n = 0, n

    def middle(self, features, sigmas):
        self.calls += 1
        if self.n == 1:
            return torch.relu(features) * self.calls
        return torch.relu(features) if self.calls < self.n else blurred(features)


class HiddenBranch(Net):
    """A branch on the features that no tracer sees."""

    def __init__(self, question):
        super().__init__()
        self.question = question

    def middle(self, features, sigmas):
        try:
            other = bool(self.question(features))
        except Exception:
            other = False
        return blurred(features) if other else torch.relu(features)


class Keeps(Net):
    """Keeps activations that hang on a computation, and a lock."""

    def __init__(self):
        super().__init__()
        self.seen, self.lock = [], threading.Lock()
        self(torch.zeros(IMAGE))

    def middle(self, features, sigmas):
        self.seen.append(features)
        return torch.relu(features)


class OldWeightNorm(Net):
    """Weights recomputed in a pre-hook: no leaf, so no copy of them as they are."""

    def extra(self):
        weight = self.first.weight
        del self.first._parameters["weight"]
        self.first.register_parameter("weight_v", weight)
        self.first.weight = weight / weight.norm()
        self.first.register_forward_pre_hook(
            lambda m, a: setattr(m, "weight", m.weight_v / torch.linalg.vector_norm(m.weight_v))
        )


class CountsOnly(Net):
    def middle(self, features, sigmas):
        self.calls = getattr(self, "calls", 0) + 1
        return torch.relu(features)


class FirstOrder(nn.Module):
    """First derivatives that are not normalised, of weight -1; `finish(features, sigmas, offset)` does the rest."""

    def __init__(self, finish):
        super().__init__()
        self.lift, self.finish = ScaleLift(GRID), finish
        self.jet = GaussianJetConv2d(1, 4, order=1, norm_power=0.0, bias=False)
        self.offset = nn.Parameter(torch.randn(4, 1, 1))

    def forward(self, image):
        features, sigmas = self.lift(image)
        return self.finish(self.jet(features, sigmas), sigmas.float().view(-1, 1, 1, 1, 1), self.offset)


def first_order(function):
    return lambda: FirstOrder(lambda f, s, b: function(f, s, b).amax((0, 3, 4))), IMAGE, "fixed"


class NormalisedByMatrix(nn.Module):
    """Derivatives of all orders, normalised by a matrix product with powers of sigma."""

    def __init__(self):
        super().__init__()
        self.mix = nn.Conv2d(6, 4, 1)

    def forward(self, image):
        sigmas = torch.tensor([0.8, 1.6, 3.2])
        jets = gaussian_jet(image[:, 0], sigmas.double(), 2, norm_power=0.0)
        powers = torch.diag_embed(sigmas[:, None] ** torch.tensor([0.0, 1, 1, 2, 2, 2]))
        jets = (powers[:, None] @ jets.flatten(3)).unflatten(3, jets.shape[-2:])
        return torch.stack([torch.relu(self.mix(j)) for j in jets]).amax((0, 3, 4))


class SigmaOfSize(nn.Module):
    """Sigmas that are parts of the image's size, a gain of its own for each."""

    def __init__(self, n_scales):
        super().__init__()
        self.n_scales, self.jet = n_scales, GaussianJetConv2d(1, 4)
        self.gain = nn.Parameter(torch.rand(n_scales, 1, 1, 1, 1))

    def forward(self, image):
        sigmas = 0.05 * image.shape[-1] * 2.0 ** torch.arange(self.n_scales, dtype=torch.float64)
        features = self.jet(image.expand(self.n_scales, *image.shape), sigmas)
        return (features * self.gain).amax((0, 3, 4))


class BothReordered(Net):
    """Scale channels and their sigmas in one other order."""

    def forward(self, image):
        features, sigmas = self.lift(image)
        order = torch.tensor([2, 0, 3, 1])
        features = torch.relu(self.first(features, sigmas))[order]
        return self.last(self.second(features, sigmas[order]), sigmas)


class ZeroBorderAfterMaximum(Net):
    """A zero border beside a maximum over the canvas that was added everywhere."""

    def extra(self):
        self.first = GaussianJetConv2d(1, 4, bias=False)
        self.second = GaussianJetConv2d(4, 3, border="zero")

    def middle(self, features, sigmas):
        return features.abs() + features.abs().amax((3, 4), keepdim=True)


def mean_of(function):
    """The mean over the canvas of `function` of derivatives, which are 0 on a black background."""
    return (
        lambda: last(
            lambda n, f, s: function(n.derivatives(f, s).abs()).mean((3, 4)).amax(0),
            derivatives=lambda: GaussianJetConv2d(3, 3, bias=False),
        ),
        IMAGE,
        "fixed",
    )


ORDER = torch.tensor([2, 0, 3, 1])
FOUR = torch.tensor([0.3, -0.2, 0.5, 0.1]).view(4, 1, 1)
WRONG = {
    "alpha by halves": halves(lambda x: torch.add(x, FOUR, alpha=1), lambda x: torch.add(x, FOUR, alpha=2)),
    "alpha taken away by halves": halves(lambda x: torch.sub(x, FOUR, alpha=1), lambda x: torch.sub(x, FOUR, alpha=2)),
    "alpha from a constant by halves": halves(
        lambda x: torch.rsub(x, FOUR, alpha=1), lambda x: torch.rsub(x, FOUR, alpha=2)
    ),
    "difference the other way round": halves(lambda x: x - FOUR, lambda x: FOUR - x),
    "comparison the other way round": halves(lambda x: 1.0 * (x > FOUR), lambda x: 1.0 * torch.gt(FOUR, x)),
    "choice the other way round": halves(
        lambda x: torch.where(x > 0.1, x, torch.zeros(())), lambda x: torch.where(x > 0.1, torch.zeros(()), x)
    ),
    "channels chosen the other way round": halves(
        lambda x: torch.where(FOUR > 0, x, torch.zeros(())), lambda x: torch.where(FOUR > 0, torch.zeros(()), x)
    ),
    "difference the other way round in a loop": (
        lambda: Loop(lambda o: torch.maximum(torch.maximum(o[0] - 0.3, o[1] - 0.3), torch.tensor(0.3) - o[2])),
        IMAGE,
        "fixed",
    ),
    "mean of a sum with the maximum": mean_of(lambda x: x + x.amax((3, 4), keepdim=True)),
    "mean of a product with the maximum": mean_of(lambda x: torch.sigmoid(x) * x.amax((3, 4), keepdim=True)),
    "mean of a sum with row maxima": mean_of(lambda x: x + x.amax(-1, keepdim=True)),
    "mean of a sum with the centre": mean_of(lambda x: x + x[..., x.shape[-2] // 2, x.shape[-1] // 2, None, None]),
    "mean of a sum with the strongest scale": mean_of(lambda x: x + x.amax((0, 3, 4), keepdim=True)),
    "mean of a choice of the maximum": mean_of(lambda x: torch.where(x > 1, x, x.amax((3, 4), keepdim=True))),
    "mean of a maximum with the maximum": mean_of(lambda x: torch.maximum(x, 0.5 * x.amax((3, 4), keepdim=True))),
    "mean of the maximum joined": mean_of(
        lambda x: torch.cat([x, x.amax((3, 4), keepdim=True) * torch.ones_like(x)], 2)
    ),
    "zero border beside a maximum": (ZeroBorderAfterMaximum, IMAGE, "fixed"),
    "channels indexed by halves": halves(
        lambda x: x[:, :, torch.tensor([0, 1, 2, 3])], lambda x: x[:, :, torch.tensor([1, 0, 2, 3])]
    ),
    "channels gathered by halves": halves(gathered([0, 1, 2, 3]), gathered([3, 1, 2, 0])),
    "corners by a stride under a maximum": head(lambda n, f, s: f[..., ::16, ::16].amax((0, 3, 4))),
    "nine points under a maximum": head(lambda n, f, s: f[..., ::8, ::8].amax((0, 3, 4))),
    "corners by max pooling of one pixel": head(
        lambda n, f, s: F.max_pool2d(f.flatten(0, 1), 1, 16).amax((-1, -2)).unflatten(0, f.shape[:2]).amax(0)
    ),
    "cut before a zero border": (lambda: ZeroBorder(lambda f: f[..., 3:-3, 3:-3]), IMAGE, "scales"),
    "padded before a zero border": (
        lambda: ZeroBorder(lambda f: plane(lambda x: F.pad(x, (4, 4, 4, 4), mode="reflect"))(None, f, None)),
        IMAGE,
        "scales",
    ),
    "clamped by the size": by_size(lambda f, n: f.clamp(max=0.02 * n)),
    "elu by the size": by_size(lambda f, n: F.elu(f, alpha=0.1 * n)),
    "hardtanh by the size": by_size(lambda f, n: F.hardtanh(f, -0.02 * n, 0.02 * n)),
    "slope by the size": by_size(lambda f, n: F.leaky_relu(f, 1 / n)),
    "offset by the size, a tensor": by_size(lambda f, n: f + torch.tensor(0.1 * n)),
    "factor by the size, a tensor": by_size(lambda f, n: f * torch.tensor(0.1 * n)),
    "offset by the size, full": by_size(lambda f, n: torch.relu(f - torch.full((), 0.05 * n))),
    "filled by the size": by_size(lambda f, n: f.masked_fill(f < 0, -0.01 * n)),
    "chosen by the size": by_size(lambda f, n: torch.where(f < 0, torch.tensor(-0.01 * n), f)),
    "power by the size": by_size(lambda f, n: torch.relu(f) ** (17 / n)),
    "eps by the size": by_size(lambda f, n: F.layer_norm(f.movedim(2, -1), (4,), eps=0.1 * n).movedim(-1, 2)),
    "counter": (Counter, IMAGE, "fixed"),
    "counter, from the 100th call": (lambda: Counter(100), IMAGE, "fixed"),
    "branch on brightness": (lambda: HiddenBranch(lambda f: f.abs().max() > 3), IMAGE, "fixed"),
    "branch on the mean": (lambda: HiddenBranch(lambda f: f.mean() < -0.2), IMAGE, "fixed"),
    "infinite factor": act(lambda n, f, s: f * torch.tensor([1.0, 1, 1, torch.inf]).view(4, 1, 1, 1, 1)),
    "infinite power": act(lambda n, f, s: torch.relu(f) ** torch.inf),
}

UNUSUAL = {
    "mean of a product with the maximum, both black": mean_of(lambda x: x * x.amax((3, 4), keepdim=True)),
    "keeps activations and a lock": (Keeps, IMAGE, "fixed"),
    "weights computed in a pre-hook": (OldWeightNorm, IMAGE, "fixed"),
    "counts its calls": (CountsOnly, IMAGE, "fixed"),
    "adaptive pooling": (
        lambda: last(lambda n, f, s: plane(lambda x: F.adaptive_avg_pool2d(x, 3))(n, f, s).amax(0)),
        IMAGE,
        "scales",
    ),
    "adaptive maximum pooling": (
        lambda: last(lambda n, f, s: plane(lambda x: F.adaptive_max_pool2d(x, 3))(n, f, s).amax(0)),
        IMAGE,
        "scales",
    ),
    "winner gathered": head(lambda n, f, s: n.read(f).gather(0, n.read(f).argmax(0, keepdim=True))[0]),
    "scale channels indexed, then pooled": head(lambda n, f, s: n.read(f)[ORDER].amax(0)),
    "scale channels selected, then averaged": head(lambda n, f, s: n.read(f).index_select(0, ORDER).mean(0)),
    "every second scale channel first": head(lambda n, f, s: torch.cat([n.read(f)[::2], n.read(f)[1::2]]).amax(0)),
    "scale channels and sigmas reordered": (BothReordered, IMAGE, "fixed"),
    "windows and where they are, one maximum": head(lambda n, f, s: f.unfold(-1, 3, 1).amax((-1, -2, -3)).amax(0)),
    "windows, then where they are": head(lambda n, f, s: f.unfold(-1, 3, 1).amax(-1).amax((-1, -2)).amax(0)),
    "max pooling, then a maximum": head(
        lambda n, f, s: plane(lambda x: F.max_pool2d(x, 2, ceil_mode=True).amax((-1, -2)))(n, f, s).amax(0)
    ),
    "blocks, then a maximum": head(
        lambda n, f, s: f.reshape(*f.shape[:3], 8, 2, 8, 2).amax((4, 6)).amax((3, 4)).amax(0), (1, 1, 16, 16)
    ),
    "adaptive maximum pooling, then a maximum": head(
        lambda n, f, s: plane(lambda x: F.adaptive_max_pool2d(x, 4).amax((-1, -2)))(n, f, s).amax(0)
    ),
    "pooled to nine, minimum over all": head(
        lambda n, f, s: f.unfold(-1, 3, 1).unfold(-2, 3, 1).amin((-1, -2)).amin((-1, -2)).amin(0)
    ),
    "offset over sigma": first_order(lambda f, s, b: f + b / s),
    "offset over sigma, normalised after": first_order(lambda f, s, b: torch.tanh((f + b / s) * s)),
    "offset added and taken away": first_order(lambda f, s, b: torch.relu(f) + 1 - 1),
    "threshold over sigma": first_order(lambda f, s, b: torch.where(f > 0.1 / s, f, torch.zeros_like(f))),
    "at least one over sigma": first_order(lambda f, s, b: torch.maximum(f, 0.1 / s)),
    "log plus log sigma": first_order(lambda f, s, b: torch.log(f.abs()) + torch.log(s)),
    "softmax of log": first_order(lambda f, s, b: torch.log(f.abs()).softmax(2)),
    "exp of log": first_order(lambda f, s, b: torch.exp(torch.log(f.abs()))),
    "layer norm without eps": first_order(lambda f, s, b: F.layer_norm(f.movedim(2, -1), (4,), eps=0.0).movedim(-1, 2)),
    "angle": first_order(lambda f, s, b: torch.atan2(f[:, :, :1], f[:, :, 1:].abs())),
    "maximum with a tensor 0": first_order(lambda f, s, b: torch.maximum(f, torch.zeros(()))),
    "threshold 0": first_order(lambda f, s, b: F.threshold(f, 0.0, 0.0)),
    "hardtanh from 0 on": first_order(lambda f, s, b: F.hardtanh(f, 0.0, torch.inf)),
    "clamped at 0 from above": first_order(lambda f, s, b: f.clamp(max=0.0)),
    "greater than a tensor 0": first_order(lambda f, s, b: torch.where(f > torch.zeros(()), f, 0.1 * f)),
    "soft shrinkage by 0": first_order(lambda f, s, b: F.softshrink(f, 0.0)),
    "elu with alpha 0": first_order(lambda f, s, b: F.elu(f, 0.0)),
    "hypotenuse": first_order(lambda f, s, b: torch.hypot(f[:, :, :1], f[:, :, 1:])),
    "copied sign": first_order(lambda f, s, b: torch.copysign(f[:, :, :1], f[:, :, 1:])),
    "channels summed up": first_order(lambda f, s, b: f.cumsum(2)),
    "normalised by a matrix": (NormalisedByMatrix, IMAGE, "fixed"),
    "a quarter of the canvas read": (
        lambda: last(lambda n, f, s: f[..., f.shape[-2] // 4, f.shape[-1] // 4].amax(0)),
        IMAGE,
        "scales",
    ),
    "pooled by a quarter of the size": (
        lambda: last(lambda n, f, s: plane(lambda x: F.avg_pool2d(x, x.shape[-1] // 4))(n, f, s).amax(0)),
        (1, 1, 16, 16),
        "scales",
    ),
    "dilated by the size": (
        lambda: middle(
            lambda n, f, s: plane(lambda x: F.conv2d(x, n.w, padding=x.shape[-1] // 8, dilation=x.shape[-1] // 8))(
                n, f, s
            ),
            w=lambda: nn.Parameter(torch.randn(4, 4, 3, 3)),
        ),
        (1, 1, 16, 16),
        "scales",
    ),
    "sigma of the size": (lambda: SigmaOfSize(1), IMAGE, "scales"),
    "sigmas of the size, gains of their own": (lambda: SigmaOfSize(3), IMAGE, "scales"),
    "middle pixels stacked": head(
        lambda n, f, s: (
            torch.stack([f[..., f.shape[-2] // 2 - i, f.shape[-1] // 2 - j] for i in (0, 1) for j in (0, 1)])
            .mean(0)
            .amax(0)
        ),
        (1, 1, 16, 16),
    ),
    "middle pixels pooled": head(
        lambda n, f, s: plane(
            lambda x: F.avg_pool2d(x[..., x.shape[-1] // 2 - 1 :, x.shape[-1] // 2 - 1 :][..., :2, :2], 2)
        )(n, f, s).amax((0, 3, 4)),
        (1, 1, 16, 16),
    ),
}
