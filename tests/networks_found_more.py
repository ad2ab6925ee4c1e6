"""More networks that a search for wrong certificates came across; none is covariant as claimed, none is ever certified.

name -> (builder, input shape, canvas).
"""

import torch
import torch.nn.functional as F
from torch import nn

from gdtriton import GaussianJetConv2d
from networks_found import FirstOrder, act, blurred, first_order, halves, head, plane
from networks_good import IMAGE, Net, last


def pooled(function):
    """`function` of unnormalised first derivatives, weight -1, pooled over canvas and scale channels."""
    return lambda: FirstOrder(lambda f, s, b: function(f.amax((0, 3, 4)))), IMAGE, "fixed"


class MeanOfDerivatives(Net):
    """The mean over the canvas of derivatives of `function(features)`, features black beside the object."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def extra(self):
        self.first, self.second = GaussianJetConv2d(1, 4, bias=False), GaussianJetConv2d(4, 3, bias=False)

    def middle(self, features, sigmas):
        return self.function(features.abs())

    def last(self, features, sigmas):
        return features.abs().mean((3, 4)).amax(0)


def mean_of_derivatives(function):
    return lambda: MeanOfDerivatives(function), IMAGE, "fixed"


class Black(Net):
    """The middle of features that are black beside the object, by `function(net, features)`."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def extra(self):
        self.first = GaussianJetConv2d(1, 4, bias=False)
        self.margin = nn.Conv2d(4, 4, 1, padding=4, bias=False)

    def middle(self, features, sigmas):
        return features + self.function(self, features.abs()[..., 4:-4, 4:-4])


def black(function):
    """`function` fills up what was cut around the middle by zeros."""
    return lambda: Black(function), IMAGE, "fixed"


def refilled(features, mode):
    """The middle of the canvas, the rest filled up from it."""
    return plane(lambda x: F.pad(x[..., 4:-4, 4:-4], (4, 4, 4, 4), mode=mode))(None, features, None)


def heads(one, other):
    """Maxima over the canvas of `one` of the two fine scale channels, of `other` of the coarse ones."""
    return head(lambda n, f, s: torch.relu(torch.cat([one(f[:2]), other(f[2:])])).amax((0, 3, 4)))


