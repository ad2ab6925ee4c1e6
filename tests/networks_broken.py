"""Networks that are not covariant, each defect in several disguises. (builder, input shape, canvas)."""

import torch
import torch.nn.functional as F
from torch import nn

from gdtriton import EachScale, GaussianJetConv2d, ReadOut, ScaleGrid, ScaleLift, ScalePool, gaussian_jet, jet_conv
from networks_good import GRID, IMAGE, Loop, Net, Residual, each, last, middle, running_max


def folded(module):
    """`module` on all scale channels."""
    return middle(each(0), m=module)


class Hook(Net):
    def extra(self):
        self.first.register_forward_hook(lambda m, a, out: out + torch.linspace(0, 1, out.shape[-1]))


class HookWindow(Net):
    def extra(self):
        self.first.register_forward_hook(
            lambda m, a, out: F.avg_pool2d(out.flatten(0, 1), 3, 1, 1).unflatten(0, out.shape[:2])
        )


class PreHook(Net):
    def extra(self):
        self.second.register_forward_pre_hook(lambda m, a: (a[0].roll(1, -1), *a[1:]))


class WrongSigma(GaussianJetConv2d):
    """A subclass whose coarsest scale channel is 0.1 % off."""

    def _sigma(self, sigmas):
        factor = torch.ones_like(sigmas)
        factor[-1] = 1.001
        return super()._sigma(sigmas * factor)


class Additive(GaussianJetConv2d):
    def _sigma(self, sigmas):
        return super()._sigma(sigmas) + 0.3


class OwnForward(GaussianJetConv2d):
    def forward(self, features, sigmas=None):
        out = super().forward(features, sigmas)
        return out * torch.linspace(0.5, 1.0, out.shape[-1])


def with_second(layer, *args, **options):
    net = Net()
    net.second = layer(4, 3, *args, relative_sigma=1.5, **options)
    return net


def with_first(layer):
    net = Net()
    net.first = layer(1, 4)
    return net


class Fixed(Net):
    """One layer at a sigma in pixels."""

    def extra(self):
        self.fixed = EachScale(GaussianJetConv2d(4, 4, relative_sigma=1.2))

    def middle(self, features, sigmas):
        return torch.relu(self.fixed(features))


class FixedAll(Net):
    def forward(self, image):
        features, sigmas = self.lift(image)
        sigmas = torch.full_like(sigmas, 1.5)
        return self.last(self.second(torch.relu(self.first(features, sigmas)), sigmas), sigmas)


class Reversed(Net):
    """The second layer sees the scale channels in the opposite order."""

    def forward(self, image):
        features, sigmas = self.lift(image)
        features = torch.relu(self.first(features, sigmas))
        return self.last(self.second(features, sigmas.flip(0)), sigmas)


class Detuned(Net):
    def forward(self, image):
        features, sigmas = self.lift(image)
        features = torch.relu(self.first(features, sigmas))
        wrong = sigmas * torch.tensor([1.0, 1.0, 1.001, 1.0], dtype=torch.float64)
        return self.last(self.second(features, wrong), sigmas)


class Arithmetic(Net):
    """Sigmas 1, 2, 3, 4."""

    def forward(self, image):
        features = image.expand(4, *image.shape)
        sigmas = torch.arange(1, 5, dtype=torch.float64)
        return self.last(self.second(torch.relu(self.first(features, sigmas)), sigmas), sigmas)


class FreeSigmas(Net):
    """A free sigma for every scale channel, geometric at initialisation."""

    def extra(self):
        self.log_sigmas = nn.Parameter(torch.log(torch.tensor(GRID.sigmas, dtype=torch.float64)))

    def forward(self, image):
        features, sigmas = image.expand(4, *image.shape), self.log_sigmas.exp()
        return self.last(self.second(torch.relu(self.first(features, sigmas)), sigmas), sigmas)


class Unshared(nn.Module):
    """Layers of their own for every scale channel, equal at initialisation."""

    def __init__(self, equal=True):
        super().__init__()
        self.layers = nn.ModuleList(GaussianJetConv2d(1, 3) for _ in range(3))
        if equal:
            for layer in self.layers[1:]:
                layer.load_state_dict(self.layers[0].state_dict())

    def forward(self, image):
        outputs = []
        for i, layer in enumerate(self.layers):
            out = layer(image[None], torch.tensor([0.8 * 2**i], dtype=torch.float64))
            outputs.append(out[0].amax((-1, -2)))
        return torch.stack(outputs).amax(0)


class UnsharedNorm(Net):
    """A batch norm whose channels are the scale channels."""

    def extra(self):
        self.norm = nn.BatchNorm3d(4)

    def middle(self, features, sigmas):
        return torch.relu(self.norm(features.movedim(0, 1)).movedim(1, 0))


