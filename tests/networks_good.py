"""Networks that are scale covariant or invariant, each written another way. (builder, input shape, canvas, verdict)."""

import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils import parametrizations

from gdtriton import (
    EachScale,
    GaussianJetConv1d,
    GaussianJetConv2d,
    GaussianJetConv3d,
    ReadOut,
    ScaleDropout,
    ScaleGrid,
    ScaleLift,
    ScalePool,
    ScaleSequential,
    gaussian_jet,
    jet_conv,
)

IMAGE = (1, 1, 17, 17)
GRID = ScaleGrid(0.8, 2**0.5, 4)


class Net(nn.Module):
    """Lift, two jet layers, read-out, pooling; subclasses change one piece."""

    def __init__(self, grid=GRID, **options):
        super().__init__()
        self.lift = ScaleLift(grid)
        self.first = GaussianJetConv2d(1, 4, **options)
        self.second = GaussianJetConv2d(4, 3, relative_sigma=1.5, **options)
        self.read, self.pool = ReadOut("centre"), ScalePool("max")
        self.extra()

    def extra(self):
        """Further modules."""

    def middle(self, features, sigmas):
        return torch.relu(features)

    def last(self, features, sigmas):
        return self.pool(self.read(features))

    def forward(self, image):
        features, sigmas = self.lift(image)
        features = self.middle(self.first(features, sigmas), sigmas)
        return self.last(self.second(features, sigmas), sigmas)


def middle(function, **modules):
    """A Net whose activation is `function(net, features, sigmas)`."""

    class Changed(Net):
        def extra(self):
            for name, module in modules.items():
                setattr(self, name, module())

        def middle(self, features, sigmas):
            return function(self, features, sigmas)

    return Changed()


def last(function, **modules):
    """A Net whose head is `function(net, features, sigmas)`."""

    class Changed(Net):
        def extra(self):
            for name, module in modules.items():
                setattr(self, name, module())

        def last(self, features, sigmas):
            return function(self, features, sigmas)

    return Changed()


