"""More right networks: presets, other spellings of one thing, and defects that are none.

GOOD: (builder, input shape, canvas, verdict). HARMLESS: what must not be refuted, though no rule may certify it.
"""

import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils import parametrizations

from gdtriton import (
    EachScale,
    GaussianJetConv2d,
    ReadOut,
    ScaleGrid,
    ScaleLift,
    ScalePool,
    ScaleSequential,
    gaussian_jet,
    jet_conv,
)
from gdtriton.models import build_model
from networks_good import GRID, IMAGE, Net, last, middle


class Documented(nn.Module):
    """The network as the design writes it."""

    def __init__(self, n_classes=5):
        super().__init__()
        self.lift = ScaleLift(ScaleGrid(0.7, 2**0.5, 8))
        self.body = ScaleSequential(
            GaussianJetConv2d(1, 16),
            EachScale(nn.BatchNorm2d(16)),
            nn.ReLU(),
            GaussianJetConv2d(16, n_classes, relative_sigma=1.5),
        )
        self.head = nn.Sequential(ReadOut("centre"), ScalePool("max"))

    def forward(self, image):
        features, sigmas = self.lift(image)
        return self.head(self.body(features, sigmas))


class DocumentedFunctional(nn.Module):
    """The same in functions and parameters."""

    def __init__(self, n_classes=5):
        super().__init__()
        self.w1, self.w2 = nn.Parameter(torch.randn(16, 1, 5)), nn.Parameter(torch.randn(n_classes, 16, 5))
        self.b1, self.b2 = nn.Parameter(torch.zeros(16)), nn.Parameter(torch.zeros(n_classes))
        for name, value in (("mean", 0.0), ("var", 1.0), ("gain", 1.0), ("shift", 0.1)):
            self.register_buffer(name, torch.full((16,), value))

    def forward(self, image):
        sigmas = 0.7 * 2 ** (torch.arange(8, dtype=torch.float64) / 2)
        x = image.unsqueeze(0).expand(8, -1, -1, -1, -1)
        x = jet_conv(x, self.w1, sigmas, self.b1)
        x = F.batch_norm(x.flatten(0, 1), self.mean, self.var, self.gain, self.shift).view(8, -1, *x.shape[2:])
        x = jet_conv(F.relu(x), self.w2, 1.5 * sigmas, self.b2)
        return x[..., x.shape[-2] // 2, x.shape[-1] // 2].max(0).values


def preset(name, **overrides):
    return lambda: build_model(name, n_scales=4, channels=(3, 4, 5), n_classes=3, **overrides)


class Signed(nn.Module):
    """Normalised by hand with -sigma, and a learned gain of every channel."""

    def __init__(self):
        super().__init__()
        self.lift, self.jet = ScaleLift(GRID), GaussianJetConv2d(1, 4, order=1, norm_power=0.0, bias=False)
        self.gain = nn.Parameter(torch.randn(4, 1, 1))

    def forward(self, image):
        features, sigmas = self.lift(image)
        factor = -sigmas.float().view(-1, 1, 1, 1, 1) * self.gain
        return torch.tanh(self.jet(features, sigmas) * factor).amax((0, 3, 4))


class LoopSigned(nn.Module):
    """The same in a loop over scales."""

    def __init__(self):
        super().__init__()
        self.jet, self.gain = GaussianJetConv2d(1, 4, order=1, norm_power=0.0, bias=False), nn.Parameter(torch.randn(4))

    def forward(self, image):
        best = None
        for sigma in (0.8, 1.6, 3.2):
            out = self.jet(image[None], torch.tensor([sigma], dtype=torch.float64))[0]
            out = torch.tanh(out * (-sigma * self.gain)[:, None, None]).amax((-1, -2))
            best = out if best is None else torch.maximum(best, out)
        return best


class Invariants(nn.Module):
    """Gradient magnitude, Laplacian and the determinant of the Hessian, by hand."""

    def forward(self, image):
        j = gaussian_jet(image[:, 0], [0.8, 1.6, 3.2], 2)
        ly, lx, lyy, lxy, lxx = (j[:, :, k] for k in (1, 2, 3, 4, 5))
        slope = torch.sqrt(lx * lx + ly * ly + 1e-6)
        return torch.stack([slope, lxx + lyy, lxx * lyy - lxy**2, torch.atan2(lx, slope)], 2).amax((0, 3, 4))


class MeanOfRectified(nn.Module):
    """No offset: the mean over the canvas grows with the object's area; `rectify` is a ReLU."""

    def __init__(self, rectify):
        super().__init__()
        self.lift, self.jet, self.rectify = ScaleLift(GRID), GaussianJetConv2d(1, 4, bias=False), rectify

    def forward(self, image):
        return self.rectify(self.jet(*self.lift(image))).mean((3, 4)).amax(0)


class MeanOfDerivatives(Net):
    """Derivatives of an offset are 0: the mean of the last layer sees no background."""

    def extra(self):
        self.second = GaussianJetConv2d(4, 3, bias=False)

    def last(self, features, sigmas):
        return features.mean((3, 4)).amax(0)


class InPlace(Net):
    def middle(self, features, sigmas):
        features = torch.relu(features.clone())
        features.mul_(0.5).add_(0.1)
        features[:, :, 0] = features[:, :, 1]
        return features


class Straight(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return torch.sign(x)

    @staticmethod
    def backward(ctx, g):
        return g


class ScaleConv(Net):
    """A convolution over neighbouring scale channels."""

    def extra(self):
        self.conv = nn.Conv3d(4, 4, (3, 1, 1), padding=(1, 0, 0))

    def middle(self, features, sigmas):
        return torch.relu(self.conv(features.movedim(0, 2)).movedim(2, 0))


class Normed(Net):
    def extra(self):
        self.mix = parametrizations.spectral_norm(nn.Conv2d(4, 4, 1))

    def middle(self, features, sigmas):
        return torch.relu(self.mix(features.flatten(0, 1)).unflatten(0, features.shape[:2]))


class Gated(Net):
    """A gated linear unit over channels, by a linear layer."""

    def extra(self):
        self.fc = nn.Linear(4, 8)

    def middle(self, features, sigmas):
        a, b = self.fc(features.movedim(2, -1)).chunk(2, -1)
        return (a * torch.sigmoid(b)).movedim(-1, 2)


class Batchwise(Net):
    """The layout [B, S, C, H, W] in between."""

    def middle(self, features, sigmas):
        x = features.transpose(0, 1).contiguous()
        x = torch.relu(x.flatten(0, 1)).unflatten(0, x.shape[:2])
        return x.transpose(0, 1)


class Log(Net):
    """A hook that only looks."""

    def extra(self):
        self.seen = []
        self.second.register_forward_hook(lambda m, a, out: self.seen.append(out.shape) and None)


class TwoSigmas(nn.Module):
    """A loop whose body sees one layer at two sigmas."""

    def __init__(self):
        super().__init__()
        self.jet, self.mix = GaussianJetConv2d(1, 4), nn.Conv2d(8, 3, 1)

    def forward(self, image):
        best = None
        for k in range(3):
            sigma = torch.tensor([0.8 * 2.0**k], dtype=torch.float64)
            x = torch.cat([self.jet(image[None], sigma), self.jet(image[None], 2 * sigma)], 2)
            out = self.mix(torch.relu(x)[0]).amax((-1, -2))
            best = out if best is None else torch.maximum(best, out)
        return best


def masked_conv(n, f, s):
    mask = torch.zeros(3, 3)
    mask[1, 1] = 1
    return torch.relu(F.conv2d(f.flatten(0, 1), n.w * mask, padding=1).unflatten(0, f.shape[:2]))


def plain(function, **modules):
    return (lambda: middle(function, **modules), IMAGE, "fixed", "invariant")


def head(function, **modules):
    return (lambda: last(function, **modules), IMAGE, "fixed", "invariant")


GOOD = {
    "design's example": (Documented, (1, 1, 33, 33), "fixed", "invariant"),
    "design's example, functional": (DocumentedFunctional, (2, 1, 33, 33), "fixed", "invariant"),
    "preset gaussdernet": (preset("gaussdernet-mnist-large-scale"), IMAGE, "fixed", "invariant"),
    "preset gaussdernet, wide, logsumexp": (
        preset("gaussdernet-mnist-large-scale-wide", pooling="logsumexp", read_out="max"),
        (1, 1, 16, 16),
        "fixed",
        "invariant",
    ),
    "preset gaussdernet, mean": (
        preset("gaussdernet-mnist", pooling="mean", zero_order=True, scale_dropout=0.2),
        IMAGE,
        "fixed",
        "invariant",
    ),
    "preset resnet": (preset("gaussderresnet-small"), IMAGE, "fixed", "invariant"),
    "preset separable resnet": (
        preset("gaussderresnet-small-separable", in_channels=3),
        (1, 3, 17, 17),
        "fixed",
        "invariant",
    ),
    "negative factor": (Signed, IMAGE, "fixed", "invariant"),
    "negative factor in a loop": (LoopSigned, IMAGE, "fixed", "invariant"),
    "differential invariants": (Invariants, IMAGE, "fixed", "invariant"),
    "mean of relu": (lambda: MeanOfRectified(F.relu), IMAGE, "fixed", "covariant"),
    "mean of relu by where": (
        lambda: MeanOfRectified(lambda x: torch.where(x > 0, x, torch.zeros_like(x))),
        IMAGE,
        "fixed",
        "covariant",
    ),
    "mean of relu by a product": (lambda: MeanOfRectified(lambda x: x * (x > 0)), IMAGE, "fixed", "covariant"),
    "mean of relu by clamp": (lambda: MeanOfRectified(lambda x: x.clamp(min=0)), IMAGE, "fixed", "covariant"),
    "mean of derivatives": (MeanOfDerivatives, IMAGE, "fixed", "covariant"),
    "in place": (InPlace, IMAGE, "fixed", "invariant"),
    "two sigmas in the body of a loop": (TwoSigmas, IMAGE, "fixed", "invariant"),
    "rolled and rolled back": plain(lambda n, f, s: torch.relu(f.roll(1, -1)).roll(-1, -1)),
    "layer on parts of the scale axis": plain(
        lambda n, f, s: torch.relu(torch.cat([n.third(f[:2], s[:2]), n.third(f[2:], s[2:])], 0)),
        third=lambda: GaussianJetConv2d(4, 4),
    ),
    "autograd function": plain(lambda n, f, s: Straight.apply(f)),
    "convolution over scale channels": (ScaleConv, IMAGE, "fixed", "invariant"),
    "maximum of neighbouring scale channels": plain(
        lambda n, f, s: torch.relu(F.max_pool3d(f.movedim(0, 2), (3, 1, 1), 1, (1, 0, 0)).movedim(2, 0))
    ),
    "difference of neighbouring scale channels": head(lambda n, f, s: n.read(f[1:] - f[:-1]).abs().amax(0)),
    "spectral norm": (Normed, IMAGE, "fixed", "invariant"),
    "gated linear unit": (Gated, IMAGE, "fixed", "invariant"),
    "maxout": plain(
        lambda n, f, s: n.up(f.movedim(2, -1)).unflatten(-1, (4, 2)).amax(-1).movedim(-1, 2), up=lambda: nn.Linear(4, 8)
    ),
    "batch first": (Batchwise, IMAGE, "fixed", "invariant"),
    "hook that looks": (Log, IMAGE, "fixed", "invariant"),
    "sum with its transpose": plain(lambda n, f, s: torch.relu(f + f.transpose(-1, -2))),
    "mean of quarter turns": plain(lambda n, f, s: torch.relu(sum(f.rot90(k, (-2, -1)) for k in range(4)) / 4)),
    "convolution masked to its centre": plain(masked_conv, w=lambda: nn.Parameter(torch.randn(4, 4, 3, 3))),
    "mean over scales by tensordot": head(
        lambda n, f, s: torch.tensordot(n.read(f).new_full((4,), 0.25), n.read(f), dims=([0], [0]))
    ),
    "mask of ones": plain(lambda n, f, s: torch.relu(f * torch.ones(f.shape[-2:]))),
    "channels by index": plain(lambda n, f, s: torch.relu(f[:, :, torch.tensor([2, 0, 3, 1])])),
    "channels by index_select": plain(lambda n, f, s: torch.relu(f.index_select(2, torch.tensor([3, 2, 1, 0])))),
    "einsum over channels": plain(
        lambda n, f, s: torch.relu(torch.einsum("sbchw,dc->sbdhw", f, n.w)), w=lambda: nn.Parameter(torch.randn(4, 4))
    ),
    "rows first, then columns": head(lambda n, f, s: f.amax(-1).amax(-1).amax(0)),
    "half precision in between": plain(lambda n, f, s: torch.relu(f.bfloat16()).float()),
    "rounded to integers": plain(lambda n, f, s: (f * 8).to(torch.int32).float()),
    "double": (lambda: Net().double(), IMAGE, "fixed", "invariant"),
    "scale channels flipped before the pooling": head(lambda n, f, s: n.read(f).flip(0).amax(0)),
    "sigmas doubled twice": plain(
        lambda n, f, s: n.third(f, (s * 2).clone() * 2), third=lambda: GaussianJetConv2d(4, 4)
    ),
    "global maximum by max pooling": head(
        lambda n, f, s: F.max_pool2d(f.flatten(0, 1), f.shape[-2:]).reshape(f.shape[:3]).amax(0)
    ),
}

HARMLESS = {
    "cumulated over scales": lambda: middle(lambda n, f, s: torch.relu(f.cumsum(0))),
    "max pool under a global maximum": lambda: last(
        lambda n, f, s: F.max_pool2d(f.flatten(0, 1), 3, 1, 1).amax((-1, -2)).unflatten(0, f.shape[:2]).amax(0)
    ),
    "max pool added and taken away": lambda: middle(
        lambda n, f, s: f + F.max_pool3d(f, (1, 3, 3), 1, (0, 1, 1)) - F.max_pool3d(f, (1, 3, 3), 1, (0, 1, 1))
    ),
    "max pool times 0": lambda: middle(lambda n, f, s: f + 0.0 * F.max_pool3d(f, (1, 3, 3), 1, (0, 1, 1))),
    "half plane": lambda: middle(lambda n, f, s: torch.relu(f) * (torch.arange(f.shape[-1]) >= f.shape[-1] // 2)),
    "columns one by one": lambda: last(
        lambda n, f, s: torch.stack([f[..., i] for i in range(f.shape[-1])]).amax((0, -1)).amax(0)
    ),
    "full roll": lambda: middle(lambda n, f, s: torch.relu(f.roll(f.shape[-1], -1))),
    "maximum of rectified scale channels": lambda: last(
        lambda n, f, s: torch.maximum(
            torch.relu(torch.maximum(n.read(f)[0], n.read(f)[1])), torch.relu(n.read(f)[2:].amax(0))
        )
    ),
    "position read at the centre only": lambda: last(
        lambda n, f, s: n.read(f + torch.linspace(-1, 1, f.shape[-1])).amax(0)
    ),
    "multiplied by the coordinate": lambda: last(
        lambda n, f, s: torch.relu(f) * (torch.arange(f.shape[-1]) - (f.shape[-1] - 1) / 2)
    ),
}