class ScaleBias(Net):
    """An offset per scale channel, zero at initialisation."""

    def extra(self):
        self.offset = nn.Parameter(torch.zeros(4, 1, 1, 1, 1))

    def middle(self, features, sigmas):
        return torch.relu(features + self.offset)


class ScaleGain(ScaleBias):
    def middle(self, features, sigmas):
        return torch.tanh(features * (1 + self.offset))


class PositionZero(Net):
    """A position embedding, zero at initialisation."""

    def extra(self):
        self.position = nn.Parameter(torch.zeros(4, 17, 17))

    def middle(self, features, sigmas):
        position = (
            F.interpolate(self.position[None], features.shape[-2:]) if features.shape[-1] != 17 else self.position
        )
        return torch.relu(features + position)


class Coordinates(Net):
    def extra(self):
        self.third = GaussianJetConv2d(5, 4)

    def middle(self, features, sigmas):
        n = features.shape[-1]
        ramp = torch.linspace(-1, 1, n).expand(*features.shape[:2], 1, n, n)
        return self.third(torch.cat([features, ramp], 2), sigmas)


class Window(Net):
    """Multiplication with a window function."""

    def middle(self, features, sigmas):
        n = features.shape[-1]
        w = torch.hann_window(n, periodic=False) + 0.1
        return torch.relu(features * w * w[:, None])


class Flatten(Net):
    def extra(self):
        self.fc = nn.LazyLinear(5)
        self(torch.zeros(IMAGE))

    def last(self, features, sigmas):
        return self.fc(features.amax(0).flatten(1))


class FlattenEinsum(Net):
    def extra(self):
        self.w = nn.Parameter(torch.randn(5, 17 * 17))

    def last(self, features, sigmas):
        return torch.einsum("sbcp,op->sbco", features.flatten(3), self.w).amax(0)


class FlattenHidden(Net):
    """Linear over one spatial axis at a time, through reshapes."""

    def extra(self):
        self.fc = nn.Linear(17, 2)

    def last(self, features, sigmas):
        s, b, c, h, w = features.shape
        x = self.fc(features.reshape(s * b, c * h, w)).reshape(s, b, c, h, 2)
        return x.amax((0, 3))


class FlattenZero(Flatten):
    """Flatten and linear with weights that read the centre only, at initialisation."""

    def extra(self):
        super().extra()
        with torch.no_grad():
            w = self.fc.weight.reshape(5, 3, 17, 17)
            keep = torch.zeros_like(w)
            keep[:, :, 8, 8] = w[:, :, 8, 8]
            w.copy_(keep)


class ZeroConv(Net):
    """A residual 3x3 convolution whose weights are zero at initialisation."""

    def extra(self):
        self.conv = nn.Conv2d(4, 4, 3, padding=1, bias=False)
        nn.init.zeros_(self.conv.weight)

    def middle(self, features, sigmas):
        return torch.relu(features + self.conv(features.flatten(0, 1)).unflatten(0, features.shape[:2]))


class ZeroGate(Net):
    """A window pool behind a gate that is zero at initialisation."""

    def extra(self):
        self.gate = nn.Parameter(torch.zeros(()))

    def middle(self, features, sigmas):
        pooled = F.max_pool2d(features.flatten(0, 1), 3, 1, 1).unflatten(0, features.shape[:2])
        return torch.relu(features + self.gate * pooled)


class ShapeBranch(Net):
    """Another network for large images."""

    def middle(self, features, sigmas):
        if features.shape[-1] > 20:
            features = F.avg_pool2d(features.flatten(0, 1), 3, 1, 1).unflatten(0, features.shape[:2])
        return torch.relu(features)


class UnequalGrids(Net):
    """A residual whose skip is shifted by one pixel."""

    def extra(self):
        self.third = GaussianJetConv2d(4, 4)

    def middle(self, features, sigmas):
        return features[..., 1:-1, 2:] + self.third(features, sigmas)[..., 1:-1, 1:-1]


class StrideMismatch(Net):
    """A strided and a cropped copy with different centres."""

    def middle(self, features, sigmas):
        return features[..., ::2, ::2] + features[..., 3:12, 4:13]


class ScaleMix(Net):
    """Learned weights over the scale channels."""

    def extra(self):
        self.mixing = nn.Linear(4, 1)

    def last(self, features, sigmas):
        return self.mixing(self.read(features).movedim(0, -1))[..., 0]


class Softmaxed(Net):
    """A learned convex combination of the scale channels."""

    def extra(self):
        self.logits = nn.Parameter(torch.zeros(4))

    def last(self, features, sigmas):
        return (self.read(features) * self.logits.softmax(0)[:, None, None]).sum(0)


class OneScale(Net):
    def last(self, features, sigmas):
        return self.read(features)[0]


