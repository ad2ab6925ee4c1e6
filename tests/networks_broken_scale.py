"""Networks broken in scale, in points or behind the module's back. name -> builder."""

import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils import parametrize

from gdtriton import EachScale, GaussianJetConv2d, ReadOut, ScaleLift, jet_conv
from networks_good import GRID, Net, last, middle


class Branches(nn.Module):
    """A Python loop over scales; `change(i, features)` is what one scale channel does otherwise."""

    def __init__(self, change, when="middle"):
        super().__init__()
        self.first, self.second = GaussianJetConv2d(1, 4), GaussianJetConv2d(4, 3, relative_sigma=1.5)
        self.change, self.when = change, when

    def forward(self, image):
        outputs = []
        for i in range(3):
            sigma = torch.tensor([0.8 * 2.0**i], dtype=torch.float64)
            x = self.change(i, image) if self.when == "image" else image
            x = torch.relu(self.first(x[None], sigma))
            x = self.change(i, x) if self.when == "middle" else x
            x = self.second(x, sigma)[0]
            outputs.append(x[..., x.shape[-2] // 2, x.shape[-1] // 2])
        return torch.stack(outputs).amax(0)


def branches(change, when="middle"):
    return lambda: Branches(change, when)


def only(k, function):
    return lambda i, x: function(x) if i == k else x


class NormPerScale(nn.Module):
    """A batch norm of its own for every scale channel, equal at initialisation; or another eps."""

    def __init__(self, eps=(1e-5, 1e-5, 1e-5), shared=False):
        super().__init__()
        self.jet, self.eps = GaussianJetConv2d(1, 4), eps
        norms = [nn.BatchNorm2d(4, eps=e) for e in eps]
        if shared:
            for n in norms[1:]:
                n.weight, n.bias = norms[0].weight, norms[0].bias
        self.norms = nn.ModuleList(norms)

    def forward(self, image):
        out = []
        for i, norm in enumerate(self.norms):
            x = self.jet(image[None], torch.tensor([0.8 * 2.0**i], dtype=torch.float64))[0]
            out.append(torch.relu(norm(x)).amax((-1, -2)))
        return torch.stack(out).amax(0)


class LiftHook(Net):
    """A hook on the lift moves one sigma by 0.1 %."""

    def extra(self):
        factor = torch.tensor([1.0, 1.0, 1.001, 1.0], dtype=torch.float64)
        self.lift.register_forward_hook(lambda m, a, out: (out[0], out[1] * factor))


class RoundedSigmas(ScaleLift):
    def forward(self, image):
        features, sigmas = super().forward(image)
        return features, sigmas.bfloat16().double()


class SubclassedLift(Net):
    def extra(self):
        self.lift = RoundedSigmas(GRID)


class SigmaNet(Net):
    """The second layer's sigmas are `change(sigmas)`."""

    def __init__(self, change):
        super().__init__()
        self.change = change

    def forward(self, image):
        features, sigmas = self.lift(image)
        features = torch.relu(self.first(features, sigmas))
        return self.last(self.second(features, self.change(sigmas)), sigmas)


def sigma(change):
    return lambda: SigmaNet(change)


class OwnRelative(Net):
    """A learned relative sigma for every scale channel, 1 at initialisation."""

    def extra(self):
        self.log_relative = nn.Parameter(torch.zeros(4, dtype=torch.float64))

    def forward(self, image):
        features, sigmas = self.lift(image)
        return self.last(
            self.second(torch.relu(self.first(features, sigmas * self.log_relative.exp())), sigmas), sigmas
        )


class WeightPerScale(nn.Module):
    """jet_conv in a loop; one scale channel's weights are 0.1 % larger."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(3, 1, 5))

    def forward(self, image):
        out = []
        for i in range(3):
            w = self.weight * 1.001 if i == 2 else self.weight
            out.append(jet_conv(image[None], w, torch.tensor([2.0**i], dtype=torch.float64))[0].amax((-1, -2)))
        return torch.stack(out).amax(0)


class MatrixPerScale(Net):
    """A matrix of channels for every scale channel, equal at initialisation."""

    def extra(self):
        self.m = nn.Parameter(torch.eye(4).repeat(4, 1, 1))

    def middle(self, features, sigmas):
        return torch.relu(torch.einsum("sbchw,scd->sbdhw", features, self.m))


class Accumulated(Net):
    """Copies of the image added up before they become scale channels."""

    def forward(self, image):
        features, sigmas = self.lift(image)
        features = features.cumsum(0)
        return self.last(self.second(torch.relu(self.first(features, sigmas)), sigmas), sigmas)


class ScaleEmbedding(Net):
    """An embedding of the scale channel's number, zero at initialisation."""

    def extra(self):
        self.embedding = nn.Embedding(4, 4)
        nn.init.zeros_(self.embedding.weight)

    def middle(self, features, sigmas):
        return torch.relu(features + self.embedding(torch.arange(4))[:, None, :, None, None])


class ByIndex(Net):
    def last(self, features, sigmas):
        return (self.read(features) * torch.arange(4.0)[:, None, None]).sum(0)


class DenseScales(Net):
    """A convolution over scales as wide as the scale axis."""

    def extra(self):
        self.conv = nn.Conv1d(1, 1, 4)

    def last(self, features, sigmas):
        x = self.read(features)
        return self.conv(x.flatten(1).t()[:, None]).reshape(x.shape[1:])


class WindowFunction(torch.autograd.Function):
    """A 3-tap average that autograd sees as one operation."""

    @staticmethod
    def forward(ctx, x):
        return (x + x.roll(1, -1) + x.roll(-1, -1)) / 3

    @staticmethod
    def backward(ctx, g):
        return WindowFunction.apply(g)


class Ramp(nn.Module):
    """A parametrisation that multiplies by position."""

    def forward(self, gain):
        return gain * torch.linspace(1.0, 1.01, gain.shape[-1])


class ParametrisedGain(Net):
    """A gain over the image, uniform as stored, parametrised by a ramp."""

    def extra(self):
        self.gain = nn.Parameter(torch.ones(1))
        self.wide = nn.Module()
        self.wide.gain = nn.Parameter(torch.ones(17))
        parametrize.register_parametrization(self.wide, "gain", Ramp())

    def middle(self, features, sigmas):
        gain = self.wide.gain
        n = features.shape[-1]
        return torch.relu(features * (gain if n == 17 else F.pad(gain, (0, n - 17), value=2.0)))


class RootHook(Net):
    """A pre-hook on the network itself rolls the image."""

    def extra(self):
        self.register_forward_pre_hook(lambda m, a: (a[0].roll(1, -1),))


class InstanceForward(Net):
    """`forward` replaced on the instance of a layer."""

    def extra(self):
        old = self.first.forward
        self.first.forward = lambda features, sigmas=None: (
            old(features, sigmas) * torch.linspace(0.5, 1, features.shape[-1])
        )


class Noise(Net):
    def middle(self, features, sigmas):
        return torch.relu(features + 0.1 * torch.randn_like(features))


class ReadWrongAxes(Net):
    """The read-out reads rows and channels; a linear layer the columns."""

    def extra(self):
        self.fc = nn.Linear(17, 2)

    def last(self, features, sigmas):
        x = features.transpose(2, 4).amax((3, 4)).amax(0)
        return self.fc(x[..., : self.fc.in_features])


class WeightedCast(nn.Module):
    """Features of weight -1 cast to integers and back."""

    def __init__(self):
        super().__init__()
        self.lift, self.jet = ScaleLift(GRID), GaussianJetConv2d(1, 4, order=1, norm_power=0.0, bias=False)

    def forward(self, image):
        return self.jet(*self.lift(image)).to(torch.int32).float().amax((0, 3, 4))


class CentreOfMoved(Net):
    def last(self, features, sigmas):
        return ReadOut("centre")(features[..., :-1, :]).amax(0)


class Reordered(Net):
    """Scale channels 1 and 2 get each other's sigma in the second layer."""

    def forward(self, image):
        features, sigmas = self.lift(image)
        features = torch.relu(self.first(features, sigmas))
        return self.last(self.second(features, sigmas[torch.tensor([0, 2, 1, 3])]), sigmas)


def compared_with_the_index(n, f, s):
    values, index = n.read(f).max(0)
    return torch.where(index == 2, values, torch.zeros_like(values))


BROKEN = {
    "sigmas reordered": Reordered,
    "sigmas to a power": lambda: middle(
        lambda n, f, s: torch.relu(n.third(f, s.pow(1.01))), third=lambda: GaussianJetConv2d(4, 4)
    ),
    "layer on half of the scale channels": lambda: middle(
        lambda n, f, s: torch.cat([n.third(f[:2], s[:2]), f[2:]], 0), third=lambda: GaussianJetConv2d(4, 4)
    ),
    "fine against coarse scale channels": lambda: last(lambda n, f, s: n.read(f)[:2].amax(0) - n.read(f)[2:].amax(0)),
    "compared with the index": lambda: last(compared_with_the_index),
    "transposed in one scale channel": branches(only(1, lambda x: x.transpose(-1, -2)), "image"),
    "flipped in one scale channel": branches(only(1, lambda x: x.flip(-1)), "image"),
    "channels shuffled in one scale channel": branches(
        only(1, lambda x: x.unflatten(2, (2, 2)).transpose(2, 3).flatten(2, 3))
    ),
    "activation in one scale channel": branches(only(2, torch.tanh)),
    "layer norm's eps in one scale channel": branches(
        lambda i, x: F.layer_norm(x.movedim(2, -1), (4,), eps=0.5 if i == 0 else 1e-5).movedim(-1, 2)
    ),
    "groups of a norm in one scale channel": branches(
        lambda i, x: (
            F.layer_norm(x.movedim(2, -1).unflatten(-1, (2, 2)), (2,) if i == 0 else (2, 2)).flatten(-2).movedim(-1, 2)
        )
    ),
    "slope in one scale channel": branches(lambda i, x: F.elu(x - 0.1, alpha=1.0 if i else 1.001)),
    "channel dropped in one scale channel": branches(
        lambda i, x: torch.cat([x[:, :, :3], x[:, :, 2:3] if i == 1 else x[:, :, 3:]], 2)
    ),
    "threshold in one scale channel": branches(only(0, lambda x: torch.relu(x - 0.1))),
    "gain in one scale channel": branches(only(0, lambda x: x * 1.001)),
    "softmax's axis in one scale channel": branches(
        lambda i, x: x.unflatten(2, (2, 2)).softmax(2 if i == 0 else 3).flatten(2, 3)
    ),
    "norm per scale, equal": NormPerScale,
    "norm per scale, eps": lambda: NormPerScale((1e-5, 1e-5, 1e-3), True),
    "hook on the lift": LiftHook,
    "lift subclassed": SubclassedLift,
    "sigmas clamped": sigma(lambda s: s.clamp(max=2.0)),
    "sigmas rounded": sigma(lambda s: (s * 4).round() / 4),
    "sigmas rolled": sigma(lambda s: s.roll(1, 0)),
    "sigmas squared in one": sigma(lambda s: torch.where(s > 2, s**1.001, s)),
    "relative sigma per scale channel": OwnRelative,
    "weights 0.1 % larger in one": WeightPerScale,
    "matrix per scale channel": MatrixPerScale,
    "copies accumulated": Accumulated,
    "embedding of the scale": ScaleEmbedding,
    "weighted by the index": ByIndex,
    "convolution as wide as the scales": DenseScales,
    "scale channels rolled": lambda: middle(lambda n, f, s: torch.relu(f.roll(1, 0))),
    "scale channels indexed": lambda: middle(lambda n, f, s: torch.relu(f[torch.tensor([1, 0, 2, 3])])),
    "scale channels flipped, residual": lambda: middle(lambda n, f, s: f + torch.relu(f.flip(0))),
    "first scale channel added": lambda: middle(lambda n, f, s: torch.relu(f + f[:1])),
    "autograd function": lambda: middle(lambda n, f, s: torch.relu(WindowFunction.apply(f))),
    "parametrised gain": ParametrisedGain,
    "pre-hook on the root": RootHook,
    "forward of the instance": InstanceForward,
    "noise in evaluation": Noise,
    "dropout forced": lambda: middle(lambda n, f, s: F.dropout(f, 0.5, training=True)),
    "read-out over wrong axes": ReadWrongAxes,
    "weight cast to integers": WeightedCast,
    "centre of a cropped field": CentreOfMoved,
    "one scale channel written": lambda: middle(lambda n, f, s: torch.relu(f).index_fill(0, torch.tensor([2]), 0.0)),
    "masked by the scale": lambda: last(
        lambda n, f, s: n.read(f.masked_fill((torch.arange(4) == 1).view(4, 1, 1, 1, 1), 0.0)).amax(0)
    ),
    "fixed layer in a nested block": lambda: middle(
        lambda n, f, s: torch.relu(n.block(f)),
        block=lambda: EachScale(nn.Sequential(nn.Identity(), nn.Sequential(GaussianJetConv2d(4, 4)))),
    ),
}
"""Each of them with an image (1, 1, 17, 17) on a fixed canvas."""
