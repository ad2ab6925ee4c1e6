"""Networks that a search for wrong verdicts came across. WRONG is never certified, UNUSUAL is right and never refuted.

name -> (builder, input shape, canvas).
"""

import threading

import torch
import torch.nn.functional as F

from gdtriton import GaussianJetConv2d
from networks_good import IMAGE, Net, last, middle


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


WRONG = {
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
}