class PlainJets(nn.Module):
    """Layers at a sigma in pixels, no scale channels."""

    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(GaussianJetConv2d(1, 4), nn.ReLU(), GaussianJetConv2d(4, 3, relative_sigma=1.5))

    def forward(self, image):
        return self.net(image).amax((2, 3))


class Cnn(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(
            nn.Conv2d(1, 4, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(4, 4, 3), nn.AdaptiveMaxPool2d(1)
        )

    def forward(self, image):
        return self.net(image).flatten(1)


class WrongJets(nn.Module):
    """Materialised jets without scale normalisation, mixed."""

    def __init__(self):
        super().__init__()
        self.mix = nn.Conv2d(6, 4, 1)

    def forward(self, image):
        jets = gaussian_jet(image[:, 0], [0.8, 1.6, 3.2], 2, norm_power=0.0)
        return torch.stack([torch.relu(self.mix(j)) for j in jets]).amax(dim=(0, 3, 4))


class FunctionalPower(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(3, 1, 6))

    def forward(self, image):
        f = image.expand(3, *image.shape)
        s = 2.0 ** torch.arange(3, dtype=torch.float64)
        return jet_conv(f, self.weight, s, zero_order=True, norm_power=0.9).amax((0, 3, 4))


class FirstOrderBias(nn.Module):
    """One order, norm_power 1/2, and an offset."""

    def __init__(self, activation=None):
        super().__init__()
        self.lift = ScaleLift(GRID)
        self.jet = GaussianJetConv2d(1, 4, order=1, norm_power=0.5, bias=activation is None)
        self.activation = activation

    def forward(self, image):
        out = self.jet(*self.lift(image))
        return (self.activation(out) if self.activation else out).amax((0, 3, 4))


class BranchOnly(Residual):
    """A window in one branch of a residual block."""

    def middle(self, features, sigmas):
        pooled = F.max_pool2d(features.flatten(0, 1), 3, 1, 1).unflatten(0, features.shape[:2])
        return F.relu(features) + self.third(pooled, sigmas)


class Nested(Net):
    def extra(self):
        inner = nn.Sequential(nn.Sequential(nn.Identity(), nn.Sequential(nn.ReLU(), nn.AvgPool2d(3, 1, 1))))
        self.block = EachScale(nn.Sequential(inner))

    def middle(self, features, sigmas):
        return self.block(features)


class ManualWindow(Net):
    """A 3-tap average by slices: no pooling operator anywhere."""

    def middle(self, features, sigmas):
        return (features[..., :-2] + features[..., 1:-1] + features[..., 2:]) / 3


class Unfolded(Net):
    def middle(self, features, sigmas):
        windows = features.unfold(-1, 3, 1)
        return windows.amax(-1)


def centre_read(offset):
    def head(net, features, sigmas):
        h, w = features.shape[-2] // 2 + offset, features.shape[-1] // 2
        return features[..., h, w].amax(0)

    return head


def training(net):
    """A batch norm without running statistics."""
    return net


BROKEN = {
    "max pool": lambda: folded(lambda: nn.MaxPool2d(3, 1, 1)),
    "max pool 2": lambda: folded(lambda: nn.MaxPool2d(2)),
    "avg pool": lambda: folded(lambda: nn.AvgPool2d(3, 1, 1)),
    "avg pool functional": lambda: middle(
        lambda n, f, s: F.avg_pool2d(f.flatten(0, 1), (1, 3), 1, (0, 1)).unflatten(0, f.shape[:2])
    ),
    "adaptive pool 3": lambda: folded(lambda: nn.AdaptiveAvgPool2d(3)),
    "lp pool": lambda: folded(lambda: nn.LPPool2d(2, 3, 1)),
    "nested pool": Nested,
    "slices as a window": ManualWindow,
    "unfold": Unfolded,
    "pool in one branch": BranchOnly,
    "hook with a window": HookWindow,
    "conv 3x3": lambda: folded(lambda: nn.Conv2d(4, 4, 3, padding=1)),
    "conv 3x3 depthwise": lambda: folded(lambda: nn.Conv2d(4, 4, 3, padding=1, groups=4)),
    "conv 1x5": lambda: folded(lambda: nn.Conv2d(4, 4, (1, 5), padding=(0, 2))),
    "conv dilated": lambda: folded(lambda: nn.Conv2d(4, 4, 3, padding=2, dilation=2)),
    "conv 2x2 stride 2": lambda: folded(lambda: nn.Conv2d(4, 4, 2, stride=2)),
    "conv functional": lambda: middle(
        lambda n, f, s: F.conv2d(f.flatten(0, 1), n.w, padding=1).unflatten(0, f.shape[:2]),
        w=lambda: nn.Parameter(torch.randn(4, 4, 3, 3)),
    ),
    "conv zero at start": ZeroConv,
    "gate zero at start": ZeroGate,
    "transposed conv": lambda: folded(lambda: nn.ConvTranspose2d(4, 4, 3, padding=1)),
    "blur buffer": lambda: middle(
        lambda n, f, s: F.conv2d(
            f.flatten(0, 1), torch.tensor([0.25, 0.5, 0.25]).expand(4, 1, 1, 3), padding=(0, 1), groups=4
        ).unflatten(0, f.shape[:2])
    ),
    "cnn": Cnn,
    "flatten and linear": Flatten,
    "flatten, einsum": FlattenEinsum,
    "flatten hidden": FlattenHidden,
    "flatten, centre at start": FlattenZero,
    "position embedding zero": PositionZero,
    "coordinates": Coordinates,
    "window function": Window,
    "hook with position": Hook,
    "subclass with position": lambda: with_first(OwnForward),
    "layer norm with position": lambda: middle(lambda n, f, s: n.norm(f), norm=lambda: nn.LayerNorm([4, 17, 17])),
    "norm power 1/2": lambda: Net(norm_power=0.5),
    "norm power 0": lambda: Net(norm_power=0.0),
    "norm power 0.99 in one layer": lambda: with_second(GaussianJetConv2d, norm_power=0.99),
    "zero order, power 0.9": FunctionalPower,
    "jets without normalisation": WrongJets,
    "one order, offset": FirstOrderBias,
    "one order, tanh": lambda: FirstOrderBias(torch.tanh),
    "one order, sigmoid": lambda: FirstOrderBias(torch.sigmoid),
    "sigma 0.1 % off, subclass": lambda: with_second(WrongSigma),
    "sigma 0.1 % off, inline": Detuned,
    "sigma plus constant": lambda: with_second(Additive),
    "one fixed layer": Fixed,
    "all layers fixed": FixedAll,
    "scale order reversed": Reversed,
    "arithmetic sigmas": Arithmetic,
    "free sigmas": FreeSigmas,
    "loop, unequal ratios": lambda: Loop(lambda o: torch.stack(o).amax(0), (0.8, 1.6, 3.0)),
    "loop, running max, unequal": lambda: Loop(running_max, (1.0, 1.5, 3.0)),
    "loop, weighted": lambda: Loop(lambda o: 0.2 * o[0] + 0.5 * o[1] + 0.3 * o[2]),
    "loop, one twice": lambda: Loop(lambda o: o[0] + o[1] + o[1] + o[2]),
    "plain jets": PlainJets,
    "one scale picked": OneScale,
    "unshared, equal": Unshared,
    "unshared": lambda: Unshared(False),
    "norm over scale channels": UnsharedNorm,
    "offset per scale": ScaleBias,
    "gain per scale": ScaleGain,
    "linear over scales": ScaleMix,
    "convex combination": Softmaxed,
    "unequal grids": UnequalGrids,
    "stride against crop": StrideMismatch,
    "centre + 1": lambda: last(centre_read(1)),
    "centre - 1": lambda: last(centre_read(-1)),
    "corner": lambda: last(lambda n, f, s: f[..., 0, 0].amax(0)),
    "roll before the layer": PreHook,
    "asymmetric crop": lambda: middle(lambda n, f, s: torch.relu(f[..., 2:])),
    "upsampling": lambda: folded(lambda: nn.Upsample(scale_factor=2)),
    "bilinear": lambda: middle(
        lambda n, f, s: F.interpolate(f.flatten(0, 1), size=(11, 11), mode="bilinear").unflatten(0, f.shape[:2])
    ),
    "instance norm, fixed canvas": lambda: folded(lambda: nn.InstanceNorm2d(4)),
    "group norm, fixed canvas": lambda: folded(lambda: nn.GroupNorm(2, 4)),
    "mean, fixed canvas": lambda: last(lambda n, f, s: f.mean((3, 4)).amax(0)),
    "average pool to 1, fixed canvas": lambda: last(
        lambda n, f, s: F.adaptive_avg_pool2d(f.flatten(0, 1), 1).reshape(f.shape[:3]).amax(0)
    ),
    "zero border, fixed canvas": lambda: Net(border="zero"),
    "no running statistics": lambda: folded(lambda: nn.BatchNorm2d(4, track_running_stats=False)),
    "branch on the shape": ShapeBranch,
}

SHAPES = {"centre + 1": (1, 1, 17, 17), "one pixel of an even size": (1, 1, 16, 16)}
BROKEN["one pixel of an even size"] = lambda: last(centre_read(0))


def build(name):
    return BROKEN[name](), SHAPES.get(name, IMAGE), "fixed"


__all__ = ["BROKEN", "EachScale", "ReadOut", "ScaleGrid", "ScalePool", "build"]