class Loop(nn.Module):
    """A Python loop over scales with plain layers; `merge` joins the scale channels."""

    def __init__(self, merge, sigmas=(0.8, 1.6, 3.2)):
        super().__init__()
        self.first, self.second = GaussianJetConv2d(1, 4), GaussianJetConv2d(4, 3, relative_sigma=1.5)
        self.merge, self.sigmas = merge, sigmas

    def forward(self, image):
        outputs = []
        for sigma in self.sigmas:
            s = torch.tensor([sigma], dtype=torch.float64)
            features = torch.relu(self.first(image[None], s))
            outputs.append(self.second(features, s)[0, ..., image.shape[-2] // 2, image.shape[-1] // 2])
        return self.merge(outputs)


def running_max(values):
    best = values[0]
    for value in values[1:]:
        best = torch.maximum(best, value)
    return best


class Functional(nn.Module):
    """jet_conv with a learned sigma and a learned finest scale, written out."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(3, 1, 5))
        self.log_sigma = nn.Parameter(torch.zeros(()))

    def forward(self, image):
        sigmas = torch.exp(self.log_sigma) * 2.0 ** torch.arange(3, dtype=torch.float64)
        features = image.expand(3, *image.shape)
        return jet_conv(features, self.weight, sigmas).relu().amax(dim=(0, 3, 4))


class Jets(nn.Module):
    """Materialised jets and a 1x1 convolution: an N-Jet written by hand."""

    def __init__(self):
        super().__init__()
        self.mix = nn.Conv2d(6, 4, 1)

    def forward(self, image):
        jets = gaussian_jet(image[:, 0], [0.8, 1.6, 3.2], 2)
        features = torch.stack([torch.relu(self.mix(j)) for j in jets])
        return features.amax(dim=(0, 3, 4))


class HandNormalised(nn.Module):
    """norm_power 0 and a factor sigma after a layer of first order: normalised by hand."""

    def __init__(self):
        super().__init__()
        self.lift = ScaleLift(GRID)
        self.jet = GaussianJetConv2d(1, 4, order=1, norm_power=0.0, bias=False)

    def forward(self, image):
        features, sigmas = self.lift(image)
        features = self.jet(features, sigmas) * sigmas.float().view(-1, 1, 1, 1, 1)
        return torch.tanh(features).amax(dim=(0, 3, 4))


class Dense(Net):
    """A dense block: the layers see everything before them."""

    def extra(self):
        self.third = GaussianJetConv2d(5, 4, relative_sigma=1.25)

    def middle(self, features, sigmas):
        lifted = features[:, :, :1] * 0.5
        return torch.relu(self.third(torch.cat([features, lifted], 2), sigmas))


class Residual(Net):
    """A residual block around a jet layer."""

    def extra(self):
        self.third = GaussianJetConv2d(4, 4, relative_sigma=2.0)

    def middle(self, features, sigmas):
        features = F.relu(features)
        return features + F.gelu(self.third(features, sigmas))


class Shared(Net):
    """One layer used twice, at two dilations."""

    def extra(self):
        self.third = GaussianJetConv2d(4, 4)

    def middle(self, features, sigmas):
        features = torch.relu(features)
        return self.third(features, sigmas) * self.third(features, 2 * sigmas)


class Hooked(Net):
    """A hook that does no harm."""

    def extra(self):
        self.first.register_forward_hook(lambda module, args, output: output * 2)


class Own(GaussianJetConv2d):
    """A subclass with a harmless forward of its own."""

    def forward(self, features, sigmas=None):
        return super().forward(features, sigmas).abs()


class Subclassed(Net):
    def extra(self):
        self.second = Own(4, 3, relative_sigma=1.5)


class Parametrised(Net):
    def extra(self):
        parametrizations.weight_norm(self.first, "weight")


class Sequential(nn.Module):
    """As the README writes it."""

    def __init__(self, ndim=2, layer=GaussianJetConv2d, norm=nn.BatchNorm2d, **options):
        super().__init__()
        self.lift = ScaleLift(GRID)
        self.body = ScaleSequential(
            layer(1, 4, **options), EachScale(norm(4)), nn.ReLU(), layer(4, 3, relative_sigma=1.5, **options)
        )
        self.head = nn.Sequential(ReadOut("centre"), ScaleDropout(0.2), ScalePool("max"))

    def forward(self, image):
        features, sigmas = self.lift(image)
        return self.head(self.body(features, sigmas))


class PerPixel(Net):
    """LayerNorm over channels at every point, channels last, and an MLP."""

    def extra(self):
        self.norm, self.up, self.down = nn.LayerNorm(4), nn.Linear(4, 8), nn.Linear(8, 4)

    def middle(self, features, sigmas):
        x = features.movedim(2, -1)
        x = x + self.down(F.silu(self.up(self.norm(x))))
        return x.movedim(-1, 2)


class Weighted(nn.Module):
    """No offset, one order, norm_power 0: covariant with weight -1."""

    def __init__(self):
        super().__init__()
        self.lift = ScaleLift(GRID)
        self.jet = GaussianJetConv2d(1, 4, order=1, norm_power=0.0, bias=False)

    def forward(self, image):
        features, sigmas = self.lift(image)
        return F.relu(self.jet(features, sigmas)).amax((0, 3, 4))


class Stride(Net):
    """A centred stride: every second pixel, the centre among them."""

    def middle(self, features, sigmas):
        return torch.relu(features[..., ::2, ::2])


class Argmax(Net):
    def last(self, features, sigmas):
        values, index = self.read(features).max(0)
        return values, index


def attention(net, features, sigmas):
    gate = torch.sigmoid(net.gate(features.flatten(0, 1))).unflatten(0, features.shape[:2])
    return features * gate


def each(module):
    return lambda net, f, s: net.m(f.flatten(0, 1)).unflatten(0, f.shape[:2])


GOOD = {
    "plain": (Net, IMAGE, "fixed", "invariant"),
    "sequential": (Sequential, IMAGE, "fixed", "invariant"),
    "1-d": (lambda: Sequential(1, GaussianJetConv1d, nn.BatchNorm1d), (1, 1, 17), "fixed", "invariant"),
    "3-d": (lambda: Sequential(3, GaussianJetConv3d, nn.BatchNorm3d), (1, 1, 7, 9, 7), "fixed", "invariant"),
    "colour batch": (
        lambda: middle(lambda n, f, s: n.third(torch.relu(f), s), third=lambda: GaussianJetConv2d(4, 4)),
        (2, 1, 17, 19),
        "fixed",
        "invariant",
    ),
    "even size": (Net, (1, 1, 16, 18), "fixed", "invariant"),
    "learned sigma": (lambda: Net(learn_sigma="layer"), IMAGE, "fixed", "invariant"),
    "sigma per input": (lambda: Net(learn_sigma="input"), IMAGE, "fixed", "invariant"),
    "sigma per output": (lambda: Net(learn_sigma="output"), IMAGE, "fixed", "invariant"),
    "zero order": (lambda: Net(zero_order=True), IMAGE, "fixed", "invariant"),
    "sampled": (lambda: Net(discretisation="sampled-derivative"), IMAGE, "fixed", "invariant"),
    "circular": (lambda: Net(border="circular"), IMAGE, "fixed", "invariant"),
    "zero border, scaled canvas": (lambda: Net(border="zero"), IMAGE, "scales", "invariant"),
    "residual": (Residual, IMAGE, "fixed", "invariant"),
    "dense block": (Dense, IMAGE, "fixed", "invariant"),
    "shared layer, product": (Shared, IMAGE, "fixed", "invariant"),
    "hook": (Hooked, IMAGE, "fixed", "invariant"),
    "subclass": (Subclassed, IMAGE, "fixed", "invariant"),
    "parametrised": (Parametrised, IMAGE, "fixed", "invariant"),
    "layer norm and mlp": (PerPixel, IMAGE, "fixed", "invariant"),
    "weight -1": (Weighted, IMAGE, "fixed", "covariant"),
    "hand normalised": (HandNormalised, IMAGE, "fixed", "invariant"),
    "centred stride": (Stride, IMAGE, "fixed", "invariant"),
    "argmax": (Argmax, IMAGE, "fixed", "covariant"),
    "functional": (Functional, IMAGE, "fixed", "invariant"),
    "jets and 1x1": (Jets, IMAGE, "fixed", "invariant"),
    "loop, stack and max": (lambda: Loop(lambda o: torch.stack(o).amax(0)), IMAGE, "fixed", "invariant"),
    "loop, running max": (lambda: Loop(running_max), IMAGE, "fixed", "invariant"),
    "loop, mean": (lambda: Loop(lambda o: sum(o) / len(o)), IMAGE, "fixed", "invariant"),
    "loop, logsumexp": (lambda: Loop(lambda o: torch.logsumexp(torch.stack(o, -1), -1)), IMAGE, "fixed", "invariant"),
    "1x1 convolution": (
        lambda: middle(lambda n, f, s: F.leaky_relu(each(0)(n, f, s)), m=lambda: nn.Conv2d(4, 4, 1)),
        IMAGE,
        "fixed",
        "invariant",
    ),
    "depthwise 1x1": (
        lambda: middle(each(0), m=lambda: nn.Sequential(nn.Conv2d(4, 4, 1, groups=4), nn.ELU())),
        IMAGE,
        "fixed",
        "invariant",
    ),
    "gate": (lambda: middle(attention, gate=lambda: nn.Conv2d(4, 4, 1)), IMAGE, "fixed", "invariant"),
    "prelu": (lambda: middle(each(0), m=lambda: nn.PReLU(4)), IMAGE, "fixed", "invariant"),
    "dropout": (
        lambda: middle(each(0), m=lambda: nn.Sequential(nn.Dropout2d(0.5), nn.Mish())),
        IMAGE,
        "fixed",
        "invariant",
    ),
    "instance norm": (lambda: middle(each(0), m=lambda: nn.InstanceNorm2d(4)), IMAGE, "scales", "invariant"),
    "group norm": (lambda: middle(each(0), m=lambda: nn.GroupNorm(2, 4)), IMAGE, "scales", "invariant"),
    "softmax over classes": (lambda: last(lambda n, f, s: n.pool(n.read(f).softmax(-1))), IMAGE, "fixed", "invariant"),
    "linear head": (
        lambda: last(lambda n, f, s: n.fc(F.silu(f.amax((3, 4)).mean(0))), fc=lambda: nn.Linear(3, 5)),
        IMAGE,
        "fixed",
        "invariant",
    ),
    "global max pool": (
        lambda: last(lambda n, f, s: F.adaptive_max_pool2d(f.flatten(0, 1), 1).reshape(f.shape[:3]).amax(0)),
        IMAGE,
        "fixed",
        "invariant",
    ),
    "global mean, scaled canvas": (lambda: last(lambda n, f, s: f.mean((3, 4)).amax(0)), IMAGE, "scales", "invariant"),
    "scale channels out": (lambda: last(lambda n, f, s: n.read(f)), IMAGE, "fixed", "covariant"),
    "features out": (lambda: last(lambda n, f, s: f), IMAGE, "fixed", "covariant"),
    "pooled field out": (lambda: last(lambda n, f, s: f.amax(0)), IMAGE, "fixed", "covariant"),
    "flip": (lambda: middle(lambda n, f, s: torch.relu(f.flip(-1))), IMAGE, "fixed", "invariant"),
    "normalised by the strongest scale": (
        lambda: middle(lambda n, f, s: torch.relu(f) / (1 + torch.relu(f).amax(0, keepdim=True))),
        IMAGE,
        "fixed",
        "invariant",
    ),
    "squeeze and excite": (
        lambda: middle(
            lambda n, f, s: f * torch.sigmoid(n.fc(f.amax((3, 4))))[..., None, None], fc=lambda: nn.Linear(4, 4)
        ),
        IMAGE,
        "fixed",
        "invariant",
    ),
    "two streams": (
        lambda: last(
            lambda n, f, s: n.pool(n.read(f)) + n.pool(n.read(n.third(f, 2 * s))), third=lambda: GaussianJetConv2d(3, 3)
        ),
        IMAGE,
        "fixed",
        "invariant",
    ),
    "clamp and power": (lambda: middle(lambda n, f, s: f.clamp(-1, 1).pow(2)), IMAGE, "fixed", "invariant"),
    "maximum of branches": (
        lambda: middle(
            lambda n, f, s: torch.maximum(n.a(f, s), n.b(f, s)),
            a=lambda: GaussianJetConv2d(4, 4),
            b=lambda: GaussianJetConv2d(4, 4, relative_sigma=2.0),
        ),
        IMAGE,
        "fixed",
        "invariant",
    ),
}