def row(features):
    return features[..., features.shape[-2] // 2, :]


def column(features):
    return features[..., features.shape[-1] // 2]


def with_size_one(features, axis):
    """Channels before or behind an axis of size 1; `axis` 2 or 4."""
    wide = features.view(*features.shape[:2], 1, 3, 1, *features.shape[-2:])
    return wide[:, :, 0] if axis == 2 else wide[:, :, :, :, 0]


def squeezed(features, axis):
    return features.view(*features.shape[:2], 1, 3, 1, *features.shape[-2:]).squeeze(axis)


def cast_by_copy(features):
    """Zeros and ones: features written into bools."""
    kept = features > 0
    kept.copy_(features)
    return kept.float()


class CounterKept(Net):
    """Something else from the 100th call on; the number of calls is an entry of `kept`."""

    def __init__(self, kept, name):
        super().__init__()
        self.kept, self.name = kept, name

    def middle(self, features, sigmas):
        self.kept[self.name] += 1
        return torch.relu(features) if self.kept[self.name] < 100 else blurred(features)


WRONG = {
    "tanh of pooled derivatives": pooled(torch.tanh),
    "elu of pooled derivatives": pooled(F.elu),
    "pooled derivatives, at least 0.1": pooled(lambda f: torch.maximum(f, torch.tensor(0.1))),
    "softmax of pooled derivatives": pooled(lambda f: f.softmax(-1)),
    "tanh of an area": (
        lambda: last(
            lambda n, f, s: torch.tanh(n.derivatives(f, s).abs().mean((3, 4)).amax(0)),
            derivatives=lambda: GaussianJetConv2d(3, 3, bias=False),
        ),
        IMAGE,
        "fixed",
    ),
    "mean of derivatives of row maxima": mean_of_derivatives(lambda x: x + x.amax(-1, keepdim=True)),
    "mean of derivatives of the centre row": mean_of_derivatives(lambda x: x + x[..., x.shape[-2] // 2, None, :]),
    "mean of derivatives of a running sum": mean_of_derivatives(lambda x: x.cumsum(-1)),
    "cut, reflected and added": act(lambda n, f, s: torch.relu(f + refilled(f, "reflect"))),
    "cut, repeated and added": act(lambda n, f, s: torch.relu(f + refilled(f, "circular"))),
    "maximum of the middle of the canvas": head(lambda n, f, s: refilled(f, "replicate").amax((0, 3, 4))),
    "cut and rolled": act(lambda n, f, s: torch.relu(f[..., 4:-4, 4:-4] + f[..., 6:-2, 4:-4].roll(2, -2))),
    "cut, zeros around": black(lambda n, f: F.pad(f, (4, 4, 4, 4))),
    "cut, zeros around by windows of one pixel": black(
        lambda n, f: plane(lambda x: F.unfold(x, 1, padding=4).unflatten(2, (17, 17)))(n, f, None)
    ),
    "cut, zeros around by a 1x1 convolution": black(lambda n, f: plane(n.margin)(n, f, None)),
    "row and column by halves": head(lambda n, f, s: torch.cat([row(f[:2]), column(f[2:])]).amax((0, -1))),
    "outer product transposed by halves": heads(
        lambda x: (x[:, :, None] * x.square()[:, :, :, None]).flatten(2, 3),
        lambda x: (x[:, :, :, None] * x.square()[:, :, None]).flatten(2, 3),
    ),
    "differences of channels transposed by halves": heads(
        lambda x: (x[:, :, None] - 2 * x[:, :, :, None]).amax(2),
        lambda x: (x[:, :, :, None] - 2 * x[:, :, None]).amax(2),
    ),
    "choice of channels transposed by halves": heads(
        lambda x: torch.where(x[:, :, None] > 0.1, x[:, :, :, None], 0.0).amax(2),
        lambda x: torch.where(x[:, :, :, None] > 0.1, x[:, :, None], 0.0).amax(2),
    ),
    "axes of size 1 taken by halves": heads(
        lambda x: (with_size_one(x, 2) * with_size_one(x.square(), 4)).flatten(2, 3),
        lambda x: (with_size_one(x, 4) * with_size_one(x.square(), 2)).flatten(2, 3),
    ),
    "axes of size 1 squeezed by halves": heads(
        lambda x: (squeezed(x, 2) * squeezed(x.square(), 4)).flatten(2, 3),
        lambda x: (squeezed(x, 4) * squeezed(x.square(), 2)).flatten(2, 3),
    ),
    "float8 by halves": halves(lambda x: x.to(torch.float8_e4m3fn).float(), lambda x: x.to(torch.float32)),
    "bfloat16 by halves": halves(lambda x: x.bfloat16().float(), lambda x: x.to(torch.float32)),
    "copied into bools by halves": halves(cast_by_copy, lambda x: torch.zeros_like(x).copy_(x)),
    "derivatives cast like bools": first_order(lambda f, s, b: f.type_as(f > 0).float()),
    "derivatives rounded to float8": first_order(lambda f, s, b: f.to(torch.float8_e4m3fn).float()),
    "derivatives added up in integers": first_order(lambda f, s, b: f.sum(2, dtype=torch.int64).float().unsqueeze(2)),
    "derivatives multiplied in integers": first_order(
        lambda f, s, b: f.prod(2, dtype=torch.int64).float().unsqueeze(2)
    ),
    "window's sum on a scaled canvas": head(
        lambda n, f, s: plane(lambda x: F.avg_pool2d(x, x.shape[-1], divisor_override=1))(n, f, s).amax((0, 3, 4)),
        canvas="scales",
    ),
    "counter in a list": (lambda: CounterKept([0], 0), IMAGE, "fixed"),
    "counter in a dictionary": (lambda: CounterKept({"calls": 0}, "calls"), IMAGE, "fixed"),
}
